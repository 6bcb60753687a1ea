import pytest

from mcdrop.errors import InputError
from mcdrop.plots.history import losses_against_epochs
from mcdrop.training import History


def test_lines_are_the_losses_from_the_first_epoch_on(ax) -> None:
    history = History((2.0, 1.5, 1.2), (1.9, 1.6, 1.7), (1.8, 1.5, 1.4))
    assert losses_against_epochs(history, ax) is ax
    *lines, lowest = ax.get_lines()
    for line, losses in zip(lines, (history.train_loss, history.weight_scaled_loss, history.mc_loss), strict=True):
        assert line.get_xdata().tolist() == [1, 2, 3]
        assert tuple(line.get_ydata()) == losses
    assert (lowest.get_xydata().tolist(), lowest.get_label()) == ([[2, 1.6]], "lowest: epoch 2")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss (nats per row)")


def test_without_validation_data_there_is_one_line(ax) -> None:
    losses_against_epochs(History((2.0, 1.5)), ax, unit="squared error")
    assert ax.get_legend_handles_labels()[1] == ["sub-networks, training"]
    assert ax.get_ylabel() == "loss (squared error)"


def test_a_history_of_nothing_or_of_nan_is_refused(ax) -> None:
    with pytest.raises(InputError, match="A history of no epochs was given"):
        losses_against_epochs(History(), ax)
    with pytest.raises(InputError, match="train_loss: 1 of 2 values are NaN"):
        losses_against_epochs(History((2.0, float("nan"))), ax)

import numpy as np
import pytest
import torch

from mcdrop.calibration.forecasts import forecasts, gathered
from mcdrop.prediction import Binary, Categorical, from_draws

DRAWS = torch.tensor([[[0.6, 0.4], [0.1, 0.9]], [[0.2, 0.8], [0.3, 0.7]]], dtype=torch.float64)
TARGETS = torch.tensor([0, 1])


def test_the_label_may_change_without_a_group_of_draws():
    """Of row 0 class 1 has .6 on average, .8 without the first draw, .4 without the second."""
    of = forecasts(from_draws(DRAWS, Categorical(probs=True)), TARGETS, "top_label")
    torch.testing.assert_close(of.probs[:, 0, 0, 0], torch.tensor([0.6, 0.8, 0.6], dtype=torch.float64))
    assert of.happened[:, 0, 0, 0].tolist() == [False, False, True]


def test_classwise_events_and_their_layout():
    of = forecasts(from_draws(DRAWS, Categorical(probs=True)), TARGETS, "classwise", deleted=False)
    assert of.probs.shape == (1, 2, 1, 2)
    torch.testing.assert_close(of.probs[0, :, 0], DRAWS.mean(dim=0))
    assert of.happened[0, :, 0].tolist() == [[True, False], [False, True]]
    event = forecasts(from_draws(DRAWS[..., 1], Binary(probs=True)), TARGETS, "classwise")
    assert event.probs.shape == event.happened.shape == (3, 2, 1, 1)
    torch.testing.assert_close(event.probs[0, :, 0, 0], DRAWS[..., 1].mean(dim=0))


def test_elements_of_a_row_stand_on_one_axis_whatever_the_class_axis():
    logits = torch.randn(4, 3, 2, 5, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(2, (3, 5, 6), generator=torch.Generator().manual_seed(1))
    first = forecasts(from_draws(logits, Categorical(class_dim=1)), labels, "classwise")
    last = forecasts(from_draws(logits.movedim(2, -1), Categorical(class_dim=-1)), labels, "classwise")
    assert first.probs.shape == (5, 3, 30, 2)
    torch.testing.assert_close(first.probs, last.probs)
    assert torch.equal(first.happened, last.happened)


@pytest.mark.parametrize("reverse", [False, True])
def test_arrays_of_numpy_may_run_backwards(reverse):
    p = np.array([0.2, 0.7])[:: -1 if reverse else 1]
    of = gathered(p, np.array([1, 1]), "classwise")
    assert of.probs.flatten().tolist() == p.tolist()

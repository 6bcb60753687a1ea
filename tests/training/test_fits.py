"""The rule of over- and underfitting, on numbers made for it."""

import pytest
import torch

from mcdrop.calibration import Score
from mcdrop.training.fits import best_of, fit_of, sentence
from mcdrop.training.over_seeds import OverSeeds


def measured(value: float, error: float = 0.0) -> OverSeeds:
    """A loss whose only error is over two seeds; against one with the error 0 it is that of the difference."""
    return OverSeeds(Score(value, 0.0, None, influence=torch.zeros(5)), (value - error, value + error))


BEST = measured(1.0), measured(0.5)


@pytest.mark.parametrize(
    ("test", "train", "fit"),
    [
        (measured(1.5, 0.24), measured(0.25, 0.12), "overfits"),
        (measured(1.5, 0.24), measured(0.75, 0.12), "underfits"),
        (measured(1.5, 0.24), measured(0.25, 0.125), "worse than the best"),
        (measured(1.5, 0.24), measured(0.75, 0.125), "worse than the best"),
        (measured(1.5, 0.25), measured(0.25), "as good as the best"),
        (measured(1.5, 0.25), measured(0.75), "as good as the best"),
        (measured(1.0), measured(0.25), "as good as the best"),
        (*BEST, "the best"),
    ],
)
def test_a_difference_counts_beyond_two_of_its_errors(test, train, fit) -> None:
    assert fit_of(test, train, *BEST) == fit


def test_errors_that_both_rates_share_do_not_count() -> None:
    shared = [measured(value, 0.4) for value in (1.5, 0.25, 1.0, 0.5)]
    assert fit_of(*shared) == "overfits"


def test_the_best_has_the_lowest_test_loss_the_first_of_equals() -> None:
    assert best_of([measured(2.0), measured(1.0), measured(1.0)]) == 1


def test_the_sentence_says_the_numbers() -> None:
    numbers = (measured(1.5, 0.1), measured(0.25), *BEST)
    assert sentence(0.0, "overfits", numbers, 0.2) == (
        "p = 0: overfits; test loss 1.5 is 1.2 ± 0.1 above train loss 0.25; test loss is 0.5 ± 0.1 above that of "
        "p = 0.2, and train loss is 0.25 ± 0 below."
    )
    assert sentence(0.2, "the best", (*BEST, *BEST), 0.2) == (
        "p = 0.2: the best; test loss 1 is 0.5 ± 0 above train loss 0.5."
    )

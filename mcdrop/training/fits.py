"""Which dropout rates overfit and which underfit, told from losses and their errors alone."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from mcdrop.training.over_seeds import OverSeeds, gap

Fit: TypeAlias = Literal["the best", "as good as the best", "overfits", "underfits", "worse than the best"]

SURE = 2.0
"""Errors that a difference must exceed to be called one."""


def best_of(test: Sequence[OverSeeds]) -> int:
    """The place of the lowest test loss, the first one of equals."""
    return min(range(len(test)), key=lambda place: test[place].value)


def fit_of(test: OverSeeds, train: OverSeeds, best_test: OverSeeds, best_train: OverSeeds) -> Fit:
    """What one rate does, held against the rate with the lowest test loss.

    With d = loss(rate) - loss(best), on test and on training data, and e the error of d (paired over rows, masks and
    seeds), a difference is called one where |d| > 2 e:

        as good as the best   not d_test > 2 e_test
        overfits              d_test > 2 e_test  and  d_train < -2 e_train      predicts worse, fits better
        underfits             d_test > 2 e_test  and  d_train >  2 e_train      predicts worse, fits worse
        worse than the best   d_test > 2 e_test  otherwise: the losses do not tell why

    Args:
        test: Loss on test data.
        train: Loss of the same predictor on training data.
        best_test: Of the rate with the lowest test loss.
        best_train: Of the same rate.

    Source:
        Mitchell 1997, "Machine Learning", sec. 3.7: a hypothesis overfits if another one has the larger error on the
        training examples and the smaller one over all instances.
    """
    if test is best_test:
        return "the best"
    if _sign(test - best_test) <= 0:
        return "as good as the best"
    names: dict[int, Fit] = {-1: "overfits", 0: "worse than the best", 1: "underfits"}
    return names[_sign(train - best_train)]


def sentence(
    rate: float, fit: Fit, numbers: tuple[OverSeeds, OverSeeds, OverSeeds, OverSeeds], best_rate: float
) -> str:
    """What `fit_of` found at a rate, with the numbers that it was told from, in the order of its arguments."""
    test, train, best_test, best_train = numbers
    own = f"test loss {test.value:.3g} is {_apart(*gap(test, train))} train loss {train.value:.3g}"
    if fit == "the best":
        return f"p = {rate:g}: the best; {own}."
    on_test, on_train = test - best_test, train - best_train
    return (
        f"p = {rate:g}: {fit}; {own}; test loss is {_apart(on_test.value, on_test.total_error)} that of "
        f"p = {best_rate:g}, and train loss is {_apart(on_train.value, on_train.total_error)}."
    )


def _sign(difference: OverSeeds) -> int:
    """-1, 0 or 1: 0 within the errors."""
    if abs(difference.value) <= SURE * difference.total_error:
        return 0
    return -1 if difference.value < 0 else 1


def _apart(value: float, error: float) -> str:
    return f"{abs(value):.2g} ± {error:.1g} {'above' if value >= 0 else 'below'}"

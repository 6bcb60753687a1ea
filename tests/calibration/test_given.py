import numpy as np
import pytest
import torch

from mcdrop.calibration import (
    Temperature,
    accuracy,
    aurc,
    auroc,
    auroc_ood,
    coverage_curve,
    crps,
    error_against_uncertainty,
    expected_calibration_error,
    pit_histogram,
    rmse,
)
from mcdrop.calibration.given import as_tensor, check_rows
from mcdrop.errors import InputError
from mcdrop.prediction import Categorical, Gaussian, from_draws

LOGITS = torch.randn(10, 6, 3, generator=torch.Generator().manual_seed(0))
CLASSES, LABELS = from_draws(LOGITS, Categorical()), torch.tensor([0, 1, 2, 0, 1, 2])
NUMBERS, Y = from_draws(LOGITS[..., 0], Gaussian(1.0)), LOGITS[0, :, 1]


def test_an_array_that_runs_backwards_or_is_read_only_is_copied():
    array = np.arange(3.0)
    array.setflags(write=False)
    assert as_tensor(array[::-1]).tolist() == [2.0, 1.0, 0.0]
    tensor = torch.zeros(2)
    assert as_tensor(tensor) is tensor


@pytest.mark.parametrize(
    ("score", "given", "targets"),
    [
        (accuracy, CLASSES, LABELS),
        (expected_calibration_error, CLASSES, LABELS),
        (aurc, CLASSES, LABELS),
        (rmse, NUMBERS, Y),
        (crps, NUMBERS, Y),
        (Temperature.fit, CLASSES, LABELS),
    ],
)
def test_lists_and_words_as_targets_are_refused_in_words(score, given, targets, without_type_checks):
    with pytest.raises(InputError, match=r"A list given as targets, .* np.asarray\(...\) makes one"):
        score(given, targets.tolist())
    with pytest.raises(InputError, match="An array of dtype <U1 given as targets"):
        score(given, np.array(["a"] * 6))
    with pytest.raises(InputError, match="An array of dtype object given as targets"):
        score(given, np.array(targets.tolist(), dtype=object))


@pytest.mark.parametrize("score", [accuracy, expected_calibration_error, rmse])
def test_targets_before_predictions_are_refused_with_the_order(score, without_type_checks):
    with pytest.raises(InputError, match=r"A CategoricalPrediction given as targets, .* Predictions come first"):
        score(LABELS, CLASSES)


def test_lists_as_predictions_or_uncertainties_are_refused_in_words(without_type_checks):
    for score in (
        lambda: accuracy([0.5, 0.5], torch.tensor([0, 1])),
        lambda: crps([[0.5, 0.5]], torch.zeros(2)),
        lambda: auroc_ood([0.5], [0.5]),
        lambda: auroc([0.5, 0.1], torch.tensor([0, 1])),
        lambda: aurc(CLASSES, LABELS, uncertainty=[0.5] * 6),
    ):
        with pytest.raises(InputError, match="A list given, expected a prediction, a tensor or a NumPy array"):
            score()
    with pytest.raises(InputError, match="A single number given as a prediction"):
        accuracy(torch.tensor(0.5), torch.tensor([1]))


def test_rows_and_targets_must_be_as_many():
    with pytest.raises(InputError, match="0 rows given, a fit needs at least one"):
        check_rows(0, torch.zeros(0), "a fit")
    with pytest.raises(InputError, match=r"Targets of shape \(2,\) given for predictions of 3 rows"):
        check_rows(3, torch.zeros(2), "a score")
    with pytest.raises(InputError, match=r"Targets of shape \(\) given"):
        check_rows(1, torch.tensor(0), "a score")


def test_a_recalibrator_of_an_array_is_refused_in_words(without_type_checks):
    recalibrator = Temperature.fit(CLASSES, CLASSES.labels.roll(1))
    with pytest.raises(InputError, match="A Tensor given, and the number of draws and their masks are part of"):
        recalibrator(CLASSES.probs)


@pytest.mark.parametrize("bins", [2.5, True, "ten"])
def test_bins_are_a_whole_number(bins, without_type_checks):
    for score in (pit_histogram, error_against_uncertainty):
        with pytest.raises(InputError, match=f"bins={bins!r} given, .*a whole number"):
            score(NUMBERS, Y, bins=bins)


def test_a_single_level_is_refused_with_the_remedy(without_type_checks):
    with pytest.raises(InputError, match=r"levels=0.9 given, expected several, such as \(0.9,\) for this one"):
        coverage_curve(NUMBERS, Y, levels=0.9)


def test_means_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="1 predicted means are NaN or infinite"):
        rmse(torch.tensor([float("nan"), 1.0]), torch.zeros(2))

"""What every fit checks first: that there are rows, a target for each, and a prediction that it can change."""

from typing import TypeAlias

from mcdrop.calibration.given import check_rows
from mcdrop.errors import InputError
from mcdrop.prediction import BinaryPrediction, CategoricalPrediction, Poisson, Prediction
from mcdrop.prediction.recalibrated import Numbers
from mcdrop.types import ArrayLike

Classes: TypeAlias = CategoricalPrediction | BinaryPrediction
"""A prediction of classes or events."""


def classes(prediction: Prediction, targets: ArrayLike, name: str) -> Classes:
    """The prediction, if it is of classes or events and has as many rows as targets.

    Raises:
        InputError: Otherwise, or without rows.
    """
    if not isinstance(prediction, CategoricalPrediction | BinaryPrediction):
        raise InputError(
            f"A {type(prediction).__name__} given, and {name} is for classes and events. For numbers there are "
            "VarianceScaling, CdfRecalibration, Precision and ResidualIntervals."
        )
    check_rows(len(prediction), targets, "a fit")
    return prediction


def numbers(prediction: Prediction, targets: ArrayLike, name: str) -> Numbers:
    """The prediction, if it is of numbers and has as many rows as targets.

    Raises:
        InputError: Otherwise, or without rows.
    """
    if not isinstance(prediction, Numbers):
        raise InputError(
            f"A {type(prediction).__name__} given, and {name} is for numbers. For classes there are Temperature, "
            "Isotonic, LeastAmbiguousSets and AdaptiveSets."
        )
    check_rows(len(prediction), targets, "a fit")
    return prediction


def continuous_numbers(prediction: Prediction, targets: ArrayLike, name: str) -> Numbers:
    """As `numbers`, without counts.

    Raises:
        InputError: If the prediction is of counts.
    """
    given = numbers(prediction, targets, name)
    if isinstance(given.likelihood, Poisson):
        raise InputError(
            f"A prediction of counts given, and {name} would give fractions of a count positive probability: it is "
            "for Gaussian and HeteroscedasticGaussian. For counts use ResidualIntervals."
        )
    return given

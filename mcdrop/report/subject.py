"""What a report is about: the arguments of `write`, checked, and thinned where there is too much to rank."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from mcdrop.calibration import accuracy, rmse
from mcdrop.calibration.given import as_tensor, check_rows
from mcdrop.calibration.losses import Predicted
from mcdrop.errors import InputError
from mcdrop.prediction import (
    Binary,
    BinaryPrediction,
    Categorical,
    CategoricalPrediction,
    Prediction,
    Provenance,
    from_draws,
)
from mcdrop.prediction.recalibrated import Numbers
from mcdrop.report.measures import OF_LABELS, OF_NUMBERS, Measure, Scored, scored
from mcdrop.report.thinning import Thinning, thinning_for
from mcdrop.report.wording import plain
from mcdrop.sites import Audit
from mcdrop.types import ArrayLike

Answers: TypeAlias = CategoricalPrediction | BinaryPrediction
"""Predictions of labels, which are right or wrong."""

Predicts: TypeAlias = Answers | Numbers
"""What a report can be about."""

Rival: TypeAlias = Predicts | Tensor
"""Another predictor of the same rows; of numbers perhaps its means alone."""

Kind: TypeAlias = Literal["classes", "events", "numbers"]
"""Of what is predicted."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What a report is about.

    Args:
        prediction: What is reported on.
        targets: Of its rows.
        kind: Of what is predicted.
        name: Of the prediction.
        weight_scaled: The single network, if given.
        recalibrated: The prediction after recalibration, if given.
        other: Another predictor and its name, if given.
        audit: Of the model, if given.
        images: (N, *shape) pictures of the rows, if given.
        class_names: Of the C classes, or their numbers.
        unit: Of the targets.
        notes: What was thinned, and by which rule.
        row_step: Of how many given rows one is among these.
    """

    prediction: Predicts
    targets: Tensor
    kind: Kind
    name: str
    weight_scaled: Rival | None = None
    recalibrated: Predicts | None = None
    other: tuple[str, Rival] | None = None
    audit: Audit | None = None
    images: Tensor | None = None
    class_names: tuple[str, ...] = ()
    unit: str = ""
    notes: tuple[str, ...] = ()
    row_step: int = 1

    @property
    def is_of_labels(self) -> bool:
        """Whether answers are right or wrong: of classes and of events."""
        return self.kind != "numbers"

    @property
    def answers(self) -> Answers:
        """The prediction, which is of labels."""
        assert isinstance(self.prediction, Answers)
        return self.prediction

    @property
    def numbers(self) -> Numbers:
        """The prediction, which is of numbers."""
        assert isinstance(self.prediction, Numbers)
        return self.prediction

    @property
    def num_classes(self) -> int:
        """C; 2 for events, 0 for numbers."""
        if isinstance(self.prediction, CategoricalPrediction):
            return self.prediction.probs.shape[self.prediction.class_dim]
        return 2 if self.kind == "events" else 0

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The scores of what is predicted."""
        return OF_LABELS if self.is_of_labels else OF_NUMBERS

    @cached_property
    def scored(self) -> Scored:
        """The prediction with its scores, which take most of the time that a report takes."""
        return scored(self.name, self.measures, self.prediction, self.targets)

    @property
    def elements_per_row(self) -> int:
        """Labels or numbers in a row: 1, or the pixels of an image, or the outputs of a network."""
        return self.targets[0].numel()


def checked(
    prediction: Prediction,
    targets: ArrayLike,
    *,
    weight_scaled: Predicted | None,
    recalibrated: Prediction | None,
    other: Predicted | None,
    audit: Audit | None,
    images: ArrayLike | None,
    class_names: Sequence[str] | None,
    names: tuple[str, str],
    unit: str,
) -> Subject:
    """The subject of a report, of the arguments of `write`.

    Raises:
        InputError: If one of them does not fit; says which and what is expected.
        OutputError: If what is given as probabilities are none.
    """
    checked_prediction = _reportable(prediction, "the prediction")
    kind = _kind(checked_prediction)
    check_rows(len(prediction), targets, "a report")
    score = rmse if kind == "numbers" else accuracy
    score(prediction, targets)  # for its checks of the targets
    if recalibrated is not None and not isinstance(recalibrated, Prediction):
        raise InputError(f"recalibrated={_described(recalibrated)} given; expected the prediction after recalibration.")
    rivals = [
        None if given is None else _rival(argument, given, checked_prediction)
        for argument, given in (("weight_scaled=", weight_scaled), ("recalibrated=", recalibrated), ("other=", other))
    ]
    for rival in rivals:
        if rival is not None:
            score(rival, targets)  # for its checks of an array of means
    if audit is not None and not isinstance(audit, Audit):
        raise InputError(f"audit={_described(audit)} given; expected what mcdrop.audit(model, x) returns.")
    if isinstance(names, str) or len(names) != 2:
        raise InputError(f"names={names!r} given; expected two, of the prediction and of the other one.")
    single, after, another = rivals
    assert not isinstance(after, Tensor)
    subject = Subject(
        prediction=checked_prediction,
        targets=as_tensor(targets).detach(),
        kind=kind,
        name=plain(names[0]),
        weight_scaled=single,
        recalibrated=after,
        other=None if another is None else (plain(names[1]), another),
        audit=audit,
        images=None if images is None else _checked_images(images, len(prediction)),
        unit=plain(unit),
    )
    subject = replace(subject, class_names=_checked_names(class_names, subject))
    return _thinned(subject, thinning_for(subject.prediction, subject.targets))


def _thinned(subject: Subject, thinning: Thinning) -> Subject:
    """The part that is scored, on the CPU: most of the scores are computed there anyway."""

    def part(rival: Rival) -> Rival:
        return (thinning.rows_of(rival) if isinstance(rival, Tensor) else thinning.predicted(rival)).to("cpu")

    return replace(
        subject,
        prediction=thinning.predicted(subject.prediction).to("cpu"),
        targets=thinning.targets(subject.targets).cpu(),
        weight_scaled=None if subject.weight_scaled is None else part(subject.weight_scaled),
        recalibrated=None if subject.recalibrated is None else thinning.predicted(subject.recalibrated).to("cpu"),
        other=None if subject.other is None else (subject.other[0], part(subject.other[1])),
        images=None if subject.images is None else thinning.rows_of(subject.images).cpu(),
        notes=thinning.notes,
        row_step=thinning.rows,
    )


def _reportable(given: Any, what: str) -> Predicts:
    if isinstance(given, Predicts):
        return given
    raise InputError(
        f"{_described(given)} given as {what}; expected one that MCDropout or mcdrop.prediction.from_draws made with "
        "Categorical, Binary, Gaussian, HeteroscedasticGaussian or Poisson: raw outputs say nothing about targets."
    )


def _kind(prediction: Predicts) -> Kind:
    if isinstance(prediction, CategoricalPrediction):
        return "classes"
    return "events" if isinstance(prediction, BinaryPrediction) else "numbers"


def _rival(argument: str, given: Predicted, prediction: Predicts) -> Rival:
    """The rival; probabilities as the prediction of a predictor without draws."""
    kind, expected = _kind(prediction), _shape(prediction)
    rival = _reportable(given, argument) if isinstance(given, Prediction) else as_tensor(given).detach()
    if not isinstance(rival, Tensor) and _kind(rival) != kind:
        raise InputError(f"{argument} is a prediction of {_kind(rival)}; expected one of {kind}.")
    shape = tuple(rival.shape) if isinstance(rival, Tensor) else _shape(rival)
    if shape != expected:
        raise InputError(
            f"{argument} has the shape {shape}; expected {expected}, that of the prediction: the same rows in the same "
            "order."
        )
    if not isinstance(rival, Tensor) or kind == "numbers":
        return rival
    likelihood: Categorical | Binary = Binary(probs=True)
    if isinstance(prediction, CategoricalPrediction):
        likelihood = Categorical(class_dim=prediction.class_dim, probs=True)
    alone = from_draws(rival[None], likelihood, provenance=Provenance(num_samples=1, members=True))
    return _reportable(alone, argument)


def _shape(prediction: Prediction) -> tuple[int, ...]:
    return tuple(next(iter(prediction.moments.values())).mean.shape)


def _checked_names(class_names: Sequence[str] | None, subject: Subject) -> tuple[str, ...]:
    many = subject.num_classes
    if class_names is None:
        return tuple(map(str, range(many)))
    if isinstance(class_names, str) or len(class_names) != many:
        raise InputError(
            f"class_names={class_names!r} given; expected {many} names, one for each class."
            if many
            else f"class_names={class_names!r} given for a prediction of numbers, which has no classes."
        )
    return tuple(map(plain, class_names))


def _checked_images(images: ArrayLike, rows: int) -> Tensor:
    tensor = as_tensor(images).detach()
    colours = tensor.ndim == 4 and (tensor.shape[1] in (1, 3) or tensor.shape[3] in (1, 3))
    if len(tensor) != rows or not (tensor.ndim == 3 or colours) or not tensor.numel():
        raise InputError(
            f"images= has the shape {tuple(tensor.shape)}; expected one image for each of {rows} rows: "
            "(N, height, width), (N, channels, height, width) or (N, height, width, channels) with 1 or 3 channels."
        )
    if not torch.isfinite(tensor).all():
        raise InputError(f"images= has {int((~torch.isfinite(tensor)).sum())} values that are NaN or infinite.")
    return tensor


def _described(value: object) -> str:
    return f"a {type(value).__name__}"

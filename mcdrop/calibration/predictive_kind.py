"""What two predictions must have in common so that what was fitted on one may be applied to the other."""

import dataclasses
from dataclasses import dataclass

from mcdrop.errors import InputError
from mcdrop.prediction import BinaryPrediction, CategoricalPrediction, Prediction, RawPrediction


@dataclass(frozen=True)
class PredictiveKind:
    """The predictive that something was fitted on, whatever its rows.

    A recalibrator corrects one predictive, and the number of draws, their design and their masks are part of it: an
    average over 10 draws is further off than one over 100, and with shared masks another seed is another function.
    Rows, device, precision, whether draws were kept, and how the passes ran are not. Nor is the model, which a
    prediction does not know.

    Args:
        likelihood: How outputs are read.
        outputs: Shape of one row's output: (C,) for classes, without the axes of pixels or tokens; () for events.
        num_samples: `T`; 0 where it was left to `until`.
        design: How the draws depend on each other.
        block_size: Draws per block of the design.
        shared_masks: Whether all rows see the same draw.
        members: Whether the draws are the members of an ensemble.
        seed: Of the masks; None where they are not known by a seed, or where each row has its own.
        recalibrated: By what, before.
        until: What ended the drawing, if that was not a number.
    """

    likelihood: str
    outputs: tuple[int, ...]
    num_samples: int
    design: str
    block_size: int
    shared_masks: bool
    members: bool
    seed: int | None
    recalibrated: str
    until: str = ""

    @classmethod
    def of(cls, prediction: Prediction) -> "PredictiveKind":
        """The kind of a prediction.

        Raises:
            InputError: If it is no prediction, or one of raw outputs, which say nothing about targets.

        Example:
            >>> import torch
            >>> from mcdrop.prediction import Categorical, from_draws
            >>> PredictiveKind.of(from_draws(torch.zeros(10, 5, 3), Categorical())).outputs
            (3,)
        """
        if not isinstance(prediction, Prediction):
            raise InputError(
                f"A {type(prediction).__name__} given, and the number of draws and their masks are part of what is "
                "recalibrated: expected a prediction, such as mcdrop.prediction.from_draws makes of draws."
            )
        if isinstance(prediction, RawPrediction):
            raise InputError(
                "A prediction of Identity() given, which says nothing about targets: choose a likelihood that does, "
                "such as Categorical() or Gaussian(precision)."
            )
        ran = prediction.provenance
        statistics = next(iter(prediction.moments.values())).mean
        outputs = tuple(statistics.shape[1:])
        if isinstance(prediction, CategoricalPrediction):
            outputs = (statistics.shape[prediction.class_dim],)
        elif isinstance(prediction, BinaryPrediction):
            outputs = ()
        return cls(
            likelihood=str(prediction.likelihood),
            outputs=outputs,
            num_samples=0 if ran.until else ran.num_samples,
            design=ran.design,
            block_size=ran.block_size,
            shared_masks=ran.shared_masks,
            members=ran.members,
            seed=ran.seed if ran.shared_masks and not ran.members else None,
            recalibrated=ran.recalibrated,
            until=ran.until,
        )

    def check(self, prediction: Prediction, name: str) -> None:
        """Raises InputError if a prediction is of another kind; `name` is what was fitted on this one."""
        other = PredictiveKind.of(prediction)
        for field in dataclasses.fields(self):
            mine, given = getattr(self, field.name), getattr(other, field.name)
            if mine == given:
                continue
            if field.name == "recalibrated":
                raise InputError(
                    f"A prediction recalibrated by {given or 'nothing'} given, and this {name} was fitted on one "
                    f"recalibrated by {mine or 'nothing'}: apply the same recalibrators in the same order before it."
                )
            raise InputError(
                f"A prediction with {field.name}={given!r} given, and this {name} was fitted on one with "
                f"{field.name}={mine!r}, which is another predictive: predict with {field.name}={mine!r}, or fit "
                "again on held-out rows predicted as these were."
            )

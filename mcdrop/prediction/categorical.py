"""One of C classes: logits, or probabilities, along a class axis."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import InputError, OutputError
from mcdrop.prediction.classification import CategoricalPrediction
from mcdrop.prediction.likelihood import Likelihood
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.outputs import finite, one_tensor
from mcdrop.prediction.provenance import Provenance
from mcdrop.prediction.spread import accumulated
from mcdrop.prediction.targets import class_labels
from mcdrop.prediction.uncertainty import entropy
from mcdrop.types import ArrayLike, Tree


@final
@dataclass(frozen=True)
class Categorical(Likelihood[CategoricalPrediction]):
    """`p(y = c | draw) = softmax(logits)_c`, or the model's own probabilities.

    Args:
        class_dim: The class axis of one pass's output `(N, *out)`, counted as in torch: 1 for (N, C, H, W), -1 for
            (N, L, C). None is the last axis of (N, C) and must be said beyond two axes.
        probs: True if the model returns probabilities. Never guessed from values. They are used as given, also where
            they sum to one only up to rounding.

    Example:
        >>> import torch
        >>> outputs = torch.zeros(10, 5, 3)  # draws, rows, classes
        >>> {name: tuple(values.shape) for name, values in Categorical().statistics(outputs).items()}
        {'probs': (10, 5, 3), 'entropy': (10, 5)}
    """

    class_dim: int | None = None
    probs: bool = False
    keeps_samples: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.class_dim == 0:
            raise InputError(
                "class_dim=0 given, which is the axis of rows: classes lie on 1 or later, or count from -1."
            )

    def check(self, outputs: Tree) -> None:
        tensor = one_tensor(outputs, self, "probabilities (N, C)" if self.probs else "logits (N, C)")
        axis = self._axis(tensor)
        if self.probs:
            finite(~tensor.isfinite(), self)
            self._check_probs(tensor, axis)
        elif tensor.numel() and not tensor.amax(dim=axis).isfinite().all():  # -inf is a masked class unless all are
            all_masked = (tensor == -torch.inf).all(dim=axis, keepdim=True)
            finite(tensor.isnan() | (tensor == torch.inf) | all_masked, self)

    def statistics(self, outputs: Tree) -> dict[str, Float[Tensor, "n N *_"]]:
        axis, values = self._axis(outputs), accumulated(outputs)
        probs = values if self.probs else values.softmax(dim=axis)
        return {"probs": probs, "entropy": entropy(probs, dim=axis)}

    def log_prob(self, outputs: Tree, targets: ArrayLike) -> Float[Tensor, "n N *_"]:
        axis, log_probs = self._axis(outputs), self._log_probs(outputs)
        shape = log_probs.select(axis, 0).shape
        labels = class_labels(targets, shape[1:], outputs.shape[axis], outputs)
        return log_probs.gather(axis, labels.expand(shape).unsqueeze(axis)).squeeze(axis)

    def geometric_mean(self, outputs: Tree) -> Float[Tensor, " N *out"]:
        mean = self._log_probs(outputs).mean(dim=0)
        return mean.softmax(dim=self._axis(outputs) - 1) if self.probs else mean

    def predict(
        self, moments: dict[str, Moments], samples: Tree, provenance: Provenance, structure: Tree = None
    ) -> CategoricalPrediction:
        axis = self._axis(moments["probs"].mean[None]) - 1
        return CategoricalPrediction(
            likelihood=self, provenance=provenance, moments=moments, samples=samples, class_dim=axis
        )

    def _axis(self, outputs: Tensor) -> int:
        """The class axis of (n, N, *out)."""
        shape = tuple(outputs.shape[1:])
        if self.class_dim is None:
            if len(shape) == 2:
                return 2
            if len(shape) == 1:
                raise OutputError(
                    f"Categorical() reads logits (N, C), and the model returned {shape}, which has no class axis. "
                    "For one logit per row use Binary()."
                )
            raise OutputError(
                f"Categorical() reads logits (N, C), and the model returned {shape}: say which axis holds the classes, "
                "as in Categorical(class_dim=1) for (N, C, H, W) or Categorical(class_dim=-1) for (N, L, C)."
            )
        axis = self.class_dim if self.class_dim > 0 else self.class_dim + len(shape)
        if not 1 <= axis < len(shape):
            raise OutputError(
                f"class_dim={self.class_dim} given, and the model returned {shape}: classes lie on an axis from 1 to "
                f"{len(shape) - 1} or from -1 to {1 - len(shape)}; axis 0 holds the rows."
            )
        return axis + 1

    def _log_probs(self, outputs: Tensor) -> Tensor:
        values = accumulated(outputs)
        return values.log() if self.probs else values.log_softmax(dim=self._axis(outputs))

    def _check_probs(self, tensor: Tensor, axis: int) -> None:
        if (tensor < 0).any():
            raise OutputError(
                f"{self} reads probabilities, and {int((tensor < 0).sum())} outputs are negative. If the model returns "
                "logits, leave probs=True out; for log probabilities do so as well."
            )
        off = (accumulated(tensor).sum(dim=axis) - 1).abs()
        if off.numel() and off.max().item() > max(1e-4, 4 * torch.finfo(tensor.dtype).eps):
            raise OutputError(
                f"{self} reads probabilities, and sums over classes are off one by up to {off.max().item():.3g}. "
                "If the model returns logits, leave probs=True out; otherwise see whether class_dim is right."
            )

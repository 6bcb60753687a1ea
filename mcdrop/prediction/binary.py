"""An event that happens or not: one logit, or one probability, per event."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import OutputError
from mcdrop.prediction.classification import BinaryPrediction
from mcdrop.prediction.likelihood import Likelihood
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.outputs import finite, one_tensor
from mcdrop.prediction.provenance import Provenance
from mcdrop.prediction.spread import accumulated
from mcdrop.prediction.targets import events
from mcdrop.prediction.uncertainty import entropy
from mcdrop.types import ArrayLike, Tree


@final
@dataclass(frozen=True)
class Binary(Likelihood[BinaryPrediction]):
    """`p(y = 1 | draw) = 1 / (1 + exp(-logit))`, or the model's own probability of 1.

    Outputs are (N,), (N, 1) or of any further shape, one event per element; results keep that shape.

    Args:
        probs: True if the model returns the probability of 1. Never guessed from values.

    Example:
        >>> import torch
        >>> Binary().statistics(torch.zeros(10, 5))["probs"][0, 0]
        tensor(0.5000, dtype=torch.float64)
    """

    probs: bool = False
    keeps_samples: ClassVar[bool] = False

    def check(self, outputs: Tree) -> None:
        tensor = one_tensor(outputs, self, "probabilities of 1 (N,)" if self.probs else "logits (N,) or (N, 1)")
        if tensor.ndim == 3 and tensor.shape[2] == 2:
            raise OutputError(
                f"{self} reads one logit per event, and the model returned {tuple(tensor.shape[1:])}. For the two "
                "logits of one softmax use Categorical(); for two events per row return (N, 2, 1)."
            )
        finite(~tensor.isfinite(), self)
        if self.probs and ((tensor < 0) | (tensor > 1)).any():
            raise OutputError(
                f"{self} reads probabilities, and {int(((tensor < 0) | (tensor > 1)).sum())} outputs lie outside "
                "0 to 1. If the model returns logits, leave probs=True out."
            )

    def statistics(self, outputs: Tree) -> dict[str, Float[Tensor, "n N *_"]]:
        values = accumulated(outputs)
        yes, no = (values, 1 - values) if self.probs else (values.sigmoid(), (-values).sigmoid())
        # 1 - yes has no digits left beyond a logit of 37, and log p(y = 0) would be infinite
        return {"probs": yes, "complement": no, "entropy": entropy(torch.stack([no, yes], dim=-1))}

    def log_prob(self, outputs: Tree, targets: ArrayLike) -> Float[Tensor, "n N *_"]:
        happened = events(targets, outputs.shape[1:], outputs)
        log_yes, log_no = self._log_probs(outputs)
        return torch.where(happened == 1, log_yes, log_no)

    def geometric_mean(self, outputs: Tree) -> Float[Tensor, " N *out"]:
        log_yes, log_no = self._log_probs(outputs)
        logit = (log_yes - log_no).mean(dim=0)
        return logit.sigmoid() if self.probs else logit

    def predict(
        self, moments: dict[str, Moments], samples: Tree, provenance: Provenance, structure: Tree = None
    ) -> BinaryPrediction:
        return BinaryPrediction(likelihood=self, provenance=provenance, moments=moments, samples=samples)

    def _log_probs(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        values = accumulated(outputs)
        if self.probs:
            return values.log(), (-values).log1p()
        return torch.nn.functional.logsigmoid(values), torch.nn.functional.logsigmoid(-values)

"""How an output is read: the abstract likelihood, `p(y | output)`.

A likelihood checks what a model returns, says which statistics of it are streamed, evaluates log p(y | draw) and turns
the moments into a prediction. It knows nothing of the model or of dropout.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from jaxtyping import Float
from torch import Tensor

from mcdrop.prediction.moments import Moments
from mcdrop.prediction.provenance import Provenance
from mcdrop.types import ArrayLike, Tree

Record = TypeVar("Record", covariant=True)
"""The prediction that a likelihood makes."""


class Likelihood(ABC, Generic[Record]):
    """How an output is read. Subclasses are final, frozen dataclasses.

    In all methods `outputs` is a chunk of n draws, as the model gave them for N rows and stacked on a leading axis:
    `(n, N, *out)`.
    """

    keeps_samples: ClassVar[bool]
    """What `keep_samples=None` means: True where the prediction needs every draw and not only moments."""

    @abstractmethod
    def check(self, outputs: Tree) -> None:
        """Raises if this likelihood cannot read the outputs.

        Raises:
            OutputError: If structure, dtype, shape or range do not fit; says which likelihood or option does.
            NonFiniteError: If there are NaN or infinities; says how many, in which draws (from this chunk's first).
        """

    @abstractmethod
    def statistics(self, outputs: Tree) -> dict[str, Float[Tensor, "n N *_"]]:
        """The quantities of each draw whose moments are kept, by name, computed in float64."""

    @abstractmethod
    def log_prob(self, outputs: Tree, targets: ArrayLike) -> Float[Tensor, "n N *_"]:
        """`log p(y | draw)` of each draw in nats.

        Raises:
            InputError: If dtype, shape or range of the targets do not fit.
        """

    @abstractmethod
    def geometric_mean(self, outputs: Tree) -> Tree:
        """The output (N, *out) whose law is the normalised geometric mean of the draws': p(y) ~ prod_t p_t(y)^(1/n).

        Raises:
            UnavailableError: If this likelihood has no density.

        Source: Hinton et al. 2012, "Improving neural networks by preventing co-adaptation of feature detectors",
        https://arxiv.org/abs/1207.0580: weight scaling is this mean, exactly, for one layer before a softmax.
        """

    @abstractmethod
    def predict(
        self, moments: dict[str, Moments], samples: Tree, provenance: Provenance, structure: Tree = None
    ) -> Record:
        """The prediction.

        Args:
            moments: Of all `statistics`.
            samples: All draws `(T, N, *out)`, or None if they were not kept.
            provenance: What was run.
            structure: One draw without its numbers: the outputs' tree with tensors on the meta device.
        """


class RegressionLikelihood(Likelihood[Record]):
    """A likelihood of numbers, whose mixture over the draws has a cumulative distribution and quantiles."""

    @abstractmethod
    def cdf(self, samples: Tree, values: ArrayLike) -> Float[Tensor, " N *out"]:
        """`P(Y <= y)` under the mixture of the draws."""

    @abstractmethod
    def quantile(self, samples: Tree, q: float) -> Float[Tensor, " N *out"]:
        """The smallest y with `P(Y <= y) >= q` under the mixture of the draws, 0 < q < 1."""

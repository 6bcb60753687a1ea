"""The parameter view: dropout on the units of a layer makes the layer's weights random."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.noise import check_probability


@dataclass(frozen=True, eq=False)
class EffectiveWeights:
    """The law of a layer's weights when its inputs, and perhaps its outputs, are dropped.

    A unit that is dropped takes all its weights with it, so weight w_ij works as

        w'_ij = w_ij z_j / (1 - p_in) * z_i / (1 - p_out),    z_j ~ Bernoulli(1 - p_in), z_i ~ Bernoulli(1 - p_out)

    with q = (1 - p_in)(1 - p_out) the chance to be in use:

        P(w' = 0) = 1 - q,    E[w'] = w,    Var[w'] = w^2 (1 - q) / q

    Weights of one column share z_j and weights of one row share z_i: they are not independent. The net is the same as
    with random activations, only read from the other side. In a convolution it holds for whole channels
    (`nn.Dropout2d`); with single pixels dropped a weight meets another mask at every position.

    Args:
        weight: w, (out, in) or (out, in, *kernel).
        p_in: Probability of zeroing an input unit (channel), in [0, 1).
        p_out: The same of an output unit; 0 where nothing is dropped there.

    Raises:
        InputError: weight has fewer than two axes; p outside [0, 1).

    Example:
        >>> law = EffectiveWeights(torch.tensor([[2.0, -1.0]]), p_in=0.5)
        >>> law.mean, law.variance, law.probability_of_zero
        (tensor([[ 2., -1.]]), tensor([[4., 1.]]), 0.5)
        >>> law.num_sub_networks, law.expected_share_in_use
        (4, 0.5)

    Source:
        Gal & Ghahramani 2016, "Dropout as a Bayesian approximation", sec. 3, W = M diag(z), arXiv:1506.02142.
    """

    weight: Float[Tensor, "out in *kernel"]
    p_in: float
    p_out: float = 0.0

    def __post_init__(self) -> None:
        if self.weight.ndim < 2:
            raise InputError(f"A weight of shape {tuple(self.weight.shape)} was given; expected (out, in, *kernel).")
        for p in (self.p_in, self.p_out):
            if check_probability(p) == 1:
                raise InputError("p = 1 was given: all weights are 0 then, and have no scale. Expected p in [0, 1).")

    @property
    def probability_in_use(self) -> float:
        """q = (1 - p_in)(1 - p_out)."""
        return (1 - self.p_in) * (1 - self.p_out)

    @property
    def probability_of_zero(self) -> float:
        """P(w' = 0) = 1 - q of a weight that is not 0 itself."""
        return 1 - self.probability_in_use

    @property
    def mean(self) -> Float[Tensor, "out in *kernel"]:
        """E[w'] = w: the weight-scaled layer."""
        return self.weight

    @property
    def variance(self) -> Float[Tensor, "out in *kernel"]:
        """Var[w'] = w^2 (1 - q) / q; for p_out = 0 it is w^2 p / (1 - p)."""
        return self.weight.square() * ((1 - self.probability_in_use) / self.probability_in_use)

    @property
    def num_units(self) -> int:
        """The units that can be dropped: inputs if p_in > 0, outputs if p_out > 0."""
        outputs, inputs = self.weight.shape[:2]
        return inputs * (self.p_in > 0) + outputs * (self.p_out > 0)

    @property
    def num_sub_networks(self) -> int:
        """2^units: one sub-network for each subset of the units."""
        return 2**self.num_units

    @property
    def expected_share_in_use(self) -> float:
        """E[share of the weights that a draw uses] = q."""
        return self.probability_in_use

    @property
    def entropy(self) -> float:
        """Entropy of one draw in nats: sum over units of -p log p - (1 - p) log(1 - p); at p = .5 units times log 2."""
        outputs, inputs = self.weight.shape[:2]
        pairs = ((self.p_in, inputs), (self.p_out, outputs))
        return -sum(count * q * math.log(q) for p, count in pairs for q in (p, 1 - p) if q > 0)

    def weights(
        self, keep_in: Bool[Tensor, " in"], keep_out: Bool[Tensor, " out"] | None = None
    ) -> Float[Tensor, "out in *kernel"]:
        """The weights w' of one sub-network.

        Args:
            keep_in: Which inputs are kept.
            keep_out: Which outputs are; None is all of them, not rescaled.

        Raises:
            InputError: The masks do not fit the weight.
        """
        outputs, inputs = self.weight.shape[:2]
        keep_out = torch.ones(outputs, dtype=torch.bool) if keep_out is None else keep_out
        if keep_in.shape != (inputs,) or keep_out.shape != (outputs,):
            raise InputError(
                f"Masks {tuple(keep_in.shape)} and {tuple(keep_out.shape)} were given for a weight of {inputs} inputs "
                f"and {outputs} outputs."
            )
        mask = (keep_out[:, None] & keep_in).to(self.weight)
        return self.weight * mask.view(outputs, inputs, *[1] * (self.weight.ndim - 2)) / self.probability_in_use

    def share_in_use(self, keep_in: Bool[Tensor, " in"], keep_out: Bool[Tensor, " out"] | None = None) -> float:
        """The share of the weights that one sub-network uses: kept outputs times kept inputs over all.

        Raises:
            InputError: As `weights`.
        """
        ones = EffectiveWeights(torch.ones(self.weight.shape[:2], dtype=torch.float64), 0.0)
        return ones.weights(keep_in, keep_out).mean().item()

    def sample(self, num_samples: int, generator: torch.Generator) -> Float[Tensor, "T out in *kernel"]:
        """Draws of w', independent of each other.

        Args:
            num_samples: T.
            generator: Source of the randomness, on the CPU; torch's global one is not touched.
        """
        outputs, inputs = self.weight.shape[:2]
        keep_in = torch.rand(num_samples, inputs, generator=generator, dtype=torch.float64) >= self.p_in
        keep_out = torch.rand(num_samples, outputs, generator=generator, dtype=torch.float64) >= self.p_out
        return torch.stack([self.weights(a, b) for a, b in zip(keep_in, keep_out, strict=True)])

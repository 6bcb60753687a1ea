"""Standard dropout: every value is dropped on its own, z = 0 with probability p.

Two scalings keep the mean where it was. *Inverted*, which everybody uses today, divides what is kept by 1 - p in
training and does nothing in evaluation. *Original* (Srivastava et al. 2014, sec. 4) leaves what is kept as it is and
multiplies by 1 - p in evaluation. With a linear layer after it the two are one network, up to a factor in its weights.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mcdrop.noise.law import Law, check_probability


@dataclass(frozen=True)
class KeepOrDrop(Law):
    """A value that is 0 with probability p and c otherwise; c = 1 / (1 - p) inverted, c = 1 original.

        E[z] = c (1 - p),   Var[z] = c^2 p (1 - p),   H[z] = -p log p - (1 - p) log(1 - p)

    Abstract: what shares one value (`mask_shape`) is left to the laws. At p = 1 all is dropped, as in torch: mean 0.

    Args:
        p: Probability of zeroing, in [0, 1].
        inverted: Whether what is kept is divided by 1 - p.

    Raises:
        InputError: p is no probability.
    """

    p: float
    inverted: bool = True

    def __post_init__(self) -> None:
        check_probability(self.p)

    @property
    def kept_value(self) -> float:
        """c, the factor of what is kept."""
        return 1 / (1 - self.p) if self.inverted and self.p < 1 else 1.0

    def sample(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "*mask"]:
        kept = torch.empty(self.mask_shape(shape), dtype=dtype, device=generator.device)
        return kept.bernoulli_(1 - self.p, generator=generator) * self.kept_value

    @property
    def mean(self) -> float:
        return self.kept_value * (1 - self.p)

    @property
    def variance(self) -> float:
        return self.kept_value**2 * self.p * (1 - self.p)

    def log_prob(self, z: Float[Tensor, "*mask"]) -> Float[Tensor, "*mask"]:
        log_kept, log_dropped = (math.log(q) if q > 0 else -math.inf for q in (1 - self.p, self.p))
        result = torch.full_like(z, -math.inf)
        result[torch.isclose(z, torch.full_like(z, self.kept_value))] = log_kept
        result[z == 0] = log_dropped
        return result

    @property
    def entropy(self) -> float:
        return -sum(q * math.log(q) for q in (self.p, 1 - self.p) if q > 0)


@dataclass(frozen=True)
class BernoulliLaw(KeepOrDrop):
    """One independent value for every element of the activation.

    Args:
        p: Probability of zeroing, in [0, 1].
        inverted: Whether what is kept is divided by 1 - p.

    Raises:
        InputError: p is no probability.

    Example:
        >>> law = BernoulliLaw(p=0.2)
        >>> law.mean, law.variance, BernoulliLaw(p=0.2, inverted=False).mean
        (1.0, 0.25, 0.8)
        >>> law.log_prob(torch.tensor([0.0, 1.25, 1.0]))
        tensor([-1.6094, -0.2231,    -inf])

    Source:
        Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, sec. 4 and
        10, https://jmlr.org/papers/v15/srivastava14a.html.
    """

    def mask_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(shape)


class BernoulliDropout(nn.Module):
    """Inverted dropout: in training h' = h z / (1 - p) with z ~ Bernoulli(1 - p); in evaluation the identity.

    The same as `nn.Dropout`, down to the random numbers that it takes from torch, written out in four lines.

    Args:
        p: Probability of zeroing, in [0, 1].

    Shape:
        Any; the output has the input's.

    Raises:
        InputError: p is no probability.

    Example:
        >>> layer = BernoulliDropout(p=0.5)
        >>> layer(torch.ones(1000)).unique(), layer.eval()(torch.ones(2))
        (tensor([0., 2.]), tensor([1., 1.]))
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_probability(p)

    @property
    def law(self) -> BernoulliLaw:
        """The law of its mask."""
        return BernoulliLaw(self.p)

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or self.p == 0:
            return input
        return masked(input, self.law)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class OriginalDropout(nn.Module):
    """The original scheme: in training h' = h z with z ~ Bernoulli(1 - p); in evaluation h' = (1 - p) h.

    Training sees activations that are smaller on average, so evaluation shrinks them (Srivastava et al. 2014 shrink the
    weights that follow, which is the same). Do not load weights trained with one scheme into the other.

    Args:
        p: Probability of zeroing, in [0, 1].

    Shape:
        Any; the output has the input's.

    Raises:
        InputError: p is no probability.

    Example:
        >>> layer = OriginalDropout(p=0.25)
        >>> layer(torch.ones(1000)).unique(), layer.eval()(torch.ones(2))
        (tensor([0., 1.]), tensor([0.7500, 0.7500]))
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_probability(p)

    @property
    def law(self) -> BernoulliLaw:
        """The law of its mask."""
        return BernoulliLaw(self.p, inverted=False)

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if self.p == 0:
            return input
        return masked(input, self.law) if self.training else input * (1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def masked(input: Float[Tensor, "*shape"], law: KeepOrDrop) -> Float[Tensor, "*shape"]:
    """The input times one draw of the law from torch's global generator."""
    kept = input * input.new_empty(law.mask_shape(input.shape)).bernoulli_(1 - law.p)
    # Divided after the product: 1 / (1 - p) rounded to bfloat16 first would be off by up to .2 %.
    return kept / (1 - law.p) if law.inverted and law.p < 1 else kept

"""Concrete dropout: the rate is a parameter, learned by gradients through masks relaxed from 0/1 to numbers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.noise.bernoulli import BernoulliDropout
from mcdrop.noise.law import Law, check_probability
from mcdrop.noise.spatial import SpatialDropout, SpatialLaw

_REACH, _STEPS = 40.0, 4
"""Of the trapezoid rule: e^-40 is beyond float64; with 4 steps on each t, and poles at a distance pi t, it errs by
e^-79."""


@dataclass(frozen=True)
class ConcreteLaw(Law):
    """A factor k / (1 - p), where k in (0, 1) is a relaxed coin: sharp where the temperature t is small.

        k = sigmoid(-(log p - log(1 - p) + log u - log(1 - u)) / t),   u ~ Uniform(0, 1)          (eq. 5)

    k > 1/2 with probability 1 - p exactly. As t -> 0 the law becomes the Bernoulli one; at t > 0 its mean is off 1, and
    its variance is smaller, by about the share t: at p = .2, t = .1 they are 0.998 and 0.226 where 1 and 0.25 belong to
    the Bernoulli law. Mean, variance and entropy are integrals over u without elementary form, taken by the trapezoid
    rule to the precision of float64.

    Args:
        p: In (0, 1).
        temperature: t in (0, 1).
        whole_channels: Whether a row and channel of an activation (N, C, *positions) have one value.

    Raises:
        InputError: p or t out of range.

    Example:
        >>> law = ConcreteLaw(p=0.2)
        >>> round(law.mean, 3), round(law.variance, 3)
        (0.998, 0.226)

    Source:
        Gal, Hron & Kendall 2017, "Concrete dropout", sec. 3.1, eq. 5, arXiv:1705.07832; the density: Maddison, Mnih &
        Teh 2017, "The concrete distribution", appendix B, arXiv:1611.00712.
    """

    p: float
    temperature: float = 0.1
    whole_channels: bool = False

    def __post_init__(self) -> None:
        if check_probability(self.p) in (0, 1):
            raise InputError(f"p = {self.p!r} was given; a rate that is learned needs p in (0, 1).")
        t = self.temperature
        if isinstance(t, bool) or not isinstance(t, int | float) or not 0 < t < 1:
            raise InputError(f"temperature={t!r} was given; expected a number in (0, 1).")

    @property
    def logit(self) -> float:
        """log p - log(1 - p)."""
        return math.log(self.p) - math.log1p(-self.p)

    def mask_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return SpatialLaw(self.p).mask_shape(shape) if self.whole_channels else tuple(shape)

    def sample(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "*mask"]:
        uniform = torch.empty(self.mask_shape(shape), dtype=dtype, device=generator.device)
        logit = torch.tensor(self.logit, dtype=dtype, device=generator.device)
        return factor(logit, uniform.uniform_(generator=generator), self.temperature)

    @property
    def mean(self) -> float:
        return self._expected(self._value)

    @property
    def variance(self) -> float:
        mean = self.mean
        return self._expected(lambda s: (self._value(s) - mean).square())

    def log_prob(self, z: Float[Tensor, "*mask"]) -> Float[Tensor, "*mask"]:
        """log density of each value in nats, with l = logit k, k = z (1 - p), and g the logistic density:

            f(z) = (1 - p) t g(t l + logit p) / g(l)

        It grows without bound at both ends, 0 and 1 / (1 - p), to which small t rounds many a value.
        """
        k = z * (1 - self.p)
        end = (k == 0) | torch.isclose(k, torch.ones_like(k), rtol=0, atol=2 * torch.finfo(k.dtype).eps)
        outside = ((k < 0) | (k > 1)) & ~end
        density = self._log_density(torch.logit(k.masked_fill(end | outside, 0.5)))
        return density.masked_fill(end, math.inf).masked_fill(outside, -math.inf)

    @property
    def entropy(self) -> float:
        return -self._expected(lambda s: self._log_density(-(self.logit + s) / self.temperature))

    def _value(self, s: Float[Tensor, " places"]) -> Float[Tensor, " places"]:
        """z where log u - log(1 - u) = s."""
        return torch.sigmoid(-(self.logit + s) / self.temperature) / (1 - self.p)

    def _log_density(self, logit_of_k: Float[Tensor, "*mask"]) -> Float[Tensor, "*mask"]:
        """Of z: the logistic density of s, times ds/dk = -t / (k (1 - k)), times dk/dz = 1 - p."""
        s = -self.temperature * logit_of_k - self.logit
        return math.log(self.temperature * (1 - self.p)) + _log_logistic(s) - _log_logistic(logit_of_k)

    def _expected(self, function: Callable[[Tensor], Tensor]) -> float:
        """E[function(s)] for s = log u - log(1 - u), which is logistic."""
        step = self.temperature / _STEPS
        s = torch.arange(-_REACH, _REACH, step, dtype=torch.float64)
        return step * (_log_logistic(s).exp() * function(s)).sum().item()


class ConcreteDropout(nn.Module):
    """In training h' = h k / (1 - p) with relaxed coins k of a learned p; in evaluation the identity.

    p = sigmoid(logit) is one number, trained with the weights. Its gradient comes from the loss, through k, and from
    the KL term of the layer that takes h': `mcdrop.training.fit` with an objective that has a prior adds it
    (`mcdrop.training.ConcreteKL`). Without that term p falls towards 0.

    Predictions with masks draw the relaxed coins, as training did and as the paper does. `as_bernoulli()` gives the
    layer with 0/1 masks of the same p, whose variance is larger by about the share t.

    Args:
        p: Where the rate starts, in (0, 1).
        temperature: t in (0, 1); the paper takes 0.1.
        whole_channels: Whether whole channels of (N, C, *positions) are dropped, as is right before convolutions.

    Attributes:
        logit: The parameter, log p - log(1 - p), a scalar.

    Shape:
        Any, or with `whole_channels` (N, C, *positions); the output has the input's.

    Raises:
        InputError: p or t out of range; in training with `whole_channels`, an activation without positions.

    Example:
        >>> layer = ConcreteDropout(p=0.2)
        >>> layer(torch.ones(3)).shape, layer.eval()(torch.ones(3))
        (torch.Size([3]), tensor([1., 1., 1.]))
        >>> layer.p, layer.as_bernoulli()
        (tensor(0.2000, grad_fn=<SigmoidBackward0>), BernoulliDropout(p=0.2...))

    Source:
        Gal, Hron & Kendall 2017, sec. 3.1, arXiv:1705.07832; https://github.com/yaringal/ConcreteDropout.
    """

    def __init__(self, p: float = 0.1, *, temperature: float = 0.1, whole_channels: bool = False) -> None:
        super().__init__()
        law = ConcreteLaw(p, temperature, whole_channels)
        self.temperature = law.temperature
        self.whole_channels = whole_channels
        self.logit = nn.Parameter(torch.tensor(law.logit))

    @property
    def p(self) -> Float[Tensor, ""]:
        """The rate as it stands, with its gradient."""
        return torch.sigmoid(self.logit)

    @property
    def law(self) -> ConcreteLaw:
        """The law of its factor, at the rate as it stands."""
        return ConcreteLaw(self.p.item(), self.temperature, self.whole_channels)

    def as_bernoulli(self) -> BernoulliDropout | SpatialDropout:
        """The layer that drops 0/1 masks with p as it stands, in the same mode; it shares nothing with this one."""
        kind = SpatialDropout if self.whole_channels else BernoulliDropout
        return kind(self.p.item()).train(self.training)

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training:
            return input
        shape = SpatialLaw(0.0).mask_shape(input.shape) if self.whole_channels else input.shape
        # In at least float32: numbers of bfloat16 would be 0 or 1 too often.
        dtype = torch.promote_types(input.dtype, torch.float32)
        uniform = torch.rand(shape, dtype=dtype, device=input.device)
        return (input * factor(self.logit, uniform, self.temperature)).to(input.dtype)

    def extra_repr(self) -> str:
        # Without p, which training changes: a checkpoint knows its network again by these words.
        return f"temperature={self.temperature}, whole_channels={self.whole_channels}"


def factor(logit: Float[Tensor, ""], uniform: Float[Tensor, "*mask"], temperature: float) -> Float[Tensor, "*mask"]:
    """k / (1 - p), eq. 5 of the paper, with gradients to the logit of p."""
    return torch.sigmoid(-(logit + torch.logit(uniform)) / temperature) / torch.sigmoid(-logit)


def _log_logistic(s: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log of sigmoid(s) (1 - sigmoid(s)), the logistic density."""
    return F.logsigmoid(s) + F.logsigmoid(-s)

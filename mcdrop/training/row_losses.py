"""-log p(y | output) of each row in nats, for gradients: one function per likelihood.

`Likelihood.log_prob` is the same number, computed in float64 and with every check; these stay in the precision of the
outputs, look at no values (so that they run under `torch.func.vmap`) and expect targets that were checked before. What
one row holds (outputs, pixels, tokens) is summed: the outputs of a row are independent given the draw.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.prediction import Binary, Categorical, Gaussian, HeteroscedasticGaussian, Likelihood, Poisson
from mcdrop.types import Tree


def categorical(
    likelihood: Categorical, outputs: Float[Tensor, " N *out"], targets: Tensor
) -> Float[Tensor, " N *elements"]:
    """-log softmax(logits)_y, or -log probs_y."""
    axis = 1 if likelihood.class_dim is None else likelihood.class_dim
    classes = outputs.movedim(axis, 1)
    log_probs = classes.log() if likelihood.probs else classes.log_softmax(dim=1)
    return F.nll_loss(log_probs, targets.long(), reduction="none")


def binary(likelihood: Binary, outputs: Float[Tensor, " N *out"], targets: Tensor) -> Float[Tensor, " N *elements"]:
    """-log sigmoid(+-logit), or -log of the probability of what happened."""
    happened = targets.reshape(outputs.shape).to(outputs)
    if likelihood.probs:
        return -torch.where(happened == 1, outputs, 1 - outputs).log()
    return F.binary_cross_entropy_with_logits(outputs, happened, reduction="none")


def gaussian(likelihood: Gaussian, outputs: Float[Tensor, " N *out"], targets: Tensor) -> Float[Tensor, " N *elements"]:
    """tau/2 (y - f)^2 - 1/2 log(tau / 2 pi)."""
    precision = torch.tensor(likelihood.precision, dtype=outputs.dtype, device=outputs.device)
    squares = (targets.reshape(outputs.shape).to(outputs) - outputs).square()
    return precision / 2 * squares - (precision / (2 * math.pi)).log() / 2


def heteroscedastic(
    likelihood: HeteroscedasticGaussian, outputs: Tree, targets: Tensor
) -> Float[Tensor, " N *elements"]:
    """1/2 exp(-s) (y - f)^2 + s/2 + 1/2 log(2 pi) with s = log variance.

    The network's output is s, so that nothing is divided by a variance that may be 0 (Kendall & Gal 2017,
    https://arxiv.org/abs/1703.04977, eq. 8; with the constant).
    """
    mean, scale = outputs.chunk(2, dim=-1) if isinstance(outputs, Tensor) else outputs
    s = {"log_variance": lambda: scale, "variance": scale.log, "std": lambda: 2 * scale.log()}[likelihood.scale]()
    squares = (targets.reshape(mean.shape).to(mean) - mean).square()
    return ((-s).exp() * squares + s + math.log(2 * math.pi)) / 2


def poisson(likelihood: Poisson, outputs: Float[Tensor, " N *out"], targets: Tensor) -> Float[Tensor, " N *elements"]:
    """rate - y log rate + log y! with log rate = output."""
    counts = targets.reshape(outputs.shape).to(outputs)
    return outputs.exp() - counts * outputs + torch.lgamma(counts + 1)


_LOSSES: dict[type[Likelihood], Callable[[Any, Any, Tensor], Tensor]] = {
    Categorical: categorical,
    Binary: binary,
    Gaussian: gaussian,
    HeteroscedasticGaussian: heteroscedastic,
    Poisson: poisson,
}


def negative_log_likelihood(likelihood: Likelihood, outputs: Tree, targets: Tensor) -> Float[Tensor, " N"]:
    """-log p(y_n | output_n) in nats, summed over what a row holds, with gradients.

    Args:
        likelihood: Whose density.
        outputs: Of one pass, (N, *out).
        targets: Checked ones: `Objective.check_targets`.

    Raises:
        InputError: The likelihood is no density of targets.

    Example:
        >>> negative_log_likelihood(Categorical(), torch.zeros(1, 4), torch.tensor([2]))  # log 4
        tensor([1.3863])
    """
    loss = _LOSSES.get(type(likelihood))
    if loss is None:
        raise InputError(
            f"{likelihood} was given to train by; expected one of {', '.join(kind.__name__ for kind in _LOSSES)}."
        )
    losses = loss(likelihood, outputs, targets)
    return losses.reshape(len(losses), -1).sum(dim=1)

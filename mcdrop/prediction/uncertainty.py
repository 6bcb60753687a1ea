"""Entropies of predictive distributions and how far they are off, in nats (natural logarithm).

With `p_t` the probabilities of draw t: the predictive entropy `H[mean_t p_t]` is the total uncertainty, the expected
entropy `mean_t H[p_t]` what remains when the sub-network is known (aleatoric), and their difference, the mutual
information of label and sub-network, what the draws disagree about (epistemic).

Source: Houlsby et al. 2011, "Bayesian active learning for classification and preference learning", eq. 2,
https://arxiv.org/abs/1112.5745; Gal 2016, "Uncertainty in deep learning", section 3.3.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def entropy(probs: Float[Tensor, "*shape"], dim: int = -1) -> Float[Tensor, "..."]:
    """Entropy of a distribution over classes, `-sum_c p_c log p_c` with `0 log 0 = 0`, in nats.

    Args:
        probs: Probabilities that sum to one along `dim`.
        dim: The class axis.

    Returns:
        Entropies without the class axis, from 0 to log C.

    Example:
        >>> import torch
        >>> entropy(torch.tensor([[0.5, 0.5], [1.0, 0.0]], dtype=torch.float64))
        tensor([0.6931, 0.0000], dtype=torch.float64)
    """
    # the floor is only reached by 0, whose logarithm would turn gradients into NaN; a minus sign would give -0
    return 0 - torch.xlogy(probs, probs.clamp(min=torch.finfo(probs.dtype).tiny)).sum(dim=dim)


def mutual_information(
    predictive_entropy: Float[Tensor, "*shape"], expected_entropy: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """`H[mean_t p_t] - mean_t H[p_t]` in nats, the plug-in value: low by about `entropy_bias`.

    It is never negative in exact arithmetic (Jensen's inequality); rounding below 0 is cut off.

    Example:
        >>> import torch
        >>> mutual_information(torch.tensor(0.7), torch.tensor(0.5))
        tensor(0.2000)
    """
    return (predictive_entropy - expected_entropy).clamp(min=0)


def entropy_bias(
    probs: Float[Tensor, "*shape"], mc_error: Float[Tensor, "*shape"], dim: int = -1
) -> Float[Tensor, "..."]:
    """How much the entropy of estimated probabilities is too low on average, in nats.

    `1/2 sum_c mc_error_c^2 / p_c`, the second-order term of the concave -p log p about its mean; classes of
    probability 0 add nothing. Both the predictive entropy and the mutual information are low by it.

    Args:
        probs: Mean probabilities over the draws.
        mc_error: Their Monte Carlo standard errors.
        dim: The class axis.

    Returns:
        The bias without the class axis, at least 0; add it to correct.

    Source: the delta method; for multinomial counts it is Miller's (C-1)/(2T), Miller 1955, "Note on the bias of
    information estimates".

    Example:
        >>> import torch
        >>> entropy_bias(torch.tensor([0.5, 0.5]), torch.tensor([0.1, 0.1]))
        tensor(0.0200)
    """
    absent = probs == 0
    terms = torch.where(absent, 0, mc_error.square() / torch.where(absent, 1, probs))
    return terms.sum(dim=dim) / 2

"""The KL term of weights behind concrete dropout: what holds the learned rate against the loss, which wants none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.noise import ConcreteDropout
from mcdrop.posterior import Prior
from mcdrop.training.rates import DropoutTaken, dropout_taken


@dataclass(frozen=True)
class ConcreteKL:
    """1/N of KL(q || prior) of the weights that take what one concrete dropout returns, with gradients to W and p:

        1/N ( l^2 / (2 (1 - p)) sum |W|^2  -  K H(p) ),   H(p) = -p log p - (1 - p) log(1 - p)

    in nats per row, without constants: the second term of `Objective`, where p is learned. Entropy rewards p near 1/2,
    for each of the K inputs; |W|^2 and the loss push p down, the loss the more the larger N.

    The paper's eq. 3 has (1 - p) l^2 / 2 |M|^2 for q's M diag(z), z in {0, 1}. The layer divides by 1 - p, so that the
    stored W is (1 - p) M, which its authors' code takes into account, and so does this. (`Prior.weight_decay` follows
    the code of Gal & Ghahramani 2016, which does not: for a p that stays, that is another l.)

    Args:
        prior: Of the weights, with its length scale l.
        num_rows: N, the training rows.
        logit: Name of the parameter of `mcdrop.noise.ConcreteDropout`.
        weights: Names of the weights whose layers take the same dropped input.
        num_inputs: K, what is dropped independently: features, or channels.

    Example:
        >>> import math, torch
        >>> kl = ConcreteKL(Prior(1.0), num_rows=10, logit="0.logit", weights=("1.weight",), num_inputs=4)
        >>> value = kl({"0.logit": torch.tensor(0.0), "1.weight": torch.ones(1, 4)})  # p = 1/2
        >>> math.isclose(value.item(), (4 - 4 * math.log(2)) / 10, rel_tol=1e-6)
        True

    Source:
        Gal, Hron & Kendall 2017, "Concrete dropout", eq. 2 to 4, arXiv:1705.07832;
        https://github.com/yaringal/ConcreteDropout.
    """

    prior: Prior
    num_rows: int
    logit: str
    weights: tuple[str, ...]
    num_inputs: int

    def __call__(self, parameters: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """The value for the model's parameters by name."""
        logit = parameters[self.logit]
        dropped, kept = logit.sigmoid(), (-logit).sigmoid()
        entropy = -dropped * F.logsigmoid(logit) - kept * F.logsigmoid(-logit)
        squares = sum(parameters[name].square().sum() for name in self.weights)
        return (self.prior.length_scale**2 / (2 * kept) * squares - self.num_inputs * entropy) / self.num_rows


Penalties: TypeAlias = Mapping[str, float | Tensor | ConcreteKL]
"""By the name of a weight or bias: the coefficient of |W|^2, (M,) for M networks; or a whole term, by the first of its
weights."""


def stacked(penalties: Sequence[Penalties], weights: Mapping[str, Tensor]) -> Penalties:
    """The penalties of M networks as one, with coefficients (M,).

    Args:
        penalties: Of each network; one alone is for all.
        weights: Of all networks by name, (M, *shape).

    Raises:
        InputError: Terms whose rate is learned differ.
    """
    found: dict[str, Tensor | ConcreteKL] = {}
    for name, weight in weights.items():
        given = [of_one.get(name, 0.0) for of_one in penalties]
        if isinstance(given[0], ConcreteKL):
            if any(term != given[0] for term in given):
                raise InputError(
                    f"Different priors were given for {name!r}, which is behind concrete dropout; expected one for all "
                    "networks that are trained at once."
                )
            found[name] = given[0]
        elif any(given):
            found[name] = weight.new_tensor(given).expand(len(weight))
    return found


def concrete_terms(model: nn.Module, prior: Prior, num_rows: int, *args: Any, **kwargs: Any) -> tuple[ConcreteKL, ...]:
    """The KL term of every concrete dropout in a network, for training loops of one's own; `fit` does this itself.

    Which layers take what it returns is found by one pass, as for `dropout_rates`.

    Args:
        model: The network; left as it is.
        prior: Of the weights.
        num_rows: N, the training rows, >= 1.
        *args: Positional inputs.
        **kwargs: Keyword inputs.

    Raises:
        InputError: N is no such number; no linear or convolutional layer takes what a concrete dropout returns, or one
            of another kind than it drops for: a convolution needs `whole_channels=True`, a linear layer False; or one
            weight is behind two of them.

    Example:
        >>> import torch
        >>> model = nn.Sequential(ConcreteDropout(), nn.Linear(4, 8), nn.ReLU(), ConcreteDropout(), nn.Linear(8, 1))
        >>> terms = concrete_terms(model, Prior(1e-2), 500, torch.zeros(2, 4))
        >>> [(term.logit, term.weights, term.num_inputs) for term in terms]
        [('0.logit', ('1.weight',), 4), ('3.logit', ('4.weight',), 8)]
        >>> penalty = sum(term(dict(model.named_parameters())) for term in terms)
    """
    if isinstance(num_rows, bool) or not isinstance(num_rows, int) or num_rows < 1:
        raise InputError(f"num_rows={num_rows!r} was given; expected an integer >= 1.")
    layers = {path: module for path, module in model.named_modules() if isinstance(module, ConcreteDropout)}
    if not layers:
        return ()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    terms: dict[ConcreteKL, None] = {}  # equal ones once: a layer that runs twice has one weight, and so one KL
    for call in dropout_taken(model, *args, **kwargs):
        if call.path in layers:
            weights, num_inputs = _taken(call, layers[call.path])
            terms.setdefault(ConcreteKL(prior, num_rows, names[id(layers[call.path].logit)], weights, num_inputs))
    behind = [name for term in terms for name in term.weights]
    twice = sorted({name for name in behind if behind.count(name) > 1})
    if twice:
        raise InputError(f"{', '.join(twice)}: behind several concrete dropouts, so its KL term cannot be told.")
    return tuple(terms)


def check_learned(model: nn.Module, prior: Prior | None, protocol: str) -> None:
    """Raises unless the rates that a network learns have the KL term that they need.

    Raises:
        InputError: There is no prior, or the protocol has no such term.
    """
    layers = {path or "the model": one for path, one in model.named_modules() if isinstance(one, ConcreteDropout)}
    learned = [path for path, layer in layers.items() if layer.logit.requires_grad]
    if learned and prior is None:
        raise InputError(
            f"{', '.join(learned)} learns its rate, and no prior was given: without the KL term the rate falls to 0. "
            "Give Objective(likelihood, Prior(length_scale)), or fix the rate by logit.requires_grad_(False)."
        )
    if layers and protocol != "elbo":
        raise InputError(
            f"protocol={protocol!r} was given, which has no KL term for concrete dropout ({', '.join(layers)}); "
            "expected 'elbo'."
        )


def _taken(call: DropoutTaken, layer: ConcreteDropout) -> tuple[tuple[str, ...], int]:
    """The weights that took what one call returned, and the inputs of their layers."""
    if not call.weights:
        raise InputError(
            f"{call.path}: no linear or convolutional layer takes what it returns, so the KL term of its rate cannot "
            "be told. Put it directly before one; reshaping and ReLU may stand between."
        )
    for name, (_, is_convolution) in call.weights.items():
        if is_convolution != layer.whole_channels:
            raise InputError(
                f"{call.path} drops {'whole channels' if layer.whole_channels else 'single values'}, and the layer of "
                f"{name} is {'a convolution' if is_convolution else 'linear'}; expected "
                f"ConcreteDropout(whole_channels={is_convolution}) before it, so that what is dropped are its inputs."
            )
    return tuple(call.weights), next(iter(call.weights.values()))[0]

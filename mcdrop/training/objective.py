"""What training minimises: a likelihood's loss, and the KL term of the dropout posterior beside it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.posterior import Prior
from mcdrop.prediction import Gaussian, Identity, Likelihood
from mcdrop.sampling.output import Output, selector
from mcdrop.training.integers import integer
from mcdrop.training.rates import check_rates
from mcdrop.training.row_losses import negative_log_likelihood
from mcdrop.tree import map_tensors, tensors
from mcdrop.types import Tree

_PIECE = 4096
"""Rows whose targets are checked at once."""


@dataclass(frozen=True)
class Objective:
    """1/N of the negative ELBO: the loss of a sampled sub-network, and what its weights cost.

        L = 1/N sum_n -log p(y_n | f(x_n, z))  +  1/N sum over layers of (1 - p) l^2 / 2 |W|^2 + l^2 / 2 |b|^2

    in nats per row, summed over what a row holds. p is the rate of the dropout directly on the input of the layer of W;
    the second sum is KL(q || prior) without its constants, and is left out where there is no prior. With
    Gaussian(precision=tau), L is tau E + const for E = 1/2 mean_n |y_n - f_n|^2 + lambda |W|^2 and
    lambda = (1 - p) l^2 / (2 N tau); `Prior` converts that to torch's weight_decay and back.

    tau is in 1 / unit^2 of the y that the loss sees: with standardised y, tau = tau_original sd(y)^2.

    Args:
        likelihood: How an output is read, and so its loss.
        prior: Of the weights; None is no KL term.
        rates: p by the name of each weight and bias that has the prior (0 for biases). None: found by one pass of
            the model, see `dropout_rates`.
        num_masks: Masks of each batch whose losses are averaged (multi-sample dropout, Inoue 2019).
        protocol: "elbo" is the above. "gal2016" is what the code of Gal & Ghahramani 2016 does instead: the mean
            squared error without the 1/2, plus (1 - p) l^2 / (2 N tau) |W|^2 with tau as it is given, although y is
            standardised; no prior on biases.
        output: Which part of the model's output is read; see `mcdrop.MCDropout`.

    Raises:
        InputError: An argument is of the wrong kind, or the protocol has no such likelihood.

    Example:
        >>> from mcdrop.prediction import Categorical
        >>> Objective(Categorical()).loss(torch.zeros(5, 4), torch.tensor([0, 1, 2, 3, 0]))  # log 4
        tensor(1.3863)

    Source:
        Gal & Ghahramani 2016, "Dropout as a Bayesian approximation", eq. 7 and appendix sec. 4,
        https://arxiv.org/abs/1506.02142; its code: https://github.com/yaringal/DropoutUncertaintyExps, net/net.py.
        Inoue 2019, "Multi-sample dropout for accelerated training and better generalization", sec. 3,
        https://arxiv.org/abs/1905.09788.
    """

    likelihood: Likelihood
    prior: Prior | None = None
    rates: Mapping[str, float] | None = field(default=None, kw_only=True)
    num_masks: int = field(default=1, kw_only=True)
    protocol: Literal["elbo", "gal2016"] = field(default="elbo", kw_only=True)
    output: Output = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.likelihood, Likelihood) or isinstance(self.likelihood, Identity):
            raise InputError(
                f"{self.likelihood!r} was given to train by; expected a likelihood such as mcdrop.Categorical() or "
                "mcdrop.Gaussian(precision)."
            )
        if self.prior is not None and not isinstance(self.prior, Prior):
            raise InputError(f"prior={self.prior!r} was given; expected mcdrop.posterior.Prior(length_scale), or None.")
        if self.rates is not None and self.prior is None:
            raise InputError("rates were given without a prior that they belong to; expected prior= too.")
        object.__setattr__(self, "num_masks", integer("num_masks", self.num_masks, least=1))
        if self.protocol not in ("elbo", "gal2016"):
            raise InputError(f"protocol={self.protocol!r} was given; expected 'elbo' or 'gal2016'.")
        if self.protocol == "gal2016" and not (
            isinstance(self.likelihood, Gaussian) and isinstance(self.likelihood.precision, float)
        ):
            raise InputError(f"protocol='gal2016' was given for {self.likelihood}; it is of Gaussian(precision=tau).")

    @torch.no_grad()
    def check_outputs(self, outputs: Tree) -> None:
        """Raises unless the likelihood reads the outputs (N, *out).

        Raises:
            OutputError: They do not fit the likelihood.
            NonFiniteError: They hold NaN or infinity.
        """
        self.likelihood.check(map_tensors(lambda tensor: tensor[None], outputs))

    @torch.no_grad()
    def check_targets(self, outputs: Tree, targets: Tensor) -> None:
        """Raises unless the targets of any number of rows belong to outputs of the shape of the first.

        Raises:
            InputError: Their shape, dtype or range does not fit.
        """
        for start in range(0, len(targets), _PIECE):
            piece = targets[start : start + _PIECE]
            first = torch.zeros(len(piece), dtype=torch.long)
            draw = map_tensors(lambda tensor, rows=first: tensor[rows.to(tensor.device)][None], outputs)
            self.likelihood.log_prob(draw, piece)

    def loss(self, outputs: Tree, targets: Tensor) -> Float[Tensor, ""]:
        """The first term of L for one pass: a mean over rows, with gradients.

        Args:
            outputs: (N, *out), what the likelihood reads.
            targets: Checked ones.
        """
        if self.protocol == "gal2016":
            return F.mse_loss(outputs, targets.reshape(outputs.shape).to(outputs))
        return negative_log_likelihood(self.likelihood, outputs, targets).mean()

    def sampled_loss(self, run: Callable[[], object], targets: Tensor, *, check: bool = False) -> Float[Tensor, ""]:
        """The average of `loss` over `num_masks` passes.

        Args:
            run: One pass of the network in training mode, with masks of its own.
            targets: Checked ones.
            check: Whether they have yet to be checked.

        Raises:
            InputError: They do not belong to the outputs.
        """
        losses = []
        for _ in range(self.num_masks):
            outputs = self.select(run())
            if check:
                self.check_targets(outputs, targets)
            losses.append(self.loss(outputs, targets))
        return torch.stack(losses).mean()

    def average_loss(self, samples: Tree, targets: Tensor) -> Float[Tensor, ""]:
        """The same loss of the average of T draws: 1/N sum_n -log 1/T sum_t p(y_n | f(x_n, z_t)).

        Under "gal2016" the mean squared error of 1/T sum_t f(x_n, z_t).

        Args:
            samples: (T, N, *out).
            targets: Checked ones.
        """
        if self.protocol == "gal2016":
            return self.loss(samples.mean(dim=0), targets)
        draws = range(len(tensors(samples)[0]))
        outputs = (map_tensors(partial(torch.select, dim=0, index=draw), samples) for draw in draws)
        losses = torch.stack([negative_log_likelihood(self.likelihood, output, targets) for output in outputs])
        return math.log(len(draws)) - torch.logsumexp(-losses.double(), dim=0).mean()

    def penalties(self, model: nn.Module, rates: Mapping[str, float], num_rows: int) -> dict[str, float]:
        """The coefficient of |W|^2 in L, by the name of the weight or bias; empty without a prior.

        Args:
            model: Whose weights.
            rates: p of each, see `dropout_rates`.
            num_rows: N, the training rows.

        Raises:
            InputError: A rate is out of range, or of no weight of the model.
        """
        if self.prior is None:
            return {}
        parameters = check_rates(model, rates)
        if self.protocol == "elbo":
            return {name: self.prior.weight_decay(1.0, p, num_rows, loss="half") for name, p in rates.items()}
        assert isinstance(self.likelihood, Gaussian)
        assert isinstance(self.likelihood.precision, float)
        tau = self.likelihood.precision
        weights = {name: p for name, p in rates.items() if parameters[name].ndim > 1}
        return {name: self.prior.weight_decay(tau, p, num_rows, loss="half") for name, p in weights.items()}

    @property
    def description(self) -> str:
        """The objective in words that are the same in every process."""
        output = getattr(self.output, "__qualname__", self.output)
        return repr(replace(self, output=None)).replace("output=None", f"output={output}")

    @property
    def without_penalties(self) -> "Objective":
        """What `loss` depends on: objectives for which this is equal differ in their penalties alone."""
        likelihood = Gaussian(1.0) if self.protocol == "gal2016" else self.likelihood
        return replace(self, likelihood=likelihood, prior=None, rates=None)

    def select(self, result: object) -> Tree:
        """What is read of the model's output.

        Raises:
            OutputError: There is no such part.
        """
        return selector(self.output)(result)


Minimised: TypeAlias = Objective | Likelihood
"""What is minimised; a likelihood stands for the objective without a prior."""


def as_objective(given: Minimised) -> Objective:
    """The objective.

    Raises:
        InputError: It is neither.
    """
    return given if isinstance(given, Objective) else Objective(given)


def as_objectives(given: Minimised | Sequence[Minimised], count: int) -> list[Objective]:
    """One objective for all of several networks, or one for each.

    Raises:
        InputError: Another number of them, or they differ in more than their penalties.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        return [as_objective(given)]
    objectives = [as_objective(one) for one in given]
    if len(objectives) != count:
        raise InputError(f"{len(objectives)} objectives were given for {count} seeds; expected one, or one for each.")
    for number, objective in enumerate(objectives):
        if objective.without_penalties != objectives[0].without_penalties:
            raise InputError(
                f"Objectives of different losses were given (members 0 and {number}): {objectives[0].description}, "
                f"{objective.description}. Those of networks that are trained at once may differ in their priors, and "
                "in tau with protocol='gal2016', where it is a part of the weight decay alone."
            )
    return objectives

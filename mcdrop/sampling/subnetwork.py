"""One tree of the forest: the network under a given mask, and what of its parameters that mask leaves in use."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from mcdrop.errors import InputError, UnavailableError
from mcdrop.posterior import Dropout, Mask, MeanMask, Replay, Units, check_same, units_of
from mcdrop.sampling.known import Known, Settings
from mcdrop.sampling.output import Output, selector
from mcdrop.sampling.passes import StochasticPass, run_loop
from mcdrop.sampling.signature import input_kind, model_fingerprint
from mcdrop.sites import Discovery, Sites, count_rows, discover
from mcdrop.tree import map_tensors, tensors
from mcdrop.types import Tree


def units_for(
    model: nn.Module,
    *args: Any,
    sites: Sites = Sites(),  # noqa: B008 (frozen)
    batch_dim: int | None = 0,
    **kwargs: Any,
) -> dict[str, Units]:
    """The random variables of a model: what a mask of it holds, by site in order of execution.

    Args:
        model: The network; it is only read.
        *args: Its positional inputs; sites depend on the kind of input, not on its values.
        sites: The choice among its dropout sites.
        batch_dim: Axis of the inputs that holds the rows; None where the whole input is one row.
        **kwargs: Its keyword inputs.

    Raises:
        UncontrolledSiteError, NoSiteError, RowAxisError: See `mcdrop.sites.discover`.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
        >>> units_for(model, torch.zeros(5, 2))
        {'2:dropout': Units(shape=(1, 8), p=0.5)}
    """
    return units_of(discovered(model, args, kwargs, sites, batch_dim))


def mask_of_draw(known: Known | None, settings: Settings, t: int) -> Mask:
    """The mask of draw t of a `MCDropout`: what `mc.masks(t)` returns.

    Args:
        known: What was established for the last input; None before the first.
        settings: The options of the `MCDropout`.
        t: Number of the draw, 0 <= t; later ones than `num_samples` are the masks that a larger T would draw.

    Raises:
        UnavailableError: Nothing was predicted yet; every row has a mask of its own; or the randomness is torch's own.
        InputError: t is no such number.
    """
    if known is None:
        raise UnavailableError("masks(t) was asked before any input: sites depend on it. Call mc(x) first.")
    if known.discovery.native or not settings.shared_masks:
        reason = "torch's own randomness runs" if known.discovery.native else "every row has a mask of its own"
        raise UnavailableError(
            f"masks(t) was asked, but {reason}: no single mask stands for draw t. Use shared_masks=True."
        )
    return Dropout(settings.seed, settings.design).draw(units_of(known.discovery), t)


class SubNetwork:
    """The model under one mask: a deterministic function, whatever the number of rows.

        f(x, z) for the given z;   with `MeanMask()`, f(x, E[z]): the weight-scaled network

    The same mask gives the same output bit by bit, in a new process too, for the same rows on the same kind of machine.

    Args:
        model: The network; it is only read, and held by reference.
        mask: A mask of it, from `Dropout.draw`, `Enumeration.mask`, `mc.masks(t)` or a file; or `MeanMask()`.
        sites: The choice among its dropout sites; what is not chosen is off.
        batch_dim: Axis of the inputs that holds the rows; None where the whole input is one row.
        output: Which part of the model's output is returned: a key, an index, a function, or None for all.
        grad: Whether results carry gradients.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1)).eval()
        >>> x = torch.ones(5, 2)
        >>> mask = Dropout(seed=0).draw(units_for(model, x), t=0)
        >>> tree = SubNetwork(model, mask)
        >>> torch.equal(tree(x), tree(x)), torch.equal(tree(x), model(x))
        (True, False)
        >>> torch.equal(SubNetwork(model, MeanMask())(x), model(x))
        True
    """

    def __init__(
        self,
        model: nn.Module,
        mask: Mask | MeanMask,
        *,
        sites: Sites = Sites(),  # noqa: B008 (frozen)
        batch_dim: int | None = 0,
        output: Output = None,
        grad: bool = False,
    ) -> None:
        if not isinstance(mask, Mask | MeanMask):
            raise InputError(f"A {type(mask).__name__} was given as the mask; expected a Mask or MeanMask().")
        self.model = model
        self.mask = mask
        self._options = (sites, batch_dim)
        self._select = selector(output)
        self._grad = grad
        self._known: dict[Hashable, Discovery] = {}

    def __repr__(self) -> str:
        return f"SubNetwork({type(self.model).__name__}, {self.mask!r})"

    def __call__(self, *args: Any, **kwargs: Any) -> Tree:
        """The output of the sub-network for an input that is given as the model takes it.

        Returns:
            The model's output (N, *out), or what `output` picks of it.

        Raises:
            InputError: The mask is of another model; names the site, the shape or the p that differs.
            McdropError: As `MCDropout`, for a model whose sites cannot be established.
        """
        with torch.set_grad_enabled(self._grad):
            return self._run(args, kwargs)

    def parameters_in_use(self, *args: Any, **kwargs: Any) -> "InUse":
        """The parameters that the output of this sub-network depends on, for these inputs.

        Established by evidence, so for any architecture: a parameter is in use if the gradient of a random combination
        of all outputs with respect to it is not 0. A unit whose ReLU is off for all rows is not in use either: give as
        many rows as you care about.

        Raises:
            InputError: The model has no parameter that takes a gradient.
            McdropError: As calling the object does.
        """
        parameters = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        if not parameters:
            raise InputError(
                f"{type(self.model).__name__} has no parameter that takes a gradient: requires_grad is False."
            )
        with torch.enable_grad():
            outputs = tensors(self._run(args, kwargs))
        generator = torch.Generator().manual_seed(0)
        weights = [torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y) for y in outputs]
        gradients = torch.autograd.grad(outputs, list(parameters.values()), weights, allow_unused=True)
        return InUse(
            {n: 0 if g is None else int((g != 0).sum()) for n, g in zip(parameters, gradients, strict=True)},
            {name: parameter.numel() for name, parameter in parameters.items()},
        )

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tree:
        sites, batch_dim = self._options
        rows = 1 if batch_dim is None else count_rows((args, kwargs), batch_dim)
        key = (model_fingerprint(self.model), input_kind((args, kwargs), batch_dim, rows))
        if key not in self._known or self._known[key].rows_may_be_ragged:
            self._known = {key: discovered(self.model, args, kwargs, sites, batch_dim)}
        discovery = self._known[key]
        if isinstance(self.mask, Mask):
            check_same(self.mask.units, units_of(discovery))
        else:  # sites that make their mask themselves know their mean alone, in evaluation mode
            discovery = replace(discovery, on=frozenset())
        run = StochasticPass(
            self.model,
            args,
            kwargs,
            discovery=discovery,
            sites=sites,
            masks=Replay((self.mask,)) if isinstance(self.mask, Mask) else self.mask,
            shared=True,
            select=self._select,
        )
        return map_tensors(lambda tensor: tensor[0], run_loop(run, 0, 1))


@dataclass(frozen=True)
class InUse:
    """How many parameters a sub-network uses.

    Args:
        in_use: By parameter's name, its entries that the output depends on.
        total: By parameter's name, all of its entries.

    Example:
        >>> InUse({"weight": 3}, {"weight": 12}).share
        0.25
    """

    in_use: Mapping[str, int]
    total: Mapping[str, int]

    @property
    def count(self) -> int:
        """Parameters in use."""
        return sum(self.in_use.values())

    @property
    def share(self) -> float:
        """Parameters in use over all."""
        return self.count / sum(self.total.values())


def discovered(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], sites: Sites, batch_dim: int | None
) -> Discovery:
    """What is known of a model that has something to sample for this input; see `mcdrop.sites.discover`."""
    discovery = discover(model, args, kwargs, sites=sites, batch_dim=batch_dim)
    discovery.require_active(model)
    return discovery

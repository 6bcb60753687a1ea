"""One stochastic pass as a pure function of its masks, and the two ways of running many: a loop, and vmap.

Both ask the same function for the same masks by (site, draw), so they cannot differ but by rounding.
"""

from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor, nn

from mcdrop.errors import RowAxisError, UncontrolledSiteError
from mcdrop.sites import Call, Discovery, Interception, RandomCall, RowAxis, Shadow, Site, Sites, Switch
from mcdrop.sites.mapped import all_samples, is_innermost, is_mapped, map_over
from mcdrop.sites.switch import Reader
from mcdrop.tree import map_tensors, tensors
from mcdrop.types import Tree


@runtime_checkable
class Masks(Protocol):
    """Where the masks of all draws come from; `mcdrop.posterior.Dropout` is one such."""

    def keep(self, site: str, shape: Sequence[int], p: float, start: int, stop: int) -> Tensor:
        """Boolean masks (stop - start, *shape) of one site, True where a unit is kept."""

    def used_probability(self, p: float) -> float:
        """The probability with which they are False."""

    def uniform(self, site: str, shape: Sequence[int], start: int, stop: int) -> Tensor:
        """Uniform numbers in (0, 1), (stop - start, *shape), for a site that makes its mask itself."""


Supply: TypeAlias = Callable[[Callable[[int, int], Tensor], torch.device], Tensor]
"""Takes a function of (start, stop) that gives something for these draws, and a device; returns it for the draw of the
pass that is running."""


class StochasticPass:
    """The model as a function of its masks, for one input.

    Args:
        model: The network; it is only read.
        args: Its positional inputs.
        kwargs: Its keyword inputs.
        discovery: What is known of its sites.
        sites: The choice among them.
        masks: Where the masks come from.
        shared: Whether the rows share a mask.
        select: Picks what is read from the model's output.
        rows: Rows of the input, where a site that holds another number of them is to be found out.

    Attributes:
        readers: The places that read `training` in the passes so far.
    """

    def __init__(
        self,
        model: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        discovery: Discovery,
        sites: Sites,
        masks: Masks,
        shared: bool,
        select: Callable[[Any], Tree],
        rows: int | None = None,
    ) -> None:
        self.readers: set[Reader] = set()
        self._rows = rows
        self._model = model
        self._on = discovery.on
        self._given = (args, kwargs)
        self._sites = {site.name: site for site in discovery.sites}
        self._native = discovery.native
        self._unused = discovery.unused
        self._all_sites = sites == Sites()
        self._rows_share = shared and any(site.row is not None for site in discovery.sites)
        self._other_p = sites.p is not None
        self._shared = shared
        self.masks = masks
        self._select = select

    def __call__(self, supply: Supply, repeat: bool = False) -> Tree:
        """Runs the pass with what `supply` picks, and returns what is read of the model's output.

        With `repeat` the inputs too are supplied once for each draw, and what the model fills with masks.
        """

        def copied(tensor: Tensor) -> Tensor:  # the model may write to its input
            if repeat and not is_mapped(tensor):
                tensor = supply(lambda start, stop: tensor.expand(stop - start, *tensor.shape), tensor.device)
            return tensor.clone()

        # A skeleton for each pass: what a forward writes to its modules must not reach the next one.
        switch = Switch(self._on)
        shadow = Shadow(self._model, switch)
        if self._native:
            shadow.reseed_generators()
        args, kwargs = map_tensors(copied, self._given)
        draw = partial(self._draw, supply)
        with Interception(shadow, partial(self._mask, supply), draw, on_made=copied if repeat else None):
            output = shadow.root(*args, **kwargs)
        switch.is_over = True
        self.readers.update(switch.readers)
        return self._select(output)

    def _mask(self, supply: Supply, name: str, call: Call, frame: FrameType) -> Tensor | None:
        if not call.training:
            return None
        site = self._sites.get(name) or self._late(name, call)
        p = call.p if site.p is None or not self._other_p else site.p
        if not site.chosen or p == 0:
            return call.input
        row = self._row(site, call.mask_shape)
        shape = call.mask_shape if row is None else row.unit(call.mask_shape)
        keep = self._keep(supply, name, shape, p, call)
        used = self.masks.used_probability(p)
        if row is None:
            return call.apply(call.input, keep, used)
        return row.fold(call.apply(row.unfold(call.input), keep, used))

    def _keep(self, supply: Supply, name: str, shape: Sequence[int], p: float, call: Call) -> Tensor:
        def one(site: str, shape: Sequence[int]) -> Tensor:
            return supply(lambda start, stop: self.masks.keep(site, shape, p, start, stop), call.input.device)

        if not call.stepwise:
            return one(name, shape)
        return torch.stack([one(f"{name}[{step}]", shape[1:]) for step in range(shape[0])])

    def _draw(self, supply: Supply, name: str, call: RandomCall, frame: FrameType) -> Tensor | None:
        if self._native and name not in self._sites:
            return None
        if name in self._unused:
            return call.mean()
        site = self._sites.get(name) or self._late(name, None)
        row = self._row(site, call.shape)
        shape = call.shape if row is None else row.unit(call.shape)
        uniform = supply(lambda start, stop: self.masks.uniform(name, shape, start, stop), call.device)
        if row is not None:
            uniform = row.spread(uniform, call.shape)
        return call.value(uniform)

    def _row(self, site: Site, shape: Sequence[int]) -> RowAxis | None:
        """Where the rows lie in a mask of `shape` that they share; None where they share none."""
        row = site.row if self._shared else None
        if row is not None and self._rows is not None and shape[row.axis] != row.outer * self._rows * row.inner:
            raise RowAxisError(
                f"The rows of site {site.name} cannot be told: its mask is {tuple(shape)} for {self._rows} rows, which "
                f"do not lie there as {row}. Pass shared_masks=False for masks of their own in each row, or "
                "batch_dim=None where the whole input is one row."
            )
        return row

    def _late(self, name: str, call: Call | None) -> Site:
        """A site that did not run when the sites were established, because the forward depends on values."""
        if call is None or self._rows_share or not self._all_sites:
            raise UncontrolledSiteError(
                f"Site {name} did not run when the model's sites were established: the forward depends on values. Its "
                "rows cannot be told any more: pass shared_masks=False, or batch_dim=None where the whole input is one "
                "row (and no Sites)."
            )
        path, law = name.split(":")[0], call.law
        return Site(name, path, "", call.operation, law, call.p, call.mask_shape, None, "", False, "met in a pass")


def run_loop(run: StochasticPass, start: int, stop: int) -> Tree:
    """Draws `start` .. `stop - 1` one after the other.

    Returns:
        What is read of the output with the draws as leading axis of each tensor, (stop - start, *out).
    """
    outputs = []
    for draw in range(start, stop):

        def supply(give: Callable[[int, int], Tensor], device: torch.device, draw: int = draw) -> Tensor:
            return give(draw, draw + 1)[0].to(device)

        outputs.append(run(supply))
    return stacked(outputs)


def stacked(outputs: Sequence[Tree]) -> Tree:
    """What is read of single draws, with the draws as leading axis of each tensor."""
    return map_tensors(lambda *parts: torch.stack(parts), outputs[0], *outputs[1:])


def run_vectorised(run: StochasticPass, start: int, stop: int, repeat: bool = False) -> Tree:
    """Draws `start` .. `stop - 1` at once, by `torch.func.vmap` over the masks.

    What does not depend on a mask is computed once. Operations that write a mask into a tensor that does not depend on
    one yet cannot be vectorised so; with `repeat` all depends on the draw, from the input and from new tensors on.

    Returns:
        As `run_loop`.
    """
    picked: Tree = None

    def one(draw: Tensor) -> tuple[Tensor, ...]:
        nonlocal picked

        def supply(give: Callable[[int, int], Tensor], device: torch.device) -> Tensor:
            return supplied(draw, lambda first, last: give(first, last).to(device))

        picked = run(supply, repeat)
        return tuple(tensors(picked))

    outputs = iter(torch.func.vmap(one, randomness="error")(torch.arange(start, stop)))
    return map_tensors(lambda _: next(outputs), picked)


def supplied(draw: Tensor, give: Callable[[int, int], Tensor]) -> Tensor:
    """Something supplied for one draw; where draws are mapped by vmap, for all of them at once.

    So a site's masks are drawn when the pass reaches it, in a shape known only then, and are never copied.
    """
    if not is_mapped(draw):
        return give(int(draw), int(draw) + 1)[0]
    if not is_innermost(draw):
        return _Supplied.apply(draw, give)
    numbers = all_samples(draw)
    return map_over(give(int(numbers[0]), int(numbers[-1]) + 1), draw)


class _Supplied(torch.autograd.Function):
    """The same as an autograd function with a rule for vmap, which may be called inside of other transforms."""

    generate_vmap_rule = False

    @staticmethod
    def forward(draw: Tensor, give: Callable[[int, int], Tensor]) -> Tensor:
        return give(int(draw), int(draw) + 1)[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[None, None]:
        return None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, draw: Tensor, give: Callable[[int, int], Tensor]) -> tuple[Tensor, int]:
        return give(int(draw[0]), int(draw[-1]) + 1), 0

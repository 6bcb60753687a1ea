"""Discovery: which readers of `training` switch dropout on, and which sites a model then has.

One pass with dropout's own layers on and everything else in evaluation mode shows who else reads `training`. Each such
reader is then told True once, alone. What that changes is the evidence: dropout operations that wake up, and nothing
else, make it a switch of dropout; running statistics, noise, augmentation, another output structure or an exception
make it something that stays off; both at once, or a random operation that is none of these, cannot be controlled, and
are said so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from mcdrop.errors import InputError, RowAxisError, UncontrolledSiteError
from mcdrop.sites.containers import is_graph, traced
from mcdrop.sites.drawn import TINY
from mcdrop.sites.host import HostNumbers, fullest_seed, host_numbers
from mcdrop.sites.intercept import Place
from mcdrop.sites.observation import Draw, Observation, Seen
from mcdrop.sites.observe import observe, trial
from mcdrop.sites.randomness import GlobalRandomness, devices_of, preserved_randomness
from mcdrop.sites.rows import Profile, close, count_rows, finest, orders, output_rows, picked_rows, row_axis
from mcdrop.sites.select import Named, Sites
from mcdrop.sites.site import HOST_OPERATIONS, Discovery, Site, Uncontrolled
from mcdrop.sites.switch import Reader, is_dropout_layer
from mcdrop.sites.uses import COIN
from mcdrop.tree import tensors

_APART = (
    'it runs inside of torch.func.vmap(..., randomness="different"), which draws for each of its samples, and here one '
    'mask stands for all of them: give it randomness="same", or take the samples through without vmap'
)


def discover(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    sites: Sites = Sites(),  # noqa: B008 (frozen)
    batch_dim: int | None = None,
) -> Discovery:
    """Finds the sites of a model that one input reaches.

    Args:
        model: Any module; it is only read.
        args: The model's positional inputs.
        kwargs: Its keyword inputs.
        sites: Which sites take part, and with which p.
        batch_dim: Axis of the inputs that holds the rows, to establish where they lie at each site (one more pass);
            None to leave that out.

    Raises:
        RowAxisError: The rows of a chosen site cannot be told.
        NoSiteError: A pattern of `sites` matches nothing.
        Exception: What the model itself raises for this input.
    """
    rows = 1 if batch_dim is None else count_rows((args, kwargs), batch_dim)
    with preserved_randomness(devices_of(model, (args, kwargs))) as given:  # once for all passes
        search = _Search(model, args, kwargs, sites, rows, given)
        for reader in search.queue:  # grows while it is walked: what a reader switches on may hold further readers
            search.try_reader(reader)
        return _concluded(search, sites, batch_dim)


def _concluded(search: "_Search", sites: Sites, batch_dim: int | None) -> Discovery:
    """What the passes have shown, with the row axes, which take one pass more."""
    base = search.base
    unreachable = [seen for seen in base.seen if _is_unreachable(seen) and not search.leaves_off(seen)]
    found = search.described()
    off = search.off + [
        f"{seen.name}: called with training=False" for seen in base.seen if not seen.training and _counts(seen, sites)
    ]
    off += [
        f"{path or '(model)'}: a traced graph, without what tracing in evaluation mode leaves out (masks by hand, "
        "attention's dropout)"
        for path in traced(search.inputs[0])
    ]
    chosen = {site.name for site in found if site.chosen and site.p != 0}
    apart = [Uncontrolled(str(seen), _APART, None) for seen in base.seen if seen.apart and seen.name in chosen]
    uncontrolled = (*search.uncontrolled, *map(_unreachable, unreachable), *apart)
    output_axis = None
    # What draws in evaluation mode too would look like rows that influence each other; it is refused for what it is.
    if batch_dim is not None and not search.native and all(item.reader is not None for item in uncontrolled):
        found, output_axis = _with_rows(search, found, batch_dim)
    return Discovery(
        sites=tuple(found),
        off=tuple(off),
        uncontrolled=uncontrolled,
        on=frozenset(search.on),
        unused=search.unused - {site.name for site in found},
        native=search.native,
        output_axis=output_axis,
        made=base.made,
        masked=base.masked,
        readers=frozenset(base.readers),
        waiting=frozenset(search.waiting),
        sized_by_values=base.sized_by_values,
    )


class _Search:
    """The state of a discovery: the readers of `training` that are told True so far, and what was seen with them on."""

    def __init__(
        self,
        model: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        sites: Sites,
        rows: int,
        given: GlobalRandomness,
    ) -> None:
        self.inputs = (model, args, kwargs)
        self.given = given
        self._sites = sites
        self.host_seed = 0
        self._host_sites: list[Seen] = []
        self._host_readers: set[Reader] = set()
        self.rows = rows
        self.base = observe(model, args, kwargs, rows=rows, given=given)
        if self.base.error is not None:
            raise self.base.error
        self.on: dict[Reader, None] = {}
        self.off: list[str] = []
        self.waiting: list[Reader] = []
        self.queue = list(self.base.readers)
        self._always_drawn = self.base.draws
        self.unused = self._unused()
        unknown = [
            str(seen)
            for seen in self.base.seen
            if seen.training and not seen.is_dropout and seen.name not in self.unused
        ]
        unknown += [str(draw) for draw in self.base.draws]
        unknown += [f"{seen}, which is not chosen," for seen in self.base.seen if seen.is_dropout and self._left(seen)]
        self.native = sites.uncontrolled == "native" and bool(unknown)
        self.uncontrolled = [
            Uncontrolled(what, "it draws in evaluation mode too", None) for what in unknown if not self.native
        ]
        self._always_on = {
            seen.name for seen in self.base.seen if seen.is_dropout and not is_dropout_layer(seen.place.owner)
        }
        self._evidence: dict[str, str] = {}
        self._left_off: list[Named] = []

    def _unused(self) -> frozenset[str]:
        """Names of the draws on which nothing depends while no reader is on: two quantiles give the same output."""
        names = frozenset(seen.name for seen in self.base.seen if seen.is_unused)
        if not names:
            return names
        low, high = (trial(*self.inputs, quantile=quantile) for quantile in (TINY, 1 - TINY))
        return names if high.same_output(low) else frozenset()

    def try_reader(self, reader: Reader) -> None:
        """Tells one more reader True and decides by what that changes."""
        on = [*self.on, reader]
        flipped = observe(*self.inputs, on, rows=self.rows, host_seed=self.host_seed, given=self.given)
        if isinstance(flipped.error, UncontrolledSiteError):  # ours, not the model's
            raise flipped.error
        self.queue += [new for new in flipped.readers if new not in self.queue]
        before = {seen.name: seen for seen in self.base.seen}
        new = [seen for seen in flipped.seen if seen.has_grown(before.get(seen.name))]
        woken = [seen for seen in new if seen.is_dropout or self._skips_modules(seen, on)]
        new_draws = [draw for draw in flipped.draws if draw not in self.base.draws and not draw.host]
        host = self._host_numbers(flipped, reader)
        decisions = [_decision(draw, self._host_sites) for draw in host.decisions]
        if decisions:
            woken, new = woken + decisions, new + decisions
            self.host_seed = fullest_seed(self.inputs, on)
            flipped = observe(*self.inputs, on, rows=self.rows, host_seed=self.host_seed, given=self.given)
        noise = [seen for seen in new if seen.is_noise]
        left = [seen for seen in woken if self._left(seen)]
        if left and len(left) == len(new) + len(new_draws) + len(host.unexplained):
            self.off += [f"{seen}: not chosen" for seen in left]
            self._left_off += [Named(seen.name, seen.place.path, seen.place.owner, -1) for seen in left]
            return
        live = [seen for seen in woken if _counts(seen, self._sites) and not self._excluded(seen.place)]
        unknown: list[Seen | Draw] = [seen for seen in new if seen.training and seen not in woken + noise]
        unknown += [*new_draws, *host.unexplained]
        unexcluded = [one for one in unknown if not self._excluded(one.place)]
        self._left_off += [Named(str(one), one.place.path, one.place.owner, -1) for one in (*unknown, *noise)]
        effects = [effect for effect in [_side_effect(self.base, flipped)] if effect]
        native = self._sites.uncontrolled == "native"
        effects += [f"{seen} wakes up" for seen in noise if not (native and (unexcluded or live))]
        effects += [f"{seen}, which is not chosen, wakes up" for seen in left]
        effects += host.effects
        if len(unexcluded) < len(unknown):
            effects.append("an excluded random operation wakes up")
        if unexcluded and (effects or not native):
            self._refuse(reader, unexcluded, effects + [f"dropout {seen.name} wakes up" for seen in live])
        elif live and effects:
            self._refuse(reader, [seen.name for seen in live], effects)
        elif effects:
            self.off += [f"{reader}: in training mode {effect}" for effect in effects]
        elif new or unexcluded:
            self.on[reader] = None
            self.native = self.native or bool(unexcluded or noise)
            self._evidence |= {seen.name: f"read of training at {reader}" for seen in woken}
            self._host_sites += decisions
            self._host_readers |= {reader} if decisions else set()
            self.base = flipped
        else:
            self.waiting.append(reader)

    def _host_numbers(self, flipped: Observation, reader: Reader) -> HostNumbers:
        """What one more reader makes of numbers of Python's and NumPy's generators."""
        if not any(draw.host for draw in flipped.draws):
            return HostNumbers()
        # Without the readers that make such decisions already, so that what differs is due to this one.
        alone = [*(other for other in self.on if other not in self._host_readers), reader]
        return host_numbers(self.inputs, alone, self._always_drawn)

    def _skips_modules(self, seen: Seen, on: Sequence[Reader]) -> bool:
        """Whether numbers that the host program decides by make modules run or not (LayerDrop), and nothing else."""
        if seen.uses != {COIN}:
            return False
        low, high = (trial(*self.inputs, on, quantile=quantile).ran for quantile in (TINY, 1 - TINY))
        return low < high or high < low

    def described(self) -> list[Site]:
        """The sites that were seen, without their row axes."""
        on = [seen for seen in self.base.seen if seen.is_dropout or seen.name in self._evidence] + self._host_sites
        named = [Named(seen.name, seen.place.path, seen.place.owner, place) for place, seen in enumerate(on)]
        chosen = set(self._sites.chosen(named, self._left_off))
        for site, seen in zip(named, on, strict=True):
            if seen.p is None and self._sites.probability(site, len(on), -1.0) != -1.0:
                raise InputError(
                    f"Sites(p=...) was given for {seen}, whose probability is written in the model's own code. Give p "
                    "by patterns that leave it out."
                )
        return [
            Site(
                name=seen.name,
                path=seen.place.path,
                owner=seen.place.owner.__name__,
                operation=seen.operation,
                law=_law(seen),
                p=None if seen.p is None else self._sites.probability(named[place], len(on), seen.p),
                mask_shape=seen.mask_shape,
                row=None,
                source=seen.place.source,
                always_on=seen.name in self._always_on,
                established=self._established(seen),
                chosen=place in chosen or seen.p is None,
                stepwise=seen.stepwise,
            )
            for place, seen in enumerate(on)
        ]

    def _established(self, seen: Seen) -> str:
        if seen.name in self._evidence:
            return self._evidence[seen.name]
        if seen.name in self._always_on:
            return "drawn in evaluation mode too" if seen.p is None else "called with training=True"
        return seen.place.owner.__name__

    def _left(self, seen: Seen) -> bool:
        """Whether a site that draws its mask itself, and so is on or off with its reader, is not chosen."""
        return seen.p is None and not self._sites.takes(Named(seen.name, seen.place.path, seen.place.owner, -1), 0)

    def leaves_off(self, seen: Seen) -> bool:
        """Whether dropout that is off shall stay so: it is excluded by name or path, or not named by `only`."""
        named = Named(seen.name, seen.place.path, seen.place.owner, -1)
        self._left_off.append(named)
        return not self._sites.takes(named, 1 + len(self.base.seen))

    def _excluded(self, place: Place) -> bool:
        everything_else = replace(self._sites, only=None)
        return not everything_else.takes(Named(place.path, place.path, place.owner, -1), 0)

    def _refuse(self, reader: Reader, what: Sequence[object], effects: Sequence[str]) -> None:
        also = "".join(f", and {effect}" for effect in effects)
        why = f"it wakes up where {reader} reads `training`{also}"
        self.uncontrolled.append(Uncontrolled(", ".join(sorted(set(map(str, what)))), why, reader))


def _decision(draw: Draw, before: Sequence[Seen]) -> Seen:
    """A decision by one of the host program's generators, as a site; `before`: those that are known."""
    count = 1 + sum(seen.operation == draw.operation for seen in before)
    name = f"{draw.place.path or '(model)'}:{draw.operation}" + (f"#{count}" if count > 1 else "")
    law = "decision of the host program"
    return Seen(name, draw.place, draw.operation, law, None, True, (), Profile(()), frozenset([COIN]))


def _law(seen: Seen) -> str:
    """The law in words; of numbers that decide which modules run, that they do."""
    is_coin = seen.uses == {COIN} and seen.operation not in HOST_OPERATIONS
    return f"{seen.law}, a coin" if is_coin else seen.law


def _counts(seen: Seen, sites: Sites) -> bool:
    """Whether a site that is on would drop anything, with another p to come too."""
    return seen.p is None or seen.p > 0 or sites.p is not None


def _side_effect(base: Observation, flipped: Observation) -> str:
    if flipped.error is not None:
        return f"the model raises {type(flipped.error).__name__}: {flipped.error}"
    if flipped.buffers_changed - base.buffers_changed:
        return "buffers (running statistics, say) change"
    if flipped.batch_statistics > base.batch_statistics:
        return "a normalisation uses the statistics of the batch"
    if flipped.structure != base.structure:
        return f"the output is {flipped.structure} instead of {base.structure}"
    return ""


def _is_unreachable(seen: Seen) -> bool:
    """Whether dropout is off although nobody meant it: its flag is none that the skeleton answers."""
    return not seen.training and seen.p != 0 and (seen.place.outside or is_graph(seen.place.owner))


def _unreachable(seen: Seen) -> Uncontrolled:
    if seen.place.outside:
        why = "its module is held by something that is no module, so its mode cannot be read on its own"
    else:
        why = (
            "the traced graph holds training=False as a constant: trace or export it in training mode, or pass the "
            "model that it was made from"
        )
    return Uncontrolled(seen.name, why, None)


def _with_rows(search: _Search, found: list[Site], batch_dim: int) -> tuple[list[Site], int | None]:
    model, args, kwargs = search.inputs
    rows = search.rows
    looked_at = rows + 1 if rows > 1 else 1  # with one row there is one layout, whatever the values
    for order in orders(rows):
        more_args, more_kwargs = picked_rows((args, kwargs), batch_dim, order)
        more = observe(
            model, more_args, more_kwargs, search.on, rows=looked_at, host_seed=search.host_seed, given=search.given
        )
        if more.error is None:
            break
    if more.error is not None:
        raise RowAxisError(
            f"The rows of the input cannot be told: on one row more the model raised {type(more.error).__name__}: "
            f"{more.error}. Pass batch_dim=None where the whole input is one row, or shared_masks=False."
        ) from more.error
    before = {seen.name: seen for seen in search.base.seen if seen.training}
    after = {seen.name: seen for seen in more.seen if seen.training}
    if list(before) != list(after):
        names = ", ".join(sorted(set(before) ^ set(after))) or "their order"
        raise RowAxisError(
            f"With one row more, other dropout operations run ({names}), so no mask can be shared by the rows. Pass "
            "shared_masks=False, or batch_dim=None where the whole input is one row."
        )
    computed_in = finest(list(model.parameters()), [args, kwargs])
    axis = output_rows(search.base.output, more.output, rows, order, computed_in=computed_in)
    placed = [
        replace(site, row=row_axis(site.name, before[site.name].profile, after[site.name].profile, rows, order))
        if site.chosen and site.p != 0 and site.name in before
        else site
        for site in found
    ]
    drawn = {site.name: site.row for site in placed if site.p is None and site.row is not None}
    if drawn and axis is not None and rows > 1:
        apart = trial(model, more_args, more_kwargs, search.on, host_seed=search.host_seed, rows_at=drawn)
        _check_rows_apart(more, apart, axis, drawn)
    return placed, axis


def _check_rows_apart(before: Observation, after: Observation, axis: int, drawn: Iterable[str]) -> None:
    """That other numbers for all rows but the first leave one as it was, wherever the model may have put it."""
    if after.error is not None or after.structure != before.structure:
        return  # extreme numbers are too much for some models, which proves nothing
    pairs = zip(tensors(before.output)[0].unbind(axis), tensors(after.output)[0].unbind(axis), strict=True)
    if not any(close(new, old) for old, new in pairs):
        raise RowAxisError(
            f"The masks of the rows influence each other: what is drawn at {', '.join(drawn)} for other rows changed "
            "the first one too (DropBlock scaled by the mean over the batch, say), so that one mask for all is another "
            "law. Pass shared_masks=False for masks as in training, or batch_dim=None where the whole input is one row."
        )

"""One observed pass: the evidence from which sites are established.

The pass runs with dropout operations replaced by the identity and random numbers by their mean, so that it is
deterministic unless something else draws, which is noticed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import FrameType, MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcdrop.sites.drawn import RandomCall
from mcdrop.sites.intercept import Interception, Place, place_of
from mcdrop.sites.mapped import draws_apart
from mcdrop.sites.observation import Draw, Observation, Seen
from mcdrop.sites.operations import Call
from mcdrop.sites.ragged import is_sized_by_values
from mcdrop.sites.randomness import GlobalRandomness, devices_of, preserved_randomness
from mcdrop.sites.rows import Profile, RowAxis
from mcdrop.sites.shadow import Shadow
from mcdrop.sites.sizes import Sizes
from mcdrop.sites.switch import Reader, Switch
from mcdrop.sites.uses import Uses
from mcdrop.tree import map_tensors

_NORMALISATIONS = {
    F.batch_norm: "training",
    torch.batch_norm: "training",
    F.instance_norm: "use_input_stats",
    torch.instance_norm: "use_input_stats",
}
"""Operations that use the batch's statistics or the running ones; the name of the sixth argument, which decides."""
_OF_HOST_DATA = {torch.tensor, torch.as_tensor, torch.asarray, torch.Tensor.new_tensor}
"""Operations that make a tensor of the host program's numbers."""


def observe(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    on: Iterable[Reader] = (),
    *,
    rows: int = 1,
    host_seed: int = 0,
    given: GlobalRandomness | None = None,
) -> Observation:
    """Runs the model's skeleton once, and once more where something draws, to see which operations do.

    Args:
        model: The network; it is only read.
        args: Its positional inputs.
        kwargs: Its keyword inputs.
        on: The readers of `training` that are told True.
        rows: Number of rows of the inputs; sites' values are looked at where several may be folded into one axis.
        host_seed: Seed of Python's and NumPy's generators for the pass.
        given: The global random state as it is now, where the caller preserves it; None to do that here.
    """
    if given is None:
        with preserved_randomness(devices_of(model, (args, kwargs))) as given:
            return observe(model, args, kwargs, on, rows=rows, host_seed=host_seed, given=given)
    with torch.no_grad():
        observation = _Watcher(model, on, rows=rows).run(args, kwargs)
        if not given.moved():
            return observation
        given.restore()
        given.reseed_host(host_seed)  # and again, looking after each operation which one it was
        watched = devices_of(model, (args, kwargs))
        observation = _Watcher(model, on, rows=rows, watched=watched).run(args, kwargs)
        given.restore()
        return observation


def trial(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    on: Iterable[Reader] = (),
    *,
    quantile: float | None = None,
    host_seed: int = 0,
    held: Sequence[Tensor] | None = None,
    rows_at: Mapping[str, RowAxis] = MappingProxyType({}),
) -> Observation:
    """Runs the model's skeleton once, noting which modules run and not which operations draw.

    Args:
        model: The network; it is only read.
        args: Its positional inputs.
        kwargs: Its keyword inputs.
        on: The readers of `training` that are told True.
        quantile: Random numbers are this quantile of their law; None: their mean.
        host_seed: Seed of Python's and NumPy's generators for the pass.
        held: The `host_tensors` of another pass, to be used in place of what this one makes.
        rows_at: Where the rows lie at draws, by name, of which all rows but the first get extreme numbers.
    """
    with torch.no_grad(), preserved_randomness(devices_of(model, (args, kwargs))) as given:
        given.reseed_host(host_seed)
        watcher = _Watcher(model, on, quantile=quantile, note_modules=True, held=held, rows_at=rows_at)
        return watcher.run(args, kwargs)


class _Watcher:
    """Runs one pass and takes notes; see `observe` and `trial`.

    Args:
        model: The network.
        on: Readers that are told True.
        quantile: Of random numbers.
        rows: Of the inputs.
        note_modules: Whether the modules that run are noted.
        held: Tensors used in place of those made of the host program's numbers.
        rows_at: See `trial`.
        watched: Devices whose generators are looked at after each operation; None to leave that out.
    """

    def __init__(
        self,
        model: nn.Module,
        on: Iterable[Reader],
        *,
        quantile: float | None = None,
        rows: int = 1,
        note_modules: bool = False,
        held: Sequence[Tensor] | None = None,
        rows_at: Mapping[str, RowAxis] = MappingProxyType({}),
        watched: set[torch.device] | None = None,
    ) -> None:
        self._switch = Switch(on)
        self._shadow = Shadow(model, self._switch)
        self._quantile = quantile
        self._rows = rows
        self._note_modules = note_modules
        self._held = held
        self._rows_at = rows_at
        self._host_tensors: list[Tensor] = []
        self._watched = watched
        self._before = GlobalRandomness(watched) if watched is not None else None
        self._seen: list[Seen] = []
        self._draws: list[Draw] = []
        self._uses = Uses()
        self._ran: set[str] = set()
        self._made = self._masked = Sizes()
        self._is_masked = False
        self._batch_statistics = 0
        self._sized_by_values = False

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Observation:
        """The pass on these inputs."""
        args, kwargs = map_tensors(torch.clone, (args, kwargs))
        output, error = None, None
        try:
            with Interception(self._shadow, self._on_call, self._on_random, self._on_result):
                output = self._shadow.root(*args, **kwargs)
        except Exception as raised:
            error = raised
        self._look("what runs behind the last operation that is seen (a scripted function, say)", None)
        for kind, path in self._shadow.generators_moved:
            place = Place(path, type(self._shadow.root.get_submodule(path)), False, "")
            self._draws.append(Draw(f"a {kind} of its own", place))
        used = self._uses.found
        return Observation(
            seen=tuple(replace(s, uses=frozenset(used[s.name])) if s.name in used else s for s in self._seen),
            draws=tuple(self._draws),
            readers=tuple(self._switch.readers),
            buffers_changed=self._shadow.buffers_changed,
            output=output,
            error=error,
            made=self._made,
            masked=self._masked,
            batch_statistics=self._batch_statistics,
            sized_by_values=self._sized_by_values,
            ran=frozenset(self._ran),
            host_tensors=tuple(self._host_tensors),
            host_uses=self._uses.of_host,
        )

    def _on_call(self, name: str, call: Call, frame: FrameType) -> Tensor:
        place, profile = place_of(self._shadow, frame, source=True), Profile.of(call.input, self._rows)
        what = (call.operation, call.law, call.p, call.training, call.mask_shape)
        self._seen.append(Seen(name, place, *what, profile, stepwise=call.stepwise, apart=draws_apart()))
        self._is_masked = self._is_masked or call.training  # whatever its p is: another may be chosen
        self._count(call.input)  # what dropping makes of it when it is on
        return call.input

    def _count(self, made: Tensor) -> None:
        size = made.numel() * made.element_size()
        self._made = self._made.and_one_of(size)
        if self._is_masked:
            self._masked = self._masked.and_one_of(size)

    def _on_random(self, name: str, call: RandomCall, frame: FrameType) -> Tensor | None:
        if not call.controllable:
            return None
        self._is_masked = True
        place, profile = place_of(self._shadow, frame, source=True), Profile(call.shape)
        what = (call.operation, call.law_in_words, None, True, call.shape)
        self._seen.append(Seen(name, place, *what, profile, apart=draws_apart()))
        numbers = call.mean() if self._quantile is None else call.value(call.quantile(self._quantile))
        if name in self._rows_at:
            numbers = torch.where(self._rows_at[name].is_first(call.shape, call.device), numbers, call.extremes())
        # What is drawn in place lives on in the target.
        self._uses.drawn(name, numbers if call.target is None else call.target, call.law == "Bernoulli")
        return numbers

    def _on_result(
        self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, frame: FrameType
    ) -> None:
        self._uses.follow(operation, args, kwargs, result)
        if operation in _OF_HOST_DATA:
            self._hold(result)
        self._sized_by_values = self._sized_by_values or is_sized_by_values(operation, args)
        for made in (result,) if isinstance(result, Tensor) else result if isinstance(result, tuple) else ():
            if isinstance(made, Tensor):
                self._count(made)
        flag = _NORMALISATIONS.get(operation)
        if flag is not None:
            self._batch_statistics += bool(kwargs.get(flag, args[5] if len(args) > 5 else False))
        if self._note_modules:
            self._ran.add(place_of(self._shadow, frame, source=False).path)
        if self._before is not None:
            self._look(getattr(operation, "__name__", str(operation)), frame)

    def _hold(self, made: Tensor) -> None:
        """Notes a tensor of the host program's numbers, and gives it the values held instead of its own."""
        place = len(self._host_tensors)
        self._host_tensors.append(made.clone())
        if self._held is None or place >= len(self._held):
            return
        held = self._held[place]
        if made.shape == held.shape and not torch.equal(made, held):
            made.copy_(held)
            self._uses.drawn(f"host tensor {place}", made, not made.is_floating_point(), of_host=True)

    def _look(self, operation: str, frame: FrameType | None) -> None:
        """Notes the operation if a generator has moved since the last look."""
        moved = self._before.moved() if self._before is not None else []
        for name in moved:
            if name == "torch":
                self._draws.append(Draw(operation, place_of(self._shadow, frame, source=True)))
            else:  # it was drawn from before this operation: by whom is not seen
                draw = Draw(name, Place("", type(self._shadow.root), False, ""), host=True)
                self._draws += [draw] if draw not in self._draws else []
        if moved:
            self._before = GlobalRandomness(self._watched or ())

"""A network that is a chain of PyTorch's own layers, read as what each layer does to a mask before it.

Of a chain the arithmetic is known, not only the outputs. A mask that scales whole channels passes through what treats
channels alike (relu, pooling), and meets the next weights, where a dropped channel is a column that need not be
multiplied. What torch's layers do is written here once; every other model runs as its author wrote it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from mcdrop.sites import Discovery, RowAxis

Affine: TypeAlias = nn.Linear | nn.Conv1d | nn.Conv2d
BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d

_AFFINE = {nn.Linear: 2, nn.Conv1d: 3, nn.Conv2d: 4}
"""What multiplies channels by weights, and the axes of what it takes."""
_DROPOUT = {nn.Dropout: "dropout", nn.Dropout1d: "dropout1d", nn.Dropout2d: "dropout2d"}
_WHOLE_CHANNELS = {nn.Dropout1d: 3, nn.Dropout2d: 4}
"""What drops whole channels, and the axes of what it takes; with fewer, torch reads rows as channels."""
_NORM = {nn.BatchNorm1d, nn.BatchNorm2d}
_HOMOGENEOUS = {nn.ReLU, nn.LeakyReLU}
"""f(c x) = c f(x) for c >= 0, element by element."""
_ELEMENTWISE = {nn.ELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.ReLU6, nn.Hardswish}
_POOL = {nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d}
"""Channel by channel, and f(c x) = c f(x) for c >= 0."""
_WHOLE = {nn.LayerNorm, nn.GroupNorm, nn.Softmax, nn.LogSoftmax}
"""Row by row, all channels at once."""


@dataclass(frozen=True)
class Multiply:
    """A layer of weights, with the normalisation that follows it taken into them.

    Args:
        layer: Linear or a convolution.
        norm: BatchNorm on its outputs, which in evaluation is a factor and a shift for each channel.
        thinned_by: The next `Drop`, where only what keeps or shrinks single channels lies between: outputs that it
            drops need not be computed.
    """

    layer: Affine
    norm: BatchNorm | None = None
    thinned_by: "Drop | None" = None


@dataclass(frozen=True)
class Drop:
    """A dropout site.

    Args:
        name: Of the site.
        p: Probability of zeroing in use.
        channels: Whether its mask has one value for each channel.
        scale: What is kept is multiplied with this.
    """

    name: str
    p: float
    channels: bool
    scale: float


@dataclass(frozen=True)
class Elementwise:
    """A function of each value; `homogeneous` if f(c x) = c f(x) for c >= 0."""

    module: nn.Module
    homogeneous: bool


@dataclass(frozen=True)
class Normalise:
    """A factor and a shift for each channel: BatchNorm that follows no weights."""

    norm: BatchNorm


@dataclass(frozen=True)
class Pool:
    """A function of each channel's map with f(c x) = c f(x) for c >= 0."""

    module: nn.Module


@dataclass(frozen=True)
class Flatten:
    """Maps (N, C, *map) to (N, C |map|)."""


@dataclass(frozen=True)
class Whole:
    """A function of a row's channels together."""

    module: nn.Module


Step: TypeAlias = Multiply | Drop | Elementwise | Normalise | Pool | Flatten | Whole


def chain_of(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    discovery: Discovery,
    used_probability: Callable[[float], float],
) -> list[Step]:
    """The steps of a model that is such a chain with a mask in it; none where it is not, or where somebody looks on.

    Hooks, parametrizations, compiled modules, subclasses of the layers, modes of torch that watch its functions, other
    devices than the CPU and mixed types are left to the model's own forward.
    """
    if len(args) != 1 or kwargs or not _is_plain(args[0]) or _is_watched():
        return []
    leaves = list(_leaves(model))
    if any(leaf is None or not _holds_plain(leaf, args[0].dtype) for leaf in leaves):
        return []
    steps = _steps(leaves, args[0].ndim, discovery, used_probability)
    return _joined(steps) if steps and any(isinstance(step, Drop) for step in steps) else []


def _is_plain(x: Any) -> bool:
    on_processor = type(x) is Tensor and x.device.type == "cpu"
    return on_processor and x.layout is torch.strided and x.dtype in (torch.float32, torch.float64)


def _holds_plain(leaf: nn.Module, dtype: torch.dtype) -> bool:
    """Whether the layer's weights are ordinary tensors of that type, on the processor."""
    held = [tensor for tensor in (*leaf._parameters.values(), *leaf._buffers.values()) if tensor is not None]
    if any(type(tensor) not in (Tensor, nn.Parameter) or tensor.device.type != "cpu" for tensor in held):
        return False
    if type(leaf) in _DROPOUT and held:
        return False  # its rate may be one of them, and another at every call
    if any(tensor.layout is not torch.strided for tensor in held):
        return False
    return all(tensor.dtype == dtype for tensor in held if tensor.is_floating_point())


def _is_watched() -> bool:
    return (
        _has_any_global_hook()
        or torch._C._len_torch_function_stack() > 0
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch.is_autocast_enabled("cpu")
    )


def _leaves(module: nn.Module) -> Iterator[nn.Module | None]:
    """The layers in order; None stands for one whose forward is not known."""
    if _is_altered(module):
        yield None
    elif isinstance(module, nn.Sequential) and _runs_in_order(type(module)):
        for child in module._modules.values():
            if child is None:
                yield None
            else:
                yield from _leaves(child)
    else:
        yield module


def _runs_in_order(kind: type[nn.Sequential]) -> bool:
    return kind.forward is nn.Sequential.forward and kind.__iter__ is nn.Sequential.__iter__


def _is_altered(module: nn.Module) -> bool:
    """Whether a call of the module does more than its class's forward."""
    hooks = (
        module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks,
    )  # fmt: skip
    return (
        any(hooks)
        or "forward" in module.__dict__
        or module._compiled_call_impl is not None
        or type(module).__call__ is not nn.Module.__call__
    )


def _steps(
    leaves: list[Any], ndim: int, discovery: Discovery, used_probability: Callable[[float], float]
) -> list[Step] | None:
    """The steps before neighbours are joined; None where a layer is none of those known here."""
    sites = iter(discovery.sites)
    steps: list[Step] = []
    for leaf in leaves:
        kind = type(leaf)
        if kind in _DROPOUT:
            site = next(sites, None)
            if site is None or site.operation != _DROPOUT[kind] or site.p is None:
                return None
            if not site.chosen or site.p == 0:
                continue
            if site.row != RowAxis(0) or site.stepwise or _WHOLE_CHANNELS.get(kind, ndim) != ndim:
                return None
            used = used_probability(site.p)
            scale = 1 / (1 - used) if used < 1 else 1.0
            steps.append(Drop(site.name, site.p, kind is not nn.Dropout or ndim == 2, scale))
        elif kind is nn.Identity:
            continue
        elif kind is nn.Flatten and (leaf.start_dim, leaf.end_dim) == (1, -1):
            steps += [Flatten()] if ndim > 2 else []
            ndim = 2
        else:
            step = _step(leaf, ndim)
            if step is None:
                return None
            steps.append(step)
    return steps if next(sites, None) is None else None


def _step(leaf: Any, ndim: int) -> Step | None:
    kind = type(leaf)
    if kind in _AFFINE:
        plain = getattr(leaf, "padding_mode", "zeros") == "zeros" and getattr(leaf, "groups", 1) == 1
        return Multiply(leaf) if ndim == _AFFINE[kind] and plain else None
    if kind in _NORM:
        return Normalise(leaf) if leaf.running_mean is not None else None
    if kind in _HOMOGENEOUS | _ELEMENTWISE:
        return Elementwise(leaf, kind in _HOMOGENEOUS)
    if kind in _POOL:
        return Pool(leaf) if not getattr(leaf, "return_indices", False) and _is_batched(leaf, ndim) else None
    if kind in _WHOLE:
        return Whole(leaf) if getattr(leaf, "dim", -1) in (1, -1) and (ndim == 2 or kind is nn.GroupNorm) else None
    return None


def _is_batched(pool: nn.Module, ndim: int) -> bool:
    return ndim == (4 if type(pool).__name__.endswith("2d") else 3)


def _joined(steps: list[Step]) -> list[Step]:
    """Each normalisation taken into the weights before it, and each layer of weights told which mask may thin it."""
    joined: list[Step] = []
    for place, step in enumerate(steps):
        if isinstance(step, Normalise) and place and isinstance(steps[place - 1], Multiply):
            continue
        if not isinstance(step, Multiply):
            joined.append(step)
            continue
        follower = steps[place + 1] if place + 1 < len(steps) else None
        norm = follower.norm if isinstance(follower, Normalise) else None
        joined.append(Multiply(step.layer, norm, _thinned_by(steps[place + 1 :])))
    return joined


def _thinned_by(rest: list[Step]) -> Drop | None:
    for step in rest:
        if isinstance(step, Drop):
            return step if step.channels else None
        if not isinstance(step, Elementwise | Normalise | Pool):
            return None
    return None


def weights_of(step: Multiply) -> tuple[Tensor, Tensor | None]:
    """Weights and bias with the normalisation taken in: W' = s W, b' = s (b - mean) + shift, s = gain / std."""
    weight, bias = step.layer.weight, step.layer.bias
    if step.norm is None:
        return weight, bias
    scale, shift = factor_and_shift(step.norm)
    weight = weight * scale.view(-1, *(1,) * (weight.ndim - 1))
    return weight, shift if bias is None else torch.addcmul(shift, bias, scale)


def factor_and_shift(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """BatchNorm in evaluation as x * factor + shift, each (C,)."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = torch.rsqrt(norm.running_var + norm.eps)
    factor = factor if norm.weight is None else factor * norm.weight
    shift = -norm.running_mean * factor
    return factor, shift if norm.bias is None else shift + norm.bias

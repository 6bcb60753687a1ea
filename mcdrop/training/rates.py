"""Which p belongs to which weight: that of the dropout directly on the input of its layer."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mcdrop.errors import InputError
from mcdrop.noise import BernoulliDropout, ConcreteDropout, SpatialDropout, check_probability
from mcdrop.training.randomness import devices_of, random_states, seeded

_DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)
_LAYERS = (F.linear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
_KEEP_ZEROS = (
    *(torch.flatten, torch.reshape, torch.relu, torch.transpose, torch.permute, F.relu),
    *(Tensor.flatten, Tensor.reshape, Tensor.view, Tensor.relu, Tensor.transpose, Tensor.permute, Tensor.contiguous),
)


def dropout_rates(model: nn.Module, *args: Any, **kwargs: Any) -> dict[str, float]:
    """The rate p of the dropout directly on the input of each layer, by the names of its weight and bias.

    Found by one pass of a copy of the model in training mode: a linear or convolutional layer has p where its input is
    what a dropout layer or `F.dropout` returned (reshaped or rectified, perhaps), and 0 elsewhere; its bias has 0. Of
    concrete dropout it is p as it stands. Gains of normalisation layers have no such reading and are left out.

    Args:
        model: The network; left as it is.
        *args: Positional inputs.
        **kwargs: Keyword inputs.

    Raises:
        InputError: Where it cannot be told: a matrix used elsewhere (attention, recurrent and embedding layers), one
            used with two rates, or randomness that is no dropout layer. Give the rates by name then.

    Example:
        >>> model = nn.Sequential(nn.Dropout(0.1), nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
        >>> dropout_rates(model, torch.zeros(2, 4))
        {'1.weight': 0.1, '1.bias': 0.0, '4.weight': 0.5, '4.bias': 0.0}
    """
    trace, has_drawn = _traced(model, args, kwargs)
    if has_drawn:
        raise InputError(
            f"{type(model).__name__} draws random numbers outside of dropout layers, so it cannot be told which "
            "weights they belong to. Give the rates by name: Objective(..., rates={'fc.weight': 0.5, ...})."
        )
    unseen = [name for name, weight in model.named_parameters() if weight.ndim > 1 and name not in trace.rates]
    if unseen:
        raise InputError(
            f"{', '.join(unseen)}: used by no linear or convolutional layer, so it cannot be told which dropout "
            "belongs to it. Give the rates by name: Objective(..., rates={'fc.weight': 0.5, ...})."
        )
    return {name: trace.rates[name] for name, _ in model.named_parameters() if name in trace.rates}


@dataclass(frozen=True)
class DropoutTaken:
    """One call of dropout, and who took what it returned.

    Args:
        p: Its rate.
        path: Of its module, for the layers of `mcdrop.noise`; "" elsewhere.
        weights: Of the layers that took it, by name: their inputs (features or channels), and whether they convolve.
    """

    p: float
    path: str = ""
    weights: dict[str, tuple[int, bool]] = field(default_factory=dict)


def dropout_taken(model: nn.Module, *args: Any, **kwargs: Any) -> list[DropoutTaken]:
    """The calls of dropout in one pass of a copy of the model in training mode, in order; see `dropout_rates`."""
    return _traced(model, args, kwargs)[0].calls


def _traced(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple["_Trace", bool]:
    """What a pass shows, and whether random numbers were drawn in it."""
    twin = copy.deepcopy(model).train()
    trace = _Trace(twin)
    with torch.no_grad(), seeded(devices_of(twin)) as reseed:
        reseed(0)
        before = random_states(twin)
        with trace:
            twin(*args, **kwargs)
        return trace, random_states(twin) != before


def check_rates(model: nn.Module, rates: Mapping[str, float]) -> dict[str, nn.Parameter]:
    """The model's parameters by name, after a check of the rates.

    Raises:
        InputError: A rate is not in [0, 1), or its name is not the model's.
    """
    parameters = dict(model.named_parameters())
    unknown = [name for name in rates if name not in parameters]
    if unknown:
        raise InputError(
            f"rates of {', '.join(unknown)} were given; {type(model).__name__} has {', '.join(parameters)}."
        )
    for name, p in rates.items():
        if check_probability(p) == 1:
            raise InputError(f"The rate 1 of {name} was given: such a layer computes nothing. Expected p in [0, 1).")
    return parameters


class _Trace(TorchFunctionMode):
    """Follows what dropout returned until a layer takes it; dropout itself draws nothing meanwhile."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.rates: dict[str, float] = {}
        self.calls: list[DropoutTaken] = []
        self._names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._dropped: dict[int, tuple[Tensor, DropoutTaken]] = {}  # the tensor too: its id must not be used again
        for path, module in model.named_modules():
            if isinstance(module, BernoulliDropout | SpatialDropout | ConcreteDropout):
                p = module.law.p  # of concrete dropout, whose own is a tensor with a gradient, as of the others
                module.__dict__["forward"] = partial(self._drop, p=p, path=path)

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _DROPOUTS:
            input, p, training = _dropout_arguments(*args, **kwargs)
            return self._drop(input, p) if training else input
        result = func(*args, **kwargs)
        if func in _LAYERS:
            self._layer(*args, **kwargs)
        elif func in _KEEP_ZEROS and id(args[0]) in self._dropped:
            self._dropped[id(result)] = (result, self._dropped[id(args[0])][1])
        return result

    def _drop(self, input: Tensor, p: float, path: str = "") -> Tensor:
        result = input.clone()
        self.calls.append(DropoutTaken(p, path))
        self._dropped[id(result)] = (result, self.calls[-1])
        return result

    def _layer(self, input: Tensor, weight: Tensor, bias: Tensor | None = None, *_: Any, **__: Any) -> None:
        call = self._dropped[id(input)][1] if id(input) in self._dropped else DropoutTaken(0.0)
        if id(weight) in self._names:
            call.weights[self._names[id(weight)]] = (input.shape[1 - weight.ndim], weight.ndim > 2)
        for parameter, p in ((weight, call.p), (bias, 0.0)):
            name = self._names.get(id(parameter))
            if name is not None and self.rates.setdefault(name, p) != p:
                raise InputError(
                    f"{name} is used with the rates {self.rates[name]} and {p}: give its rate by name, "
                    "Objective(..., rates={...})."
                )


def _dropout_arguments(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> tuple[Tensor, float, bool]:
    return input, p, training

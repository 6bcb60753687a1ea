"""Dropout between the layers of LSTM, GRU and RNN, which PyTorch applies inside one function for all layers.

The function is run layer by layer instead, with a mask on what passes from one to the next. Under vmap the samples are
folded into the batch of a layer: PyTorch has no batching rule for these functions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mcdrop.sites.operations import Call

_NAMES: dict[Any, str] = {torch.lstm: "lstm", torch.gru: "gru", torch.rnn_tanh: "rnn_tanh", torch.rnn_relu: "rnn_relu"}
RECURRENT = frozenset(_NAMES)
"""The recurrent functions."""


@dataclass(frozen=True)
class Layers:
    """One call of a recurrent function, taken apart.

    Args:
        function: `torch.lstm`, `torch.gru`, `torch.rnn_tanh` or `torch.rnn_relu`.
        input: (L, N, H), (N, L, H) or, packed, (sum of lengths, H).
        batch_sizes: Rows that are still running at each step, if packed; None otherwise.
        states: The initial states, each (layers * directions, N, H).
        weights: Those of all layers.
        has_biases: Whether there are biases among them.
        count: Number of layers.
        p: Probability of zeroing between two of them.
        training: The flag it was called with.
        bidirectional: Whether each layer runs both ways.
        batch_first: Whether the input is (N, L, H).
    """

    function: Any
    input: Tensor
    batch_sizes: Tensor | None
    states: tuple[Tensor, ...]
    weights: Sequence[Tensor]
    has_biases: bool
    count: int
    p: float
    training: bool
    bidirectional: bool
    batch_first: bool

    @property
    def has_dropout(self) -> bool:
        """Whether it drops anything in training mode."""
        return self.p > 0 and self.count > 1

    def run(self, masked: Callable[[Call], Tensor]) -> tuple[Tensor, ...]:
        """The output and the last states, with what passes between layers handed to `masked`."""
        directions = 2 if self.bidirectional else 1
        per_layer = len(self.weights) // self.count
        output, last = self.input, []
        for layer in range(self.count):
            if layer:
                output = self._between(output, masked)
            weights = self.weights[layer * per_layer : (layer + 1) * per_layer]
            states = [state[layer * directions : (layer + 1) * directions] for state in self.states]
            output, *after = _Layer.apply(self, len(states), output, *states, *weights)
            last.append(after)
        return output, *(torch.cat(parts) for parts in zip(*last, strict=True))

    def _between(self, output: Tensor, masked: Callable[[Call], Tensor]) -> Tensor:
        name = _NAMES[self.function]
        if self.batch_sizes is None:
            return masked(Call(name, output, self.p, self.training, False, False, False))
        # Padded for the mask, so that time and row are axes of their own.
        sizes = self.batch_sizes.tolist()
        steps = torch.cat([torch.full((size,), step) for step, size in enumerate(sizes)]).to(output.device)
        rows = torch.cat([torch.arange(size) for size in sizes]).to(output.device)
        padded = output.new_zeros(len(sizes), sizes[0], output.shape[-1]).index_put((steps, rows), output)
        return masked(Call(name, padded, self.p, self.training, False, False, False, stepwise=True))[steps, rows]

    def one_layer(self, folded: int, num_states: int, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """One layer for a batch that holds every row `folded` times."""
        output, states, weights = tensors[0], tensors[1 : 1 + num_states], list(tensors[1 + num_states :])
        state: Any = tuple(states) if self.function is torch.lstm else states[0]
        if self.batch_sizes is None:
            options = (self.has_biases, 1, 0.0, False, self.bidirectional, self.batch_first)
            return self.function(output, state, weights, *options)
        sizes = self.batch_sizes * folded
        return self.function(output, sizes, state, weights, self.has_biases, 1, 0.0, False, self.bidirectional)

    @property
    def batch_axis(self) -> int:
        """The axis of input and output along which rows lie (packed: steps and rows)."""
        return 0 if self.batch_first or self.batch_sizes is not None else 1


def read_layers(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Layers | None:
    """The call as a record; None when `function` is no recurrent function, or is called as torch.nn never calls it."""
    if function not in _NAMES or kwargs or len(args) != 9:
        return None
    if isinstance(args[1], Tensor) and isinstance(args[3], list | tuple):  # packed
        input, batch_sizes, states, weights, has_biases, count, p, training, bidirectional = args
        batch_first = False
    else:
        input, states, weights, has_biases, count, p, training, bidirectional, batch_first = args
        batch_sizes = None
    states = (states,) if isinstance(states, Tensor) else tuple(states)
    return Layers(
        function, input, batch_sizes, states, weights, has_biases, count, p, training, bidirectional, batch_first
    )


class _Layer(torch.autograd.Function):
    """One layer, with a rule for vmap and a gradient that runs it again."""

    generate_vmap_rule = False

    @staticmethod
    def forward(layers: Layers, num_states: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        return layers.one_layer(1, num_states, tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.layers, ctx.num_states = inputs[:2]
        ctx.save_for_backward(*inputs[2:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        with torch.enable_grad():
            tensors = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in ctx.saved_tensors]
            outputs = ctx.layers.one_layer(1, ctx.num_states, tensors)
        needed = [tensor for tensor in tensors if tensor.requires_grad]
        found = iter(torch.autograd.grad(outputs, needed, grads, allow_unused=True))
        return None, None, *(next(found) if tensor.requires_grad else None for tensor in tensors)

    @staticmethod
    def vmap(info: Any, in_dims: Any, layers: Layers, num_states: int, *tensors: Tensor) -> tuple[Any, Any]:
        axes = [layers.batch_axis, *[1] * num_states]
        dims = in_dims[2:]
        if any(dim is not None for dim in dims[len(axes) :]):
            return _one_by_one(info.batch_size, dims, layers, num_states, tensors)
        folded = [
            _fold(tensor, dim, axis, info.batch_size) for tensor, dim, axis in zip(tensors, dims, axes, strict=False)
        ]
        copies = _Copies(layers, info.batch_size)
        outputs = _Layer.apply(copies, num_states, *folded, *tensors[len(axes) :])
        unfolded = tuple(
            output.unflatten(axis, (-1, info.batch_size)) for output, axis in zip(outputs, axes, strict=True)
        )
        return unfolded, tuple(axis + 1 for axis in axes)


def _one_by_one(
    samples: int, dims: Sequence[int | None], layers: Layers, num_states: int, tensors: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """One run for each sample: weights that depend on the mask (DropConnect) cannot be folded into a batch."""
    runs = [
        _Layer.apply(
            layers,
            num_states,
            *(tensor if dim is None else tensor.select(dim, sample) for tensor, dim in zip(tensors, dims, strict=True)),
        )
        for sample in range(samples)
    ]
    outputs = tuple(torch.stack(parts) for parts in zip(*runs, strict=True))
    return outputs, tuple(0 for _ in outputs)


@dataclass(frozen=True)
class _Copies:
    """Layers of which each row stands several times in the batch."""

    layers: Layers
    folded: int

    def one_layer(self, folded: int, num_states: int, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return self.layers.one_layer(self.folded * folded, num_states, tensors)


def _fold(tensor: Tensor, dim: int | None, axis: int, copies: int) -> Tensor:
    """Each row `copies` times in a row along `axis`: one for each sample."""
    if dim is None:
        return tensor.repeat_interleave(copies, axis)
    return tensor.movedim(dim, axis + 1).flatten(axis, axis + 1)

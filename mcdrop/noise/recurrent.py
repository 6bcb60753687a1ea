"""Variational recurrent dropout: a sequence keeps its masks from the first step to the last.

A new mask at every step lets noise pile up along the recurrence. One mask for all steps is a draw of the weight
matrices, W' = W diag(z), and so a sub-network that reads the whole sequence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from mcdrop.errors import InputError
from mcdrop.noise.bernoulli import KeepOrDrop
from mcdrop.noise.law import check_probability

State: TypeAlias = tuple[Tensor, ...]
"""h, and for an LSTM c after it."""


@dataclass(frozen=True)
class RecurrentLaw(KeepOrDrop):
    """One value for each row and unit of a sequence (L, N, H), the same at all L steps: 0, or 1 / (1 - p).

    Moments and entropy are those of one value; between the steps of a sequence the correlation is 1.

    Args:
        p: Probability of zeroing, in [0, 1].
        inverted: Whether what is kept is divided by 1 - p.

    Raises:
        InputError: p is no probability.

    Example:
        >>> RecurrentLaw(p=0.2).mask_shape((50, 8, 64)), RecurrentLaw(p=0.2).variance
        ((1, 8, 64), 0.25)

    Source:
        Gal & Ghahramani 2016, "A theoretically grounded application of dropout in recurrent neural networks", sec. 4,
        arXiv:1512.05287.
    """

    def mask_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        if len(shape) != 3:
            raise InputError(f"A sequence {tuple(shape)} was given; expected steps, rows and units, (L, N, H).")
        return (1, *shape[1:])


class RecurrentDropout(nn.Module):
    """An LSTM or GRU with one mask per sequence on its inputs, its recurrent connections and its output.

    In training, with h and h' the state before and after a step and x the input of a layer at that step,

        LSTM:  i, f, g, o = W_ih (x z_x) + b_ih + W_hh (h z_h) + b_hh
               c' = sigmoid(f) c + sigmoid(i) tanh(g),   h' = sigmoid(o) tanh(c')
        GRU:   r_x, u_x, n_x = W_ih (x z_x) + b_ih,   r_h, u_h, n_h = W_hh (h z_h) + b_hh
               u = sigmoid(u_x + u_h),   h' = u h + (1 - u) tanh(n_x + sigmoid(r_x + r_h) n_h)

    and y = h' z_y is what the last layer returns. All gates see the same masks (the paper's tied weights). Each layer
    has a z_x, common to its directions, and each of its directions a z_h. The last states are returned without mask. In
    evaluation it is the wrapped layer itself.

    Its masks, of `RecurrentLaw`, come from the dropout layers `input_mask`, `recurrent_mask` and `output_mask`: sites
    that are chosen, and given another p, by these names.

    Args:
        recurrent: The layer, trained or not; it is held, not copied, and its weights stay what they are.
        p_input: Probability of zeroing a unit of a layer's input, in [0, 1].
        p_recurrent: Probability of zeroing a unit of the state on its way to the next step, in [0, 1].
        p_output: Probability of zeroing a unit of the last layer's output, in [0, 1].

    Shape:
        As the wrapped layer: (L, N, H), (N, L, H) with `batch_first`, (L, H) for a single sequence, or packed.

    Raises:
        InputError: No nn.LSTM or nn.GRU, or one with dropout of its own; a p that is no probability; in training, an
            input or initial state of another shape.

    Example:
        >>> layer = RecurrentDropout(nn.LSTM(4, 8, batch_first=True), p_input=0.2, p_recurrent=0.3, p_output=0.2)
        >>> output, (h, c) = layer(torch.randn(5, 10, 4))
        >>> output.shape, h.shape
        (torch.Size([5, 10, 8]), torch.Size([1, 5, 8]))
        >>> x = torch.randn(5, 10, 4)
        >>> torch.equal(layer.eval()(x)[0], layer.recurrent(x)[0])
        True

    Source:
        Gal & Ghahramani 2016, sec. 4, eq. 7, arXiv:1512.05287. Layers as in PyTorch's `nn.LSTM` and `nn.GRU`, whose GRU
        resets after the product (Cho et al. 2014, arXiv:1406.1078v3, reset before it).
    """

    def __init__(
        self,
        recurrent: nn.LSTM | nn.GRU,
        *,
        p_input: float = 0.5,
        p_recurrent: float = 0.5,
        p_output: float = 0.5,
    ) -> None:
        super().__init__()
        if not isinstance(recurrent, nn.LSTM | nn.GRU):
            raise InputError(f"{type(recurrent).__name__} was given; expected an nn.LSTM or an nn.GRU.")
        if recurrent.dropout:
            raise InputError(
                f"The layer has dropout={recurrent.dropout} of its own between its layers, a new mask at every step. "
                "Set its `dropout` to 0 and give the rate as p_input."
            )
        self.recurrent = recurrent
        self.input_mask = nn.Dropout(check_probability(p_input))
        self.recurrent_mask = nn.Dropout(check_probability(p_recurrent))
        self.output_mask = nn.Dropout(check_probability(p_output))

    def forward(
        self, input: Float[Tensor, "*shape"] | PackedSequence, hx: Tensor | State | None = None
    ) -> tuple[Float[Tensor, "*output"] | PackedSequence, Tensor | State]:
        # By the masks' own modes, so that code which switches on dropout layers alone switches on these.
        if not any(mask.training for mask in (self.input_mask, self.recurrent_mask, self.output_mask)):
            return self.recurrent(input, hx)
        if isinstance(input, PackedSequence):
            padding = _Padding(input)
            output, last = self._run(padding.pad(input.data), self._states(hx, padding.rows), padding.runs)
            return padding.packed(output), last
        if input.ndim not in (2, 3):
            raise InputError(f"An input {tuple(input.shape)} was given; expected three axes, or two for one sequence.")
        if input.ndim == 2:
            output, last = self._run(input[:, None], self._states(_each(hx, lambda h: h[:, None]), 1), None)
            return output[:, 0], _each(last, lambda h: h[:, 0])
        x = input.transpose(0, 1) if self.recurrent.batch_first else input
        output, last = self._run(x, self._states(hx, x.shape[1]), None)
        return (output.transpose(0, 1) if self.recurrent.batch_first else output), last

    def _states(self, hx: Tensor | State | None, rows: int) -> State:
        """The initial states, each (layers * directions, N, H)."""
        layer = self.recurrent
        count, like = layer.num_layers * (2 if layer.bidirectional else 1), next(layer.parameters())
        sizes = (layer.proj_size or layer.hidden_size, layer.hidden_size)[: 2 if isinstance(layer, nn.LSTM) else 1]
        expected = tuple((count, rows, size) for size in sizes)
        if hx is None:
            return tuple(like.new_zeros(shape) for shape in expected)
        states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        if tuple(tuple(state.shape) for state in states) != expected:
            given = ", ".join(str(tuple(state.shape)) for state in states)
            raise InputError(f"Initial states {given} were given; expected {', '.join(map(str, expected))}.")
        return states

    def _run(self, x: Tensor, states: State, runs: Tensor | None) -> tuple[Tensor, Tensor | State]:
        """All layers on (L, N, H); `runs` (L, N, 1) tells which steps a row has, None where it has all."""
        layer, last = self.recurrent, []
        directions = 2 if layer.bidirectional else 1
        for index in range(layer.num_layers):
            x = x * _mask(self.input_mask, x.shape, x)
            outputs = []
            for place in range(index * directions, (index + 1) * directions):
                reverse = place % directions == 1
                state = tuple(each[place] for each in states)
                output, after = self._scan(x, state, layer.all_weights[place], runs, reverse)
                outputs.append(output)
                last.append(after)
            x = torch.cat(outputs, dim=-1)
        found = tuple(torch.stack(parts) for parts in zip(*last, strict=True))
        return x * _mask(self.output_mask, x.shape, x), found if isinstance(layer, nn.LSTM) else found[0]

    def _scan(
        self, x: Tensor, state: State, weights: Sequence[Tensor], runs: Tensor | None, reverse: bool
    ) -> tuple[Tensor, State]:
        """One direction of one layer: its output at every step, and its last state."""
        layer = self.recurrent
        bias_ih, bias_hh = weights[2:4] if layer.bias else (None, None)
        projection = weights[-1] if layer.proj_size else None
        mask = _mask(self.recurrent_mask, (len(x), *state[0].shape), x)[0]
        cell = _lstm_cell if isinstance(layer, nn.LSTM) else _gru_cell
        of_inputs = F.linear(x, weights[0], bias_ih)
        outputs: list[Tensor] = []
        for step in range(len(x) - 1, -1, -1) if reverse else range(len(x)):
            after = cell(of_inputs[step], F.linear(state[0] * mask, weights[1], bias_hh), state)
            if projection is not None:
                after = (F.linear(after[0], projection), *after[1:])
            if runs is not None:
                after = tuple(torch.where(runs[step], new, old) for new, old in zip(after, state, strict=True))
            state = after
            outputs.append(state[0])
        return torch.stack(outputs[::-1] if reverse else outputs), state


def _mask(layer: nn.Dropout, shape: Sequence[int], like: Tensor) -> Tensor:
    return layer(like.new_ones(RecurrentLaw(layer.p).mask_shape(shape)))


class _Padding:
    """How packed sequences lie in a padded tensor (L, N, H), rows in the order in which the user gave them."""

    def __init__(self, packed: PackedSequence) -> None:
        sizes, device = packed.batch_sizes.tolist(), packed.data.device
        self._packed = packed
        self.rows = sizes[0]
        self._shape = (len(sizes), sizes[0])
        self._steps = torch.repeat_interleave(torch.arange(len(sizes)), packed.batch_sizes).to(device)
        rows = torch.cat([torch.arange(size) for size in sizes]).to(device)
        self._row = rows if packed.sorted_indices is None else packed.sorted_indices[rows]
        self.runs = self.pad(torch.ones_like(self._steps, dtype=torch.bool)[:, None])

    def pad(self, data: Tensor) -> Tensor:
        return data.new_zeros(*self._shape, data.shape[-1]).index_put((self._steps, self._row), data)

    def packed(self, output: Tensor) -> PackedSequence:
        given = self._packed
        data = output[self._steps, self._row]
        return PackedSequence(data, given.batch_sizes, given.sorted_indices, given.unsorted_indices)


def _lstm_cell(of_input: Tensor, of_state: Tensor, state: State) -> State:
    i, f, g, o = (of_input + of_state).chunk(4, dim=-1)
    cell = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


def _gru_cell(of_input: Tensor, of_state: Tensor, state: State) -> State:
    (r_x, u_x, n_x), (r_h, u_h, n_h) = of_input.chunk(3, dim=-1), of_state.chunk(3, dim=-1)
    update = (u_x + u_h).sigmoid()
    return (update * state[0] + (1 - update) * (n_x + (r_x + r_h).sigmoid() * n_h).tanh(),)


def _each(state: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The state with `change` made to its tensor or tensors; None stays None."""
    if state is None:
        return None
    return change(state) if isinstance(state, Tensor) else tuple(map(change, state))

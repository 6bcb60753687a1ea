"""Dropout in recurrent networks."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from tests.conformance.case import Case, Net, normal


class Packed(nn.Module):
    """Sequences of different lengths, packed; the output is padded again."""

    def __init__(self, recurrent: nn.RNNBase, enforce_sorted: bool) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.enforce_sorted = enforce_sorted

    def forward(self, x, lengths):
        first, total = self.recurrent.batch_first, x.shape[1 if self.recurrent.batch_first else 0]
        packed = pack_padded_sequence(x, lengths.flatten(), batch_first=first, enforce_sorted=self.enforce_sorted)
        out, _ = self.recurrent(packed)
        return pad_packed_sequence(out, batch_first=first, total_length=total)[0]


def ragged(m, x):
    """Lengths that the model finds in its input, packed without padding first."""
    out, _ = m.gru(pack_sequence([row[: 3 + int(row[0, 0] > 0)] for row in x], enforce_sorted=False))
    return pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])[0].sum(dim=1)


def states(m, x):
    start = m.start.expand(-1, x.shape[1], -1).contiguous()
    out, (hidden, cell) = m.lstm(x, (start, start * 2))
    return out, hidden, cell


class Cells(nn.Module):
    """Gal & Ghahramani 2016: one mask on input and one on state, drawn once for all steps."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(3, 4)

    def forward(self, x):
        hidden = cell = x.new_zeros(len(x), 4)
        ones = torch.ones_like
        on_input, on_state = F.dropout(ones(x[:, 0]), 0.3, self.training), F.dropout(ones(hidden), 0.5, self.training)
        outputs = []
        for step in x.unbind(1):
            hidden, cell = self.cell(step * on_input, (hidden * on_state, cell))
            outputs.append(hidden)
        return torch.stack(outputs, dim=1)


def between(m, x):
    x, _ = m.first(x)
    x, last = m.second(m.drop(x))
    return m.head(m.drop(last[-1]))


class WeightDrop(nn.Module):
    """AWD-LSTM (Merity et al. 2018): dropout on the recurrent weights of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)
        self.raw = nn.Parameter(self.lstm.weight_hh_l0.detach().clone())
        del self.lstm._parameters["weight_hh_l0"]

    def forward(self, x):
        self.lstm.weight_hh_l0 = F.dropout(self.raw, 0.5, self.training)
        return self.lstm(x)[0]


class WeightDropCell(nn.Module):
    """The same idea where the recurrence is written out."""

    def __init__(self) -> None:
        super().__init__()
        self.of_input, self.of_state = nn.Linear(3, 4), nn.Linear(4, 4)

    def forward(self, x):
        weight = F.dropout(self.of_state.weight, 0.4, self.training)
        hidden = x.new_zeros(len(x), 4)
        for step in x.unbind(1):
            hidden = torch.tanh(self.of_input(step) + F.linear(hidden, weight))
        return hidden


SORTED, UNSORTED = torch.tensor([5, 4, 2]), torch.tensor([3, 5, 2])

NO_RULE = "loop: not vectorised (RuntimeError: Batching rule not implemented for aten::"

CASES = [
    Case(
        "LSTM",
        lambda: Net(lambda m, x: m.r(x)[0], r=nn.LSTM(3, 4, 3, dropout=0.4, batch_first=True)),
        (normal(3, 5, 3),),
    ),
    Case(
        "GRU with rows on axis 1",
        lambda: Net(lambda m, x: m.r(x)[0], r=nn.GRU(3, 4, 2, dropout=0.5)),
        (normal(5, 3, 3),),
        batch_dim=1,
    ),
    Case(
        "RNN with relu, both ways",
        lambda: Net(
            lambda m, x: m.r(x)[0],
            r=nn.RNN(3, 2, 2, nonlinearity="relu", dropout=0.4, bidirectional=True, batch_first=True),
        ),
        (normal(3, 4, 3),),
    ),
    Case(
        "LSTM with proj_size, without bias",
        lambda: Net(lambda m, x: m.r(x)[0], r=nn.LSTM(3, 4, 2, dropout=0.3, proj_size=2, bias=False, batch_first=True)),
        (normal(3, 4, 3),),
    ),
    Case(
        "LSTM both ways, with states in and out",
        lambda: Net(
            states, lstm=nn.LSTM(3, 2, 2, dropout=0.4, bidirectional=True), start=nn.Parameter(torch.zeros(4, 1, 2))
        ),
        (normal(4, 3, 3),),
        batch_dim=1,
    ),
    Case(
        "packed, sorted: LSTM both ways",
        lambda: Packed(nn.LSTM(3, 2, 2, dropout=0.4, bidirectional=True, batch_first=True), True),
        (normal(3, 5, 3), SORTED),
    ),
    Case(
        "packed, unsorted: GRU",
        lambda: Packed(nn.GRU(3, 3, 3, dropout=0.3, batch_first=True), False),
        (normal(3, 5, 3), UNSORTED),
    ),
    Case(
        "packed with rows on axis 1: RNN",
        lambda: Packed(nn.RNN(3, 3, 2, dropout=0.4), False),
        (normal(5, 3, 3), UNSORTED[None]),
        batch_dim=1,
    ),
    Case(
        "packed from a list, lengths set by the model",
        lambda: Net(ragged, gru=nn.GRU(3, 3, 2, dropout=0.4)),
        (normal(3, 4, 3),),
    ),
    Case("masks held through the steps of LSTMCell", Cells, (normal(3, 4, 3),), execution=NO_RULE + "lstm_cell"),
    Case(
        "layers of one, dropout outside",
        lambda: Net(
            between,
            first=nn.GRU(3, 4, batch_first=True),
            second=nn.GRU(4, 4, batch_first=True),
            drop=nn.Dropout(0.3),
            head=nn.Linear(4, 2),
        ),
        (normal(3, 4, 3),),
    ),
    Case(
        "dropped recurrent weights of nn.LSTM",
        WeightDrop,
        (normal(3, 4, 3),),
        own_masks=False,
    ),
    Case("dropped recurrent weights, written out", WeightDropCell, (normal(3, 4, 3),), own_masks=False),
]

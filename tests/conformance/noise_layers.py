"""Layers of mcdrop.noise, against loops written by hand."""

from collections.abc import Iterator
from contextlib import contextmanager

import jaxtyping
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mcdrop.noise import Masksembles, RecurrentDropout, TiedMasksembles
from tests.conformance.case import Case, Net, Pass, normal

P_INPUT, P_RECURRENT, P_OUTPUT = 0.3, 0.4, 0.2
LENGTHS = torch.tensor([3, 5, 2])


@contextmanager
def unchecked() -> Iterator[None]:
    """Without the checks of annotations, which touch Python's random state: mcdrop watches it."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


def dropping(recurrent: nn.LSTM | nn.GRU) -> RecurrentDropout:
    return RecurrentDropout(recurrent, p_input=P_INPUT, p_recurrent=P_RECURRENT, p_output=P_OUTPUT)


def mask(p: float, size: int) -> Tensor:
    return torch.bernoulli(torch.full((size,), 1 - p, dtype=torch.float64)) / (1 - p)


def lstm_by_hand(model: nn.Module) -> Pass:
    """Two layers, one row and one step after the other."""
    weights = model.drop.recurrent.all_weights

    def one_pass(x: Tensor) -> Tensor:
        rows = []
        for sequence in x:
            for w_ih, w_hh, b_ih, b_hh in weights:
                z_x, z_h, h, c = mask(P_INPUT, sequence.shape[1]), mask(P_RECURRENT, 4), *normal(2, 4) * 0
                steps = []
                for step in sequence:
                    i, f, g, o = (w_ih @ (step * z_x) + b_ih + w_hh @ (h * z_h) + b_hh).view(4, 4)
                    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                    h = torch.sigmoid(o) * torch.tanh(c)
                    steps.append(h)
                sequence = torch.stack(steps)
            rows.append(sequence * mask(P_OUTPUT, 4))
        return torch.stack(rows)

    return one_pass


def gru_by_hand(model: nn.Module) -> Pass:
    """Both ways over sequences of different lengths, each row to its own end."""
    weights = model.drop.recurrent.all_weights

    def one_pass(x: Tensor, lengths: Tensor) -> Tensor:
        rows = []
        for sequence, length in zip(x, lengths.flatten().tolist(), strict=True):
            z_x, ways = mask(P_INPUT, sequence.shape[1]), []
            for (w_ih, w_hh, b_ih, b_hh), order in zip(weights, (1, -1), strict=True):
                z_h, h, steps = mask(P_RECURRENT, 4), normal(4) * 0, []
                for step in sequence[:length] if order == 1 else sequence[:length].flip(0):
                    r_x, u_x, n_x = (w_ih @ (step * z_x) + b_ih).view(3, 4)
                    r_h, u_h, n_h = (w_hh @ (h * z_h) + b_hh).view(3, 4)
                    update = torch.sigmoid(u_x + u_h)
                    h = update * h + (1 - update) * torch.tanh(n_x + torch.sigmoid(r_x + r_h) * n_h)
                    steps.append(h)
                ways.append(torch.stack(steps[::order]))
            output = torch.cat(ways, dim=1) * mask(P_OUTPUT, 8)
            rows.append(torch.cat([output, output.new_zeros(len(sequence) - length, 8)]))
        return torch.stack(rows)

    return one_pass


def packed(m: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    sequences = pack_padded_sequence(x, lengths.flatten(), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(m.drop(sequences)[0], batch_first=True, total_length=x.shape[1])[0]


def masked_network() -> nn.Sequential:
    layers = nn.Linear(4, 12), Masksembles(12, 3, seed=1), nn.Tanh(), nn.Linear(12, 10), Masksembles(10, 3, seed=2)
    return nn.Sequential(*layers, nn.Linear(10, 3))


def members_by_hand(tied: bool) -> Pass:
    """Each row's mask numbers from torch.randint, one for both layers or one for each."""

    def reference(model: nn.Module) -> Pass:
        first, masks, tanh, second, more_masks, last = model.model if tied else model

        def one_pass(x: Tensor) -> Tensor:
            rows = []
            for row in x:
                i, j = torch.randint(3, (2,))
                h = tanh(first(row) * masks.law.values[i])
                rows.append(last(second(h) * more_masks.law.values[i if tied else j]))
            return torch.stack(rows)

        return one_pass

    return reference


CASES = [
    Case(
        "RecurrentDropout of an LSTM",
        lambda: Net(lambda m, x: m.drop(x)[0], drop=dropping(nn.LSTM(3, 4, 2, batch_first=True))),
        (normal(3, 5, 3),),
        reference=lstm_by_hand,
        within=unchecked,
    ),
    Case(
        "RecurrentDropout of a GRU both ways, packed",
        lambda: Net(packed, drop=dropping(nn.GRU(3, 4, batch_first=True, bidirectional=True))),
        (normal(3, 5, 3), LENGTHS[:, None]),
        reference=gru_by_hand,
        within=unchecked,
    ),
    Case("Masksembles", masked_network, (normal(3, 4),), reference=members_by_hand(False), within=unchecked),
    Case(
        "TiedMasksembles",
        lambda: TiedMasksembles(masked_network()),
        (normal(3, 4),),
        reference=members_by_hand(True),
        within=unchecked,
    ),
]

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import mcdrop
from mcdrop.errors import InputError
from mcdrop.noise import RecurrentDropout, RecurrentLaw
from tests.noise.laws import N, check_independent_pairs

STEPS, ROWS, INPUTS, UNITS = 6, 4, 3, 5
KINDS = {
    "LSTM": (nn.LSTM, {}),
    "GRU": (nn.GRU, {}),
    "LSTM, two layers both ways, rows first": (
        nn.LSTM,
        {"num_layers": 2, "bidirectional": True, "batch_first": True},
    ),
    "GRU, three layers both ways": (nn.GRU, {"num_layers": 3, "bidirectional": True}),
    "LSTM, projected, no bias": (nn.LSTM, {"num_layers": 2, "proj_size": 2, "bias": False}),
    "GRU, no bias": (nn.GRU, {"bias": False}),
}
EXACT = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def plain(name: str) -> nn.LSTM | nn.GRU:
    make, options = KINDS[name]
    return make(INPUTS, UNITS, dtype=torch.float64, **options)


def dropping(recurrent: nn.Module, input: float, state: float, output: float) -> RecurrentDropout:
    return RecurrentDropout(recurrent, p_input=input, p_recurrent=state, p_output=output)


def sequences(recurrent: nn.Module) -> Tensor:
    shape = (ROWS, STEPS, INPUTS) if recurrent.batch_first else (STEPS, ROWS, INPUTS)
    return torch.randn(shape, dtype=torch.float64)


def initial(recurrent: nn.Module, rows: int = ROWS) -> Tensor | tuple[Tensor, ...]:
    count = recurrent.num_layers * (2 if recurrent.bidirectional else 1)
    h = torch.randn(count, rows, recurrent.proj_size or UNITS, dtype=torch.float64)
    return (h, torch.randn(count, rows, UNITS, dtype=torch.float64)) if isinstance(recurrent, nn.LSTM) else h


def packed(x: Tensor, recurrent: nn.Module, lengths: list[int]) -> PackedSequence:
    return pack_padded_sequence(x, torch.tensor(lengths), batch_first=recurrent.batch_first, enforce_sorted=False)


def run_noting_masks(layer: RecurrentDropout, *args) -> tuple[object, dict[str, list[Tensor]]]:
    """A training pass and the masks that it drew, each (N, H), in order."""
    drawn: dict[str, list[Tensor]] = {"input": [], "recurrent": [], "output": []}
    hooks = [
        getattr(layer, f"{name}_mask").register_forward_hook(lambda _, __, mask, found=found: found.append(mask[0]))
        for name, found in drawn.items()
    ]
    output = layer.train()(*args)
    for hook in hooks:
        hook.remove()
    return output, drawn


def test_the_lstm_by_hand() -> None:
    """Step by step and row by row, in the order in which PyTorch keeps the gates."""
    lstm, x = nn.LSTM(INPUTS, UNITS, dtype=torch.float64), torch.randn(STEPS, ROWS, INPUTS, dtype=torch.float64)
    (output, (last_h, last_c)), masks = run_noting_masks(dropping(lstm, 0.3, 0.5, 0.2), x)
    for row in range(ROWS):
        h = c = torch.zeros(UNITS, dtype=torch.float64)
        z_x, z_h, z_y = (masks[name][0][row] for name in ("input", "recurrent", "output"))
        for step in range(STEPS):
            gates = lstm.weight_ih_l0 @ (x[step, row] * z_x) + lstm.bias_ih_l0
            gates = gates + lstm.weight_hh_l0 @ (h * z_h) + lstm.bias_hh_l0
            i, f, g, o = gates.split(UNITS)
            c = c / (1 + torch.exp(-f)) + torch.tanh(g) / (1 + torch.exp(-i))
            h = torch.tanh(c) / (1 + torch.exp(-o))
            torch.testing.assert_close(output[step, row], h * z_y, **EXACT)
        torch.testing.assert_close((last_h[0, row], last_c[0, row]), (h, c), **EXACT)


def test_the_gru_by_hand() -> None:
    gru, x = nn.GRU(INPUTS, UNITS, dtype=torch.float64), torch.randn(STEPS, ROWS, INPUTS, dtype=torch.float64)
    (output, last), masks = run_noting_masks(dropping(gru, 0.3, 0.5, 0.2), x)
    for row in range(ROWS):
        h = torch.zeros(UNITS, dtype=torch.float64)
        z_x, z_h, z_y = (masks[name][0][row] for name in ("input", "recurrent", "output"))
        for step in range(STEPS):
            r_x, u_x, n_x = (gru.weight_ih_l0 @ (x[step, row] * z_x) + gru.bias_ih_l0).split(UNITS)
            r_h, u_h, n_h = (gru.weight_hh_l0 @ (h * z_h) + gru.bias_hh_l0).split(UNITS)
            update = 1 / (1 + torch.exp(-u_x - u_h))
            h = update * h + (1 - update) * torch.tanh(n_x + n_h / (1 + torch.exp(-r_x - r_h)))
            torch.testing.assert_close(output[step, row], h * z_y, **EXACT)
        torch.testing.assert_close(last[0, row], h, **EXACT)


@pytest.mark.parametrize("name", KINDS)
def test_a_draw_is_pytorchs_layer_with_columns_of_its_weights_scaled(name: str) -> None:
    """W (x z) = (W diag(z)) x: each row through nn.LSTM or nn.GRU, layer by layer, with its own weights."""
    recurrent = plain(name)
    x, start = sequences(recurrent), initial(recurrent)
    (output, _), masks = run_noting_masks(dropping(recurrent, 0.3, 0.5, 0.2), x, start)
    directions, starts = 2 if recurrent.bidirectional else 1, start if isinstance(start, tuple) else (start,)
    for row in range(ROWS):
        h = x[row] if recurrent.batch_first else x[:, row]
        for layer in range(recurrent.num_layers):
            places = slice(layer * directions, (layer + 1) * directions)
            options = {"bias": recurrent.bias, "bidirectional": directions == 2, "dtype": torch.float64}
            options |= {"proj_size": recurrent.proj_size} if recurrent.proj_size else {}  # nn.GRU takes none
            one = type(recurrent)(h.shape[1], UNITS, **options)
            for weights, given, z_h in zip(
                one.all_weights, recurrent.all_weights[places], masks["recurrent"][places], strict=True
            ):
                with torch.no_grad():
                    for weight, value in zip(weights, given, strict=True):
                        weight.copy_(value)
                    weights[0].mul_(masks["input"][layer][row])
                    weights[1].mul_(z_h[row])
            state = tuple(each[places, row] for each in starts)
            h, _ = one(h, state if isinstance(recurrent, nn.LSTM) else state[0])
        found = output[row] if recurrent.batch_first else output[:, row]
        torch.testing.assert_close(found, h * masks["output"][0][row], **EXACT)


@pytest.mark.parametrize("lengths", [[6, 5, 2, 2], [2, 6, 1, 4]])
@pytest.mark.parametrize("name", KINDS)
def test_packed_sequences_are_run_to_their_ends(name: str, lengths: list[int]) -> None:
    """Each packed row gives what the row alone gives with the same masks."""
    recurrent = plain(name)
    x, start, layer = sequences(recurrent), initial(recurrent), dropping(recurrent, 0.3, 0.5, 0.2)
    torch.manual_seed(1)
    output, last = layer(packed(x, recurrent, lengths), start)
    assert isinstance(output, PackedSequence)
    padded, found = pad_packed_sequence(output, batch_first=recurrent.batch_first)
    assert found.tolist() == lengths
    for row, length in enumerate(lengths):
        torch.manual_seed(1)
        cut = x[:, :length] if recurrent.batch_first else x[:length]
        alone, last_alone = layer(cut, start)
        ours, theirs = (
            (padded[row, :length], alone[row]) if recurrent.batch_first else (padded[:length, row], alone[:, row])
        )
        torch.testing.assert_close(ours, theirs, **EXACT)
        for ours, theirs in zip(*(s if isinstance(s, tuple) else (s,) for s in (last, last_alone)), strict=True):
            torch.testing.assert_close(ours[:, row], theirs[:, row], **EXACT)


@pytest.mark.parametrize("name", KINDS)
def test_without_dropping_it_is_pytorchs_layer(name: str) -> None:
    """In training with p = 0 to rounding, in evaluation to the bit: padded, packed, from a state, one sequence."""
    recurrent = plain(name)
    x, start = sequences(recurrent), initial(recurrent)
    one = x[0] if recurrent.batch_first else x[:, 0]
    alone = tuple(s[:, 0] for s in start) if isinstance(start, tuple) else start[:, 0]
    for args in ((x,), (x, start), (one,), (one, alone), (packed(x, recurrent, [2, 6, 1, 4]), start)):
        expected = recurrent(*args)
        torch.testing.assert_close(dropping(recurrent, 0, 0, 0)(*args), expected, **EXACT)
        torch.testing.assert_close(dropping(recurrent, 0.5, 0.5, 0.5).eval()(*args), expected, rtol=0, atol=0)


def test_the_weights_are_the_layers_own() -> None:
    recurrent = plain("LSTM")
    layer = RecurrentDropout(recurrent)
    assert layer.recurrent is recurrent
    assert [p is q for p, q in zip(layer.parameters(), recurrent.parameters(), strict=True)] == [True] * 4


@pytest.mark.parametrize("p", [0.02, 0.5, 0.9])
def test_moments_and_pairs(p: float) -> None:
    law = RecurrentLaw(p)
    z = law.sample((7, N, 2), torch.Generator().manual_seed(0), torch.float64)
    assert z.shape == (1, N, 2)
    assert abs(z.mean().item() - law.mean) <= 4 * math.sqrt(law.variance / (2 * N))
    squares = (z - law.mean).square()
    assert abs(squares.mean().item() - law.variance) <= 4 * squares.std().item() / math.sqrt(2 * N)
    check_independent_pairs(z[0, :, 0], z[0, :, 1])


def test_the_layer_draws_its_laws() -> None:
    layer = RecurrentDropout(nn.GRU(200, 200), p_input=0.2, p_recurrent=0.3, p_output=0.1)
    _, masks = run_noting_masks(layer, torch.zeros(1, 500, 200))
    for name, p in (("input", 0.2), ("recurrent", 0.3), ("output", 0.1)):
        law, z = RecurrentLaw(p), masks[name][0].double()
        assert z.shape == (500, 200)
        assert z.unique().tolist() == pytest.approx([0, law.kept_value])
        assert abs(z.mean().item() - 1) <= 4 * math.sqrt(law.variance / z.numel())


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_gradients_against_finite_differences(kind) -> None:
    layer = dropping(kind(2, 3, num_layers=2, bidirectional=True, dtype=torch.float64), 0.3, 0.4, 0.2)
    names, weights = zip(*layer.named_parameters(), strict=True)

    def run(x: Tensor, *weights: Tensor) -> Tensor:
        torch.manual_seed(2)
        output, _ = torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (x,))
        return output

    assert torch.autograd.gradcheck(run, (torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True), *weights))


class Reader(nn.Module):
    """Reads a sequence of rows."""

    def __init__(self, recurrent: nn.Module) -> None:
        super().__init__()
        self.recurrent = dropping(recurrent, 0.2, 0.3, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.recurrent(x)[0]


@pytest.mark.usefixtures("without_type_checks")  # the checks touch Python's random state, which is watched
def test_the_audit_lists_its_masks() -> None:
    model = Reader(plain("LSTM, two layers both ways, rows first")).eval()
    rows = mcdrop.audit(model, sequences(model.recurrent.recurrent)).rows()
    assert [(row["site"], row["p"], row["rows on"]) for row in rows] == [
        ("recurrent.input_mask:dropout", "0.2", "axis 1"),
        ("recurrent.recurrent_mask:dropout", "0.3", "axis 1"),
        ("recurrent.recurrent_mask:dropout#2", "0.3", "axis 1"),
        ("recurrent.input_mask:dropout#2", "0.2", "axis 1"),
        ("recurrent.recurrent_mask:dropout#3", "0.3", "axis 1"),
        ("recurrent.recurrent_mask:dropout#4", "0.3", "axis 1"),
        ("recurrent.output_mask:dropout", "0.1", "axis 1"),
    ]


@pytest.mark.usefixtures("without_type_checks")
def test_its_masks_are_chosen_and_changed_by_name() -> None:
    model, x = Reader(plain("GRU")).eval(), sequences(plain("GRU"))
    for sites, expected in (
        (mcdrop.Sites(exclude="*recurrent_mask*"), {"input_mask": 0.2, "output_mask": 0.1}),
        (mcdrop.Sites(p={"*input_mask*": 0.6}), {"input_mask": 0.6, "recurrent_mask": 0.3, "output_mask": 0.1}),
    ):
        mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=2, seed=0, batch_dim=1, sites=sites)
        mc(x)
        assert mc.masks(0).p == {f"recurrent.{name}:dropout": p for name, p in expected.items()}


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", ["LSTM", "GRU, three layers both ways"])
def test_the_executions_agree(name: str, shared: bool) -> None:
    model, x = Reader(plain(name)).eval(), sequences(plain(name))
    draws = {}
    for execution in ("vectorised", "loop"):
        plan = mcdrop.Plan(execution="loop") if execution == "loop" else mcdrop.Plan(on_error="raise")
        mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=6, seed=1, shared_masks=shared,
                              batch_dim=1, plan=plan)  # fmt: skip
        draws[execution] = mc.sample(x)
    torch.testing.assert_close(draws["vectorised"], draws["loop"], **EXACT)
    assert draws["loop"].std(dim=0).min() > 0


@pytest.mark.usefixtures("without_type_checks")
def test_a_shared_mask_is_one_weight_matrix_for_all_rows() -> None:
    """The mask of a draw, put into the weights of nn.LSTM, gives the draw."""
    model, x = Reader(plain("LSTM")).eval(), sequences(plain("LSTM"))
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=3, seed=1, batch_dim=1)
    draws, lstm = mc.sample(x), plain("LSTM")
    for t in range(3):
        z_x, z_h, z_y = (
            keep[0, 0].double() / (1 - mcdrop.noise.used_probability(p))
            for keep, p in zip(mc.masks(t).values.values(), (0.2, 0.3, 0.1), strict=True)
        )
        lstm.load_state_dict(model.recurrent.recurrent.state_dict())
        with torch.no_grad():
            lstm.weight_ih_l0.mul_(z_x)
            lstm.weight_hh_l0.mul_(z_h)
            torch.testing.assert_close(draws[t], lstm(x)[0] * z_y, **EXACT)


def test_code_that_switches_on_dropout_layers_alone_switches_it_on() -> None:
    layer, x = RecurrentDropout(plain("GRU")).eval(), sequences(plain("GRU"))
    for module in layer.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    assert not torch.equal(layer(x)[0], layer(x)[0])


@pytest.mark.usefixtures("without_type_checks")
def test_refuses_what_is_no_such_layer() -> None:
    with pytest.raises(InputError, match=r"RNN was given; expected an nn\.LSTM or an nn\.GRU"):
        RecurrentDropout(nn.RNN(2, 3))
    with pytest.raises(InputError, match=r"dropout=0\.5 of its own .* Set its `dropout` to 0"):
        RecurrentDropout(nn.LSTM(2, 3, num_layers=2, dropout=0.5))
    with pytest.raises(InputError, match=r"expected a probability of zeroing in \[0, 1\]"):
        RecurrentDropout(nn.LSTM(2, 3), p_recurrent=1.5)


def test_refuses_other_shapes() -> None:
    layer, x = RecurrentDropout(nn.LSTM(INPUTS, UNITS)), torch.zeros(STEPS, ROWS, INPUTS)
    with pytest.raises(InputError, match=r"An input \(3,\) was given; expected three axes, or two for one sequence"):
        layer(x[0, 0])
    h = torch.zeros(1, 1, UNITS)  # would be broadcast
    with pytest.raises(InputError, match=r"\(1, 1, 5\), \(1, 1, 5\) were given; expected \(1, 4, 5\), \(1, 4, 5\)"):
        layer(x, (h, h))
    with pytest.raises(InputError, match=r"\(1, 4, 5\) were given; expected \(1, 4, 5\), \(1, 4, 5\)"):
        layer(x, torch.zeros(1, ROWS, UNITS))
    with pytest.raises(InputError, match=r"A sequence \(4, 3\) was given; expected steps, rows and units"):
        RecurrentLaw(0.5).mask_shape((4, 3))

import copy
import io
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.noise import DropConnect, DropConnectLaw
from tests.noise.laws import check_independent_pairs, check_moments, draws


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def made(make) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return make().double()


def seeded(layer, *args, seed: int = 0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return layer(*args)


LAYERS = {
    "linear": (lambda: nn.Linear(4, 3), (5, 4)),
    "linear without bias, on tokens": (lambda: nn.Linear(4, 3, bias=False), (5, 6, 4)),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2), (5, 4, 9)),
    "conv2d": (lambda: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), 2, padding_mode="reflect"), (3, 4, 7, 8)),
    "conv2d without bias, same": (lambda: nn.Conv2d(2, 3, 3, padding="same", bias=False), (3, 2, 5, 5)),
    "transposed conv2d": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, output_padding=1), (3, 4, 4, 4)),
    "LSTM": (lambda: nn.LSTM(4, 3, 2, batch_first=True, bidirectional=True, proj_size=2), (5, 6, 4)),
    "GRU": (lambda: nn.GRU(4, 3), (6, 5, 4)),
    "LSTM cell": (lambda: nn.LSTMCell(4, 3), (5, 4)),
}
ONE_MASK = ["linear", "linear without bias, on tokens", "conv1d", "conv2d", "conv2d without bias, same"]


def flat(output) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else [tensor for part in output for tensor in flat(part)]


@pytest.mark.parametrize("p", [0.02, 0.5, 0.9])
def test_moments_and_pairs(p: float) -> None:
    check_moments(DropConnectLaw(p))
    z = draws(DropConnectLaw(p))
    check_independent_pairs(z[:, 0], z[:, 1])


@pytest.mark.parametrize("name", LAYERS)
def test_without_dropping_it_is_the_layer_to_the_bit(name) -> None:
    make, shape = LAYERS[name]
    layer, x = made(make), normal(*shape)
    for connect in (DropConnect(layer, 0.0).train(), DropConnect(layer, 0.7).eval()):
        for ours, theirs in zip(flat(connect(x)), flat(layer(x)), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["linear", "conv1d", "conv2d"])
def test_without_dropping_each_row_is_the_layers(name) -> None:
    make, shape = LAYERS[name]
    layer, x = made(make), normal(*shape)
    torch.testing.assert_close(DropConnect(layer, 0.0, per_row=True)(x), layer(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_the_trained_weights_stay_what_they_are_to_the_bit(name) -> None:
    make, shape = LAYERS[name]
    layer, x = made(make), normal(*shape)
    objects = dict(layer.named_parameters())
    values = {key: value.detach().clone() for key, value in objects.items()}
    versions = {key: value._version for key, value in objects.items()}
    connect = DropConnect(layer, 0.5)
    sum(tensor.sum() for tensor in flat(connect(x))).backward()
    assert {key: id(value) for key, value in layer.named_parameters()} == {k: id(v) for k, v in objects.items()}
    for key, value in layer.named_parameters():
        assert value.grad is not None
        assert torch.equal(value, values[key])
        assert value._version == versions[key]
    assert flat(connect.eval()(x))[0].shape == flat(layer(x))[0].shape


@pytest.mark.parametrize("name", LAYERS)
def test_copies_and_files_after_a_pass(name) -> None:
    make, shape = LAYERS[name]
    connect, x = DropConnect(made(make), 0.5), normal(*shape)
    outputs = flat(seeded(connect, x))
    file = io.BytesIO()
    torch.save(connect, file)
    file.seek(0)
    fresh = DropConnect(made(lambda: make()), 0.5)
    for parameter in fresh.parameters():
        nn.init.zeros_(parameter)
    fresh.load_state_dict(connect.state_dict())
    assert list(connect.state_dict()) == [f"layer.{key}" for key in made(make).state_dict()]
    for other in (copy.deepcopy(connect), torch.load(file, weights_only=False), fresh):
        for ours, theirs in zip(flat(seeded(other, x)), outputs, strict=True):
            assert torch.equal(ours, theirs)


def test_a_linear_layer_by_hand() -> None:
    layer, x = made(lambda: nn.Linear(4, 3)), normal(5, 4)
    mask = (seeded(F.dropout, torch.ones(3, 4, dtype=torch.float64), 0.4) > 0).double()
    assert 0 < mask.mean() < 1
    torch.testing.assert_close(
        seeded(DropConnect(layer, 0.4), x), x @ (layer.weight * mask / 0.6).T + layer.bias, rtol=1e-12, atol=1e-12
    )


def test_a_convolution_by_hand() -> None:
    layer, x = made(LAYERS["conv1d"][0]), normal(5, 4, 9)
    weight = seeded(F.dropout, layer.weight, 0.4)
    by_hand = F.conv1d(x, weight, layer.bias, stride=2, padding=2, dilation=2, groups=2)
    assert torch.equal(seeded(DropConnect(layer, 0.4), x), by_hand)


def test_an_lstm_by_hand_drops_its_recurrent_weights_once_for_all_steps() -> None:
    lstm, x = made(lambda: nn.LSTM(4, 3, batch_first=True)), normal(5, 6, 4)
    recurrent = seeded(F.dropout, lstm.weight_hh_l0, 0.4)
    h, c, outputs = torch.zeros(5, 3).double(), torch.zeros(5, 3).double(), []
    for step in range(6):
        gates = x[:, step] @ lstm.weight_ih_l0.T + lstm.bias_ih_l0 + h @ recurrent.T + lstm.bias_hh_l0
        i, f, g, o = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    ours, (last, _) = seeded(DropConnect(lstm, 0.4), x)
    torch.testing.assert_close(ours, torch.stack(outputs, dim=1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(last[0], h, rtol=1e-12, atol=1e-12)


def test_states_and_packed_sequences_reach_the_layer() -> None:
    gru, x, state = made(lambda: nn.GRU(4, 3, batch_first=True)), normal(5, 6, 4), normal(1, 5, 3)
    connect = DropConnect(gru, 0.0)
    assert torch.equal(connect(x, hx=state)[0], gru(x, state)[0])
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([6, 5, 3, 2, 1]), batch_first=True)
    assert torch.equal(connect(packed)[0].data, gru(packed)[0].data)


def test_moments_of_a_linear_output_in_closed_form() -> None:
    """E[u] = W v + b, Var[u] = p / (1 - p) (W * W)(v * v), outputs uncorrelated: many rows of one v, each its mask."""
    count, p = 20000, 0.3
    layer, v = made(lambda: nn.Linear(4, 3)), normal(4)
    with torch.no_grad():
        u = seeded(DropConnect(layer, p, per_row=True), v.expand(count, 4))
    variance = p / (1 - p) * layer.weight.detach().square() @ v.square()
    assert ((u.mean(dim=0) - layer(v)).abs() <= 4 * (variance / count).sqrt()).all()
    centred = u - layer(v)
    squares = centred.square()
    assert ((squares.mean(dim=0) - variance).abs() <= 4 * squares.std(dim=0) / math.sqrt(count)).all()
    products = centred[:, 0] * centred[:, 1]
    assert products.mean().abs() <= 4 * products.std() / math.sqrt(count)


@pytest.mark.parametrize("name", ONE_MASK)
def test_rows_share_the_mask_unless_each_has_its_own(name) -> None:
    make, shape = LAYERS[name]
    layer, x = made(make), normal(*shape)[:1].repeat(shape[0], *[1] * (len(shape) - 1))
    shared = seeded(DropConnect(layer, 0.5), x)
    torch.testing.assert_close(shared, shared[:1].expand_as(shared))
    own = seeded(DropConnect(layer, 0.5, per_row=True), x)
    assert len(own.flatten(1).unique(dim=0)) == shape[0]


@pytest.mark.parametrize("name", ONE_MASK)
def test_masks_of_each_row_by_hand(name) -> None:
    make, shape = LAYERS[name]
    layer, x = made(make), normal(*shape)
    weights = seeded(F.dropout, layer.weight.expand(shape[0], *layer.weight.shape), 0.4)
    by_hand = torch.cat(
        [
            torch.func.functional_call(layer, {"weight": weight}, row[None])
            for row, weight in zip(x, weights, strict=True)
        ]
    )
    ours = seeded(DropConnect(layer, 0.4, per_row=True), x)
    torch.testing.assert_close(ours, by_hand, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("per_row", [False, True])
def test_gradients(per_row: bool) -> None:
    layer, x = made(lambda: nn.Linear(3, 2)), normal(4, 3).requires_grad_()
    connect = DropConnect(layer, 0.4, per_row=per_row)

    def loss(x: Tensor, weight: Tensor) -> Tensor:
        return seeded(lambda: torch.func.functional_call(connect, {"layer.weight": weight}, x)).square()

    assert torch.autograd.gradcheck(loss, (x, normal(2, 3, seed=2).requires_grad_()))


def test_a_dropped_weight_has_no_gradient() -> None:
    layer = made(lambda: nn.Linear(4, 3))
    seeded(DropConnect(layer, 0.4), torch.ones(2, 4, dtype=torch.float64)).sum().backward()
    mask = seeded(F.dropout, torch.ones(3, 4, dtype=torch.float64), 0.4)
    torch.testing.assert_close(layer.weight.grad, 2 * mask)


def test_which_weights_are_dropped() -> None:
    assert DropConnect(nn.Conv2d(1, 1, 1)).weights == ("weight",)
    assert DropConnect(nn.GRU(2, 3, 2)).weights == ("weight_hh_l0", "weight_hh_l1")
    assert DropConnect(nn.GRUCell(2, 3)).weights == ("weight_hh",)
    assert DropConnect(nn.Linear(2, 3), weights="bias").weights == ("bias",)
    with torch.no_grad():
        both = DropConnect(made(lambda: nn.Linear(4, 3)), 1.0, weights=("weight", "bias"))(normal(5, 4))
    assert (both == 0).all()  # the bias of the paper is dropped too


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DropConnect(nn.Linear(2, 3), 1.5), r"p = 1.5 was given; expected a probability of zeroing"),
        (lambda: DropConnect(nn.ReLU()), r"weight was to be dropped in ReLU, which has the parameters none"),
        (
            lambda: DropConnect(nn.Linear(2, 3, bias=False), weights=("weight", "bias")),
            r"weight, bias was to be dropped in Linear, which has the parameters weight; expected names of these",
        ),
        (lambda: DropConnect(nn.Linear(2, 3), weights=()), r"No weight was to be dropped in Linear"),
        (lambda: DropConnect(nn.LSTM(2, 3), per_row=True), r"per_row=True was given for LSTM.* Give per_row=False"),
    ],
)
def test_refuses(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_masks_of_each_row_need_one_batch() -> None:
    connect = DropConnect(nn.Linear(2, 3), per_row=True)
    for args, kwargs in (((torch.ones(2),), {}), ((), {"input": torch.ones(4, 2)})):
        with pytest.raises(InputError, match="expected one batch with the rows on the first of at least two axes"):
            connect(*args, **kwargs)


@pytest.mark.usefixtures("without_type_checks")
def test_refuses_what_is_no_layer() -> None:
    with pytest.raises(InputError, match=r"str was given as the layer; expected a torch\.nn\.Module"):
        DropConnect("fc")

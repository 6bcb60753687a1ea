"""Recurrent functions run layer by layer, against PyTorch's own run of all layers."""

import pytest
import torch
from torch import nn

from mcdrop.sites.recurrent import read_layers

CASES = [
    (nn.LSTM, {}),
    (nn.LSTM, {"bidirectional": True, "proj_size": 2}),
    (nn.LSTM, {"bias": False, "batch_first": True}),
    (nn.GRU, {"bidirectional": True}),
    (nn.RNN, {"nonlinearity": "relu"}),
]


class Recorded(torch.overrides.TorchFunctionMode):
    """Keeps the one recurrent call of a pass, taken apart."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        layers = read_layers(func, args, kwargs or {})
        if layers is not None:
            self.layers = layers
        return func(*args, **(kwargs or {}))


def call_of(module: nn.RNNBase, x):
    with Recorded() as mode:
        expected = module(x)
    return mode.layers, expected


def flat(result) -> list[torch.Tensor]:
    output, state = result
    output = output.data if isinstance(output, nn.utils.rnn.PackedSequence) else output
    return [output, *(state if isinstance(state, tuple) else (state,))]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("kind", "options"), CASES, ids=str)
def test_layer_by_layer_is_all_layers_at_once(kind, options, packed) -> None:
    module = kind(3, 4, 3, dtype=torch.float64, **options)
    x = torch.randn(5, 3, 3, dtype=torch.float64)
    if packed:
        lengths = [5, 3, 2] if not module.batch_first else [3, 2, 2, 1, 1]
        x = nn.utils.rnn.pack_padded_sequence(x, lengths, module.batch_first)
    layers, expected = call_of(module, x)
    seen = []

    def unmasked(call):
        seen.append(tuple(call.input.shape))
        return call.input

    for ours, theirs in zip(layers.run(unmasked), flat(expected), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    width = (options.get("proj_size") or 4) * (2 if module.bidirectional else 1)
    shape = (5, 3, width) if not (packed and module.batch_first) else (3, 5, width)
    assert seen == [shape, shape]


def test_a_mask_falls_between_the_layers() -> None:
    module = nn.GRU(3, 4, 2, dropout=0.5, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    layers, _ = call_of(module, x)
    keep = torch.rand(5, 2, 4, generator=torch.Generator().manual_seed(0)) > 0.5
    first, second = nn.GRU(3, 4, dtype=torch.float64), nn.GRU(4, 4, dtype=torch.float64)
    first.load_state_dict({name: tensor for name, tensor in module.state_dict().items() if name.endswith("l0")})
    second.load_state_dict({name[:-1] + "0": t for name, t in module.state_dict().items() if name.endswith("l1")})
    middle, last_of_first = first(x)
    expected, last_of_second = second(middle * keep * 2)
    output, last = layers.run(lambda call: call.apply(call.input, keep, 0.5))
    torch.testing.assert_close(output, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(last, torch.cat([last_of_first, last_of_second]), rtol=1e-10, atol=1e-12)


def test_gradients_are_pytorchs() -> None:
    module = nn.LSTM(3, 4, 2, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    layers, expected = call_of(module, x)
    wanted = torch.autograd.grad(expected[0].square().sum(), [x, *module.parameters()])
    found = torch.autograd.grad(layers.run(lambda call: call.input)[0].square().sum(), [x, *module.parameters()])
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("packed", [False, True])
def test_samples_are_folded_into_the_batch_under_vmap(packed) -> None:
    module = nn.LSTM(3, 4, 2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(5, 3, 3, dtype=torch.float64)
    inputs = nn.utils.rnn.pack_padded_sequence(x, [5, 3, 2]) if packed else x
    layers, _ = call_of(module, inputs)
    scales = torch.rand(7, dtype=torch.float64)

    def one(scale):
        return layers.run(lambda call: call.input * scale)

    many = torch.func.vmap(one)(scales)
    for place, scale in enumerate(scales):
        for ours, theirs in zip(many, one(scale), strict=True):
            torch.testing.assert_close(ours[place], theirs, rtol=1e-10, atol=1e-12)


def test_other_functions_are_left_alone() -> None:
    assert read_layers(torch.relu, (torch.ones(1),), {}) is None

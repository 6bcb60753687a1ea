"""What a loader may yield, and who is told what."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import mcdrop
from mcdrop.errors import InputError
from tests.networks import MLP

X = torch.randn(10, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(10) % 3


class Keywords(nn.Module):
    """As transformers' models: everything by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.net = MLP()

    def forward(self, x=None, shift=None):
        return self.net(x if shift is None else x + shift)


def engine(model=None, **options) -> mcdrop.MCDropout:
    options = {"likelihood": mcdrop.Categorical(), "num_samples": 10, "seed": 0, **options}
    return mcdrop.MCDropout(model or net, **options)


net = MLP()


@pytest.mark.parametrize(
    "loader",
    [
        DataLoader(X, batch_size=4),
        DataLoader(TensorDataset(X), batch_size=4),
        DataLoader(TensorDataset(X, Y), batch_size=3),
        [X[:7], X[7:]],
        ((X[i : i + 1], Y[i : i + 1]) for i in range(10)),
        [{"x": X[:5]}, {"x": X[5:]}],
    ],
    ids=["tensors", "single tuples", "pairs", "a list", "a generator", "mappings of arguments"],
)
def test_batches_are_read_and_give_what_one_call_gives(loader) -> None:
    prediction = engine().predict(loader)
    torch.testing.assert_close(prediction.probs, engine()(X).probs, rtol=1e-5, atol=1e-6)
    assert len(prediction) == 10


def test_keyword_models_take_mappings() -> None:
    model = Keywords()
    prediction = engine(model).predict([{"x": X, "shift": X}])
    assert torch.equal(prediction.probs, engine(model)(x=X, shift=X).probs)


def test_a_mapping_that_is_the_one_argument() -> None:
    class Reader(nn.Module):
        def forward(self, batch):
            return nn.functional.dropout(batch["pixels"], 0.5, self.training)

    assert len(engine(Reader()).predict([{"pixels": X}])) == 10


@pytest.mark.parametrize(
    "unpack",
    [
        lambda batch: (batch[0], batch[1]),
        lambda batch: ((batch[0], None), batch[1]),
        lambda batch: ({"x": batch[0]}, None),
    ],
    ids=["tensor", "tuple", "dict"],
)
def test_unpack_says_what_is_what(unpack) -> None:
    model = Keywords()
    prediction = engine(model).predict([(X, Y, "name")], unpack=unpack)
    assert torch.equal(prediction.probs, engine(model)(X).probs)


def test_pairs_are_ambiguous_for_a_model_of_two_arguments() -> None:
    with pytest.raises(InputError, match=r"Keywords takes \(x, shift\), so it cannot be told.*Pass unpack="):
        engine(Keywords()).predict([(X, X)])


def test_triples_need_unpack() -> None:
    with pytest.raises(InputError, match="The loader yields a tuple with 0: float32"):
        engine().predict([(X, Y, Y)])


def test_unpack_that_returns_no_pair() -> None:
    with pytest.raises(InputError, match=r"unpack returned a float32 .*; expected a pair"):
        engine().predict([(X, Y)], unpack=lambda batch: batch[0])


def test_a_tensor_is_no_loader() -> None:
    with pytest.raises(InputError, match=r"predict was given a tensor, float32 \(10, 6\).*mc\(x\)"):
        engine().predict(X)


def test_what_is_no_iterable(without_type_checks) -> None:
    with pytest.raises(InputError, match="int was given as the loader; expected an iterable of batches"):
        engine().predict(3)


def test_a_loader_that_yields_nothing() -> None:
    with pytest.raises(InputError, match="The loader yields no batch; expected at least one"):
        engine().predict([])


def test_a_single_object_has_no_loader() -> None:
    with pytest.raises(InputError, match="A loader was given with batch_dim=None"):
        engine(batch_dim=None).predict([X])


def test_the_progress_bar_is_silent_when_nobody_looks(capfd) -> None:
    engine().predict([X])
    assert capfd.readouterr() == ("", "")

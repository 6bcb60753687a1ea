"""Keras models on the torch backend: laws with a closed form, and that the model stays as it was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mcdrop
from mcdrop.errors import InputError, NoSiteError
from mcdrop.integrations.keras import as_module, with_dropout

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
layers = keras.layers
if keras.config.backend() != "torch":
    pytest.skip("Keras runs on another backend than torch", allow_module_level=True)

P, T, ROWS = 0.3, 500, 5
ALPHA = -1.7580993408473766


def inputs(*shape: int) -> torch.Tensor:
    return torch.randn(ROWS, *shape, generator=torch.Generator().manual_seed(0))


def linear(layer, shape: tuple[int, ...]):
    """Dropout, then a dense layer: the output is linear in the mask."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input(shape), layer, layers.Flatten(), layers.Dense(2)])


def weights(model, shape: tuple[int, ...]) -> torch.Tensor:
    return model.layers[-1].kernel.value.detach().double().reshape(*shape, 2)


def drawn(model, x: torch.Tensor, way: str, T: int = T) -> mcdrop.Prediction:
    if way == "sites":
        return mcdrop.predict(as_module(model), x, likelihood=mcdrop.Identity(), num_samples=T, seed=0)
    return mcdrop.from_callable(with_dropout(model), likelihood=mcdrop.Identity(), num_samples=T)(x)


def shared_over(axes: tuple[int, ...]):
    """x w summed over the axes that share a mask, squared, summed over the others; times p / (1 - p)."""

    def variance(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        parts = x.double()[..., None] * w
        parts = parts.sum(axes, keepdim=True) if axes else parts
        return P / (1 - P) * parts.square().flatten(1, -2).sum(1)

    return variance


def alpha_variance(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """a^2 p (1 - p) (x - alpha)^2 w^2, a^-2 = (1 - p)(1 + p alpha^2) (Klambauer et al. 2017)."""
    parts = (x.double() - ALPHA)[..., None] * w
    return P / (1 + P * ALPHA**2) * parts.square().flatten(1, -2).sum(1)


ALPHA_MEAN = ((1 - P) / (1 + P * ALPHA**2)) ** 0.5  # a (1 - p)
KINDS = {
    "Dropout": (lambda: layers.Dropout(P), (6,), shared_over(()), 1.0),
    "Dropout, seeded": (lambda: layers.Dropout(P, seed=1), (6,), shared_over(()), 1.0),
    "Dropout, noise_shape": (lambda: layers.Dropout(P, noise_shape=(None, 1, None)), (4, 3), shared_over((1,)), 1.0),
    "SpatialDropout1D": (lambda: layers.SpatialDropout1D(P), (4, 3), shared_over((1,)), 1.0),
    "SpatialDropout2D": (lambda: layers.SpatialDropout2D(P), (2, 2, 3), shared_over((1, 2)), 1.0),
    "SpatialDropout2D, channels first": (
        lambda: layers.SpatialDropout2D(P, data_format="channels_first"), (3, 2, 2), shared_over((2, 3)), 1.0,
    ),
    "SpatialDropout3D": (lambda: layers.SpatialDropout3D(P), (2, 2, 1, 3), shared_over((1, 2, 3)), 1.0),
    "GaussianDropout": (lambda: layers.GaussianDropout(P), (6,), shared_over(()), 1.0),
    "AlphaDropout": (lambda: layers.AlphaDropout(P), (6,), alpha_variance, ALPHA_MEAN),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["sites", "callable"])
def test_layers_that_drop_have_their_closed_form(kind, way) -> None:
    """Mean and variance of a linear output, each within 4 standard errors."""
    make, shape, variance_of, factor = KINDS[kind]
    model, x = linear(make(), shape), inputs(*shape)
    w = weights(model, shape)
    mean, variance = factor * torch.einsum("n...,...d->nd", x.double(), w), variance_of(x, w)
    prediction = drawn(model, x, way)
    assert ((prediction.mean - mean).abs() < 4 * (variance / T).sqrt()).all()
    kurtosis = (prediction.samples.double() - mean).pow(4).mean(0) / variance.square()
    error = variance * ((kurtosis - 1) / T).sqrt()
    assert ((prediction.variance - variance).abs() < 4 * error).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_that_drops_is_a_site(kind) -> None:
    make, shape, _, _ = KINDS[kind]
    discovery = str(mcdrop.audit(as_module(linear(make(), shape)), inputs(*shape)))
    assert "1 dropout site" in discovery
    assert "axis 0" in discovery


def everything():
    """A functional model with an inner Sequential, and all that must stay off."""
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 2))
    hidden = layers.RandomFlip()(layers.GaussianNoise(0.5)(x))
    hidden = layers.Conv2D(4, 3, activation="relu")(hidden)
    hidden = layers.SpatialDropout2D(0.2)(layers.BatchNormalization()(hidden))
    inner = keras.Sequential([keras.Input((144,)), layers.Dense(8, activation="relu"), layers.Dropout(0.5)])
    hidden = inner(layers.Flatten()(hidden))
    return keras.Model(x, {"logits": layers.Dense(3)(hidden), "hidden": hidden})


def test_only_dropout_is_on_and_the_model_stays_as_it_was() -> None:
    model, x = everything(), inputs(8, 8, 2)
    model.layers[4].moving_variance.assign([0.5, 1.0, 2.0, 4.0])
    assert isinstance(model.layers[4], layers.BatchNormalization)
    before = [variable.value.clone() for variable in model.variables]
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    module = as_module(model)
    torch.testing.assert_close(module(x), model(x, training=False))  # with no dropout: nothing is left that trains
    options = {"likelihood": mcdrop.Categorical(), "num_samples": T, "output": "logits"}
    sites = mcdrop.MCDropout(module, seed=0, **options)(x)
    drawn = mcdrop.from_callable(with_dropout(model), **options)(x)
    distance = (sites.probs - drawn.probs) / (sites.mc_error**2 + drawn.mc_error**2).sqrt()
    assert distance.abs().max() < 4
    assert all(torch.equal(old, new.value) for old, new in zip(before, model.variables, strict=True))
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    assert drawn.provenance.execution == f"callable: with_dropout({model.name})"


def test_sites_are_named_as_in_the_model_and_hold_what_mcdropout_promises() -> None:
    model, x = everything(), inputs(8, 8, 2)
    module = as_module(model)
    assert list(module.layers) == [layer.name for layer in (model.layers[5], model.layers[7].layers[1])]
    options = {"likelihood": mcdrop.Categorical(), "num_samples": 20, "seed": 0, "output": "logits"}
    vectorised = mcdrop.MCDropout(module, **options)(x)
    assert vectorised.provenance.execution == "vectorised"
    looped = mcdrop.MCDropout(module, plan=mcdrop.Plan(execution="loop"), **options)(x)
    torch.testing.assert_close(vectorised.probs, looped.probs, rtol=1e-5, atol=1e-6)
    part = mcdrop.MCDropout(module, **options)(x[3:])
    torch.testing.assert_close(vectorised.probs[3:], part.probs, rtol=1e-5, atol=1e-6)


def test_names_that_two_layers_share_or_torch_has_taken() -> None:
    x = keras.Input((6,))
    inner = [keras.Sequential([keras.Input((6,)), layers.Dropout(P, name=name)]) for name in ("drop", "drop", "items")]
    module = as_module(keras.Model(x, inner[2](inner[1](inner[0](x)))))
    assert list(module.layers) == ["drop", "drop_1", "items_1"]
    assert str(mcdrop.audit(module, inputs(6))).startswith("KerasModule: 3 dropout sites")


class Residual(layers.Layer):
    """A layer as users write them, with dropout and batch normalisation inside."""

    def __init__(self, units: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.dense, self.norm, self.drop = layers.Dense(units), layers.BatchNormalization(), layers.Dropout(0.5)

    def call(self, x, training=False):
        return x + self.drop(self.norm(self.dense(x), training=training), training=training)


class ByHand(layers.Layer):
    """Dropout by an operation of Keras."""

    def call(self, x, training=False):
        return keras.random.dropout(x, 0.5) if training else x


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.LSTM(4, dropout=0.3, recurrent_dropout=0.2),
        lambda: layers.Bidirectional(layers.GRU(4, dropout=0.4)),
        lambda: layers.RNN(layers.StackedRNNCells([layers.LSTMCell(4, dropout=0.3), layers.GRUCell(4)])),
        lambda: layers.TimeDistributed(layers.Dropout(0.5)),
        ByHand,
    ],
    ids=["LSTM", "Bidirectional", "StackedRNNCells", "TimeDistributed", "own layer"],
)
def test_dropout_inside_other_layers(make) -> None:
    """Nothing else trains in these models, so Keras' own training=True is the truth."""
    model, x = linear(make(), (3, 6)), inputs(3, 6)
    options = {"likelihood": mcdrop.Identity(), "num_samples": 400}
    truth = mcdrop.from_callable(lambda x: model(x, training=True), **options)(x)
    for way in ("sites", "callable"):
        prediction = drawn(model, x, way, T=400)
        distance = (prediction.mean - truth.mean) / (prediction.mc_error**2 + truth.mc_error**2).sqrt()
        assert distance.abs().max() < 4
        # Relative error of a mean of ten ratios of variances, each below that of one Gaussian ratio, sqrt(4 / T).
        assert abs((prediction.variance / truth.variance).mean().item() - 1) < 4 * (4 / 400) ** 0.5


def test_own_layers_are_told_to_train_and_what_is_inside_by_its_kind() -> None:
    model, x = linear(Residual(6), (6,)), inputs(6)
    norm = model.layers[0].norm
    statistics = norm.moving_mean.value.clone()
    assert len(as_module(model).layers) == 2  # the layer, and its Dropout
    hidden = model.layers[0].dense(x) / (1 + norm.epsilon) ** 0.5  # by the statistics that it has, those of the start
    w = weights(model, (6,))
    variance = (hidden.detach().double()[..., None] * w).square().sum(1)
    for way in ("sites", "callable"):
        prediction = drawn(model, x, way)
        assert ((prediction.variance / variance - 1).abs() < 4 * (2 / T) ** 0.5).all()
    assert torch.equal(norm.moving_mean.value, statistics)


def test_attention_drops() -> None:
    x = keras.Input((5, 4))
    model = keras.Model(x, layers.MultiHeadAttention(2, 4, dropout=0.3)(x, x))
    assert drawn(model, inputs(5, 4), "sites", T=20).variance.min() > 0
    assert drawn(model, inputs(5, 4), "callable", T=20).variance.min() > 0


def test_training_is_seen_and_gradients_reach_the_model() -> None:
    model, x = linear(layers.Dropout(0.5), (6,)), inputs(6)
    mc = mcdrop.MCDropout(as_module(model), likelihood=mcdrop.Identity(), num_samples=10, seed=0)
    before = mc(x).mean
    model.layers[-1].kernel.assign(2 * model.layers[-1].kernel)
    torch.testing.assert_close(mc(x).mean, 2 * before)
    mcdrop.predict(as_module(model), x, likelihood=mcdrop.Identity(), num_samples=4, grad=True).mean.sum().backward()
    assert model.layers[-1].kernel.value.grad.abs().sum() > 0


def test_a_model_that_was_built_by_its_first_call() -> None:
    model = keras.Sequential([layers.Dropout(0.5), layers.Dense(2)])
    with pytest.raises(InputError, match=r"The model .* is not built yet: call it once on an input"):
        as_module(model)
    model(inputs(6))
    assert drawn(model, inputs(6), "sites", T=10).mean.shape == (ROWS, 2)


class Subclassed(keras.Model):
    def __init__(self, width) -> None:
        super().__init__()
        self.drop, self.dense = layers.Dropout(0.5), layers.Dense(width)

    def get_config(self):
        raise NotImplementedError("no configuration")

    def call(self, x, training=False):
        return self.dense(self.drop(x, training=training))


def test_what_cannot_be_taken() -> None:
    with pytest.raises(InputError, match=r"Linear was given; expected a keras.Model"):
        as_module(torch.nn.Linear(2, 2))
    with pytest.raises(NoSiteError, match=r"No stochastic site in .*: no layer drops with a rate above 0"):
        as_module(linear(layers.Dropout(0.0), (6,)))
    subclassed = Subclassed(2)
    subclassed(inputs(6))
    with pytest.raises(InputError, match=r"cannot be rebuilt from its configuration \(.*Give mcdrop\.from_callable"):
        with_dropout(subclassed)


def test_other_backends_are_callables(monkeypatch) -> None:
    model = linear(layers.Dropout(0.5), (6,))
    monkeypatch.setattr(keras.config, "backend", lambda: "tensorflow")
    with pytest.raises(InputError, match=r"Keras runs on tensorflow.*mcdrop\.from_callable\(with_dropout\(model\)"):
        as_module(model)


def test_keras_is_imported_by_nobody_but_the_call() -> None:
    code = "import mcdrop, mcdrop.integrations.keras, sys; print('keras' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "False"

"""Keras 3 models: their dropout as sites under the torch backend, as a callable under every other.

Keras layers hold no mode. They take `training` as an argument of each call, and one argument switches on dropout, batch
statistics and augmentation alike. So a model is rebuilt from its configuration, with layers that each know what they
are to be told, and run with the values of the model's own weights. The model itself is only read.
"""

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mcdrop.errors import InputError, NoSiteError

_RUNNING: ContextVar[nn.ModuleDict | None] = ContextVar("_RUNNING", default=None)
"""The torch modules that stand for dropout in the `as_module` that runs in this thread."""


def as_module(model: Any) -> "KerasModule":
    """A Keras model on the torch backend as a torch module, for `mcdrop.MCDropout` and `mcdrop.audit`.

    Every layer that drops is a module of its own, named as in the model: `Dropout`, the `SpatialDropout`s,
    `AlphaDropout` and `GaussianDropout` with torch's operations, and layers that draw masks themselves (the `dropout=`
    of recurrent and attention layers) told `training=True`. So are layers of your own that take `training`, since what
    they do with it cannot be seen. All others are told `training=False`: batch normalisation keeps its statistics,
    additive noise and augmentation are off. Weights are read anew in each pass, so that later training is seen; layers
    and rates are those of now.

    Args:
        model: A `keras.Model`, Sequential or functional, built, with layers that their configuration can rebuild.

    Returns:
        A module that takes the model's input (a list or dictionary of tensors where it has several) and returns its
        output, in evaluation mode.

    Raises:
        InputError: Not a Keras model, one that is not built or cannot be rebuilt (a subclass of `keras.Model`), or
            another backend.
        NoSiteError: No layer drops.

    Example:
        >>> import os; os.environ["KERAS_BACKEND"] = "torch"  # before Keras is imported for the first time
        >>> import keras, torch, mcdrop
        >>> from mcdrop.integrations.keras import as_module
        >>> layers = [keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dropout(0.5), keras.layers.Dense(3)]
        >>> mc = mcdrop.MCDropout(as_module(keras.Sequential(layers)), likelihood=mcdrop.Categorical(), seed=0)
        >>> mc(torch.randn(6, 4)).probs.shape
        torch.Size([6, 3])
    """
    twin = _Twin(model)
    import keras

    if keras.config.backend() != "torch":
        raise InputError(
            f"Keras runs on {keras.config.backend()}, and masks can be supplied to torch's operations only. Set "
            "KERAS_BACKEND=torch before Keras is imported, or use mcdrop.from_callable(with_dropout(model), ...)."
        )
    return KerasModule(twin).eval()


def with_dropout(model: Any) -> Callable[..., Any]:
    """A Keras model on any backend as a function that draws: `training=True` for dropout only.

    For `mcdrop.from_callable`. What is on and what off is said at `as_module`. Masks are drawn by Keras: each row has
    its own, and no seed of mcdrop's fixes them.

    Args:
        model: As `as_module` takes it.

    Returns:
        A function of the model's input (a list or dictionary where it has several); each call is one pass under fresh
        masks.

    Raises:
        InputError: Not a Keras model, or one that is not built or cannot be rebuilt.
        NoSiteError: No layer drops.
    """
    twin = _Twin(model)

    def draw(inputs: Any) -> Any:
        return twin.run(inputs)

    draw.__qualname__ = f"with_dropout({model.name})"
    return draw


class _Twin:
    """A Keras model rebuilt, whose layers are told whether they train; it runs with the values of the model's weights.

    Not a module, so that nothing follows it into the Keras model.

    Args:
        model: The Keras model.

    Attributes:
        on: The layers that drop, by name.
    """

    def __init__(self, model: Any) -> None:
        import keras

        if not isinstance(model, keras.Model):
            raise InputError(f"{type(model).__name__} was given; expected a keras.Model.")
        if not model.built:
            raise InputError(f"The model {model.name} is not built yet: call it once on an input.")
        self._copy = _rebuilt(model)
        self._pairs = list(zip(self._copy.weights, model.weights, strict=True))
        self.on: dict[str, Any] = {}
        for layer in list(self._copy._flatten_layers(include_self=False)):
            container = isinstance(layer, keras.Model) and _is_of_keras(layer)
            if container or "training" not in inspect.signature(layer.call).parameters:
                continue
            name = _free_name(layer.name, self.on) if _drops(layer) else None
            _tell(layer, name)
            if name is not None:
                self.on[name] = layer
        if not self.on:
            raise NoSiteError(
                f"No stochastic site in {model.name}: no layer drops with a rate above 0. Add a keras.layers.Dropout."
            )
        weights = {id(weight) for weight in self._copy.weights}
        self._seeds = [variable for variable in self._copy.variables if id(variable) not in weights]

    def run(self, inputs: Any) -> Any:
        """One pass; several inputs are a list or a dictionary, as Keras takes them."""
        import keras

        mapping = [(ours, theirs.value) for ours, theirs in self._pairs]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            output = self._copy(inputs, training=False)
        for seed in self._seeds:  # the scope holds back every write; the next pass must draw anew
            moved = scope.get_current_value(seed)
            if moved is not None:
                seed.assign(moved)
        return output


class KerasModule(nn.Module):
    """A rebuilt Keras model with torch modules in the place of what drops; made by `as_module`, which says all of it.

    Attributes:
        layers: These modules, by the name of the layer.
    """

    def __init__(self, twin: _Twin) -> None:
        super().__init__()
        self._twin = twin
        self.layers = nn.ModuleDict({name: _stand_in(layer) for name, layer in twin.on.items()})

    def forward(self, inputs: Any) -> Any:
        token = _RUNNING.set(self.layers)
        try:
            return self._twin.run(inputs)
        finally:
            _RUNNING.reset(token)


class _SharedDropout(nn.Module):
    """x m / (1 - p), where entries along axes of size 1 in `noise_shape` share their value of the mask m."""

    def __init__(self, p: float, noise_shape: tuple[int | None, ...]) -> None:
        super().__init__()
        self.p = p
        self.noise_shape = noise_shape

    def forward(self, x: Tensor) -> Tensor:
        shape = [have if want is None else want for have, want in zip(x.shape, self.noise_shape, strict=True)]
        return x * F.dropout(x.new_ones(shape), self.p, self.training)


class _GaussianDropout(nn.Module):
    """x (1 + s e), e ~ N(0, 1), s^2 = p / (1 - p) (Srivastava et al. 2014, section 10)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * (1 + (self.p / (1 - self.p)) ** 0.5 * torch.randn_like(x))


class _AsKerasDraws(nn.Module):
    """The place of a layer that draws its own masks."""

    def forward(self, call: Callable[..., Any]) -> Any:
        return call()


def _rebuilt(model: Any) -> Any:
    import keras

    try:
        copy = keras.models.clone_model(model)
        if not copy.built:
            copy.build_from_config(model.get_build_config())
    except Exception as error:
        raise InputError(
            f"The model {model.name} cannot be rebuilt from its configuration ({type(error).__name__}: {error}). Give "
            "mcdrop.from_callable a function that calls your layers with training=True for dropout only."
        ) from error
    if [weight.shape for weight in copy.weights] != [weight.shape for weight in model.weights]:
        raise InputError(
            f"The model {model.name} has other weights when it is rebuilt from its configuration. Give "
            "mcdrop.from_callable a function that calls your layers with training=True for dropout only."
        )
    return copy


def _drops(layer: Any) -> bool:
    """Whether training switches dropout on in this layer itself."""
    import keras

    known = keras.layers.Dropout, keras.layers.AlphaDropout, keras.layers.GaussianDropout
    if isinstance(layer, known):
        return layer.rate > 0
    if not _is_of_keras(layer):
        return True
    rates = (getattr(layer, name, 0.0) for name in ("dropout", "recurrent_dropout"))
    return any(isinstance(rate, float | int) and rate > 0 for rate in rates)


def _is_of_keras(layer: Any) -> bool:
    return type(layer).__module__.startswith("keras.")


def _tell(layer: Any, name: str | None) -> None:
    """Gives one layer of the copy a class of its own: it drops under this name, or is told that it does not train."""
    plain = type(layer)

    def call(self: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        if name is None:
            return plain.call(self, *args, training=False, **kwargs)
        modules = _RUNNING.get()
        if modules is None:
            return plain.call(self, *args, training=True, **kwargs)
        if isinstance(modules[name], _AsKerasDraws):
            return modules[name](lambda: plain.call(self, *args, training=True, **kwargs))
        return modules[name](*args, *kwargs.values())

    layer.__class__ = type(plain.__name__, (plain,), {"call": call, "__module__": plain.__module__})


def _stand_in(layer: Any) -> nn.Module:
    """The torch module that drops in the place of a layer."""
    import keras

    noise_shape = getattr(layer, "noise_shape", None)
    if isinstance(layer, keras.layers.GaussianDropout):
        return _GaussianDropout(layer.rate)
    if isinstance(layer, keras.layers.AlphaDropout) and noise_shape is None:
        return nn.AlphaDropout(layer.rate)
    for axes, spatial in enumerate(
        (keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D, keras.layers.SpatialDropout3D), start=1
    ):
        if isinstance(layer, spatial):
            first = getattr(layer, "data_format", "channels_last") == "channels_first"
            return _SharedDropout(layer.rate, (None, None, *[1] * axes) if first else (None, *[1] * axes, None))
    if isinstance(layer, keras.layers.Dropout):
        return nn.Dropout(layer.rate) if noise_shape is None else _SharedDropout(layer.rate, noise_shape)
    return _AsKerasDraws()


def _free_name(name: str, taken: dict[str, Any]) -> str:
    """The layer's name, numbered where two layers share it or a `ModuleDict` cannot take it."""
    plain = name.replace(".", "_")
    candidates = (plain, *(f"{plain}_{number}" for number in range(1, len(taken) + 2)))
    return next(word for word in candidates if word not in taken and not hasattr(nn.ModuleDict, word))

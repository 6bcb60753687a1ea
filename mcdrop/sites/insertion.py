"""Giving dropout to a network that has none."""

import copy
from collections.abc import Sequence
from typing import Any

from torch import nn

from mcdrop.errors import InputError, NoSiteError
from mcdrop.sites.select import Named, Pattern, Sites

_NAME = "noise_before"


def insert(model: nn.Module, noise: nn.Module, *, before: Pattern | Sequence[Pattern]) -> nn.Module:
    """A copy of the model with noise on the input of chosen layers.

    The layers stay what they are: each gets a copy of `noise` as its child `noise_before`, and a hook that runs its
    first positional input through it. Names in the `state_dict` do not change. The copy shares nothing with the model.

    Args:
        model: The network; it is left as it is.
        noise: A module that masks its input in training mode, such as `torch.nn.Dropout(p)`.
        before: Which layers: a class, a path (shell wildcards), a position among the modules without children (0 is the
            first), or several of these.

    Returns:
        The new model, in the modes of the old one.

    Raises:
        InputError: An argument is of the wrong kind, or a layer has got noise this way before.
        NoSiteError: No layer matches.

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> stochastic = insert(model, nn.Dropout(0.1), before="2")
        >>> stochastic[2]
        Linear(
          in_features=8, out_features=2, bias=True
          (noise_before): Dropout(p=0.1, inplace=False)
        )
        >>> list(stochastic.state_dict()) == list(model.state_dict())
        True
    """
    for name, value in (("model", model), ("noise", noise)):
        if not isinstance(value, nn.Module):
            raise InputError(f"{type(value).__name__} was given as the {name}; expected a torch.nn.Module.")
    new = copy.deepcopy(model)
    # Those without children first, so that positions count them alone.
    layers = sorted(new.named_modules(), key=lambda named: next(named[1].children(), None) is not None)
    named = [Named(path, path, type(layer), place) for place, (path, layer) in enumerate(layers)]
    try:
        chosen = Sites(only=before).chosen(named)
    except NoSiteError as error:
        classes = ", ".join(sorted({type(layer).__name__ for _, layer in layers}))
        raise NoSiteError(f"before={before!r} matches no layer. The model has {classes}.") from error
    for place in chosen:
        path, layer = layers[place]
        if hasattr(layer, _NAME):
            raise InputError(f"{path or 'The model'} has noise before it already: insert into the model without it.")
        layer.add_module(_NAME, copy.deepcopy(noise))
        layer.register_forward_pre_hook(_run_through_noise)
        getattr(layer, _NAME).train(layer.training)
    return new


def _run_through_noise(layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if not args:
        raise InputError(f"{type(layer).__name__} was called without positional input, so there is nothing to mask.")
    return (getattr(layer, _NAME)(args[0]), *args[1:])

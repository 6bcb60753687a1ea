"""The user's model: made by a function that the command line names, with weights of a file."""

import argparse
import contextlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mcdrop.cli.inputs import Inputs
from mcdrop.errors import InputError
from mcdrop.tree import describe


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add what names the model."""
    parser.add_argument(
        "model",
        metavar="MODULE:FACTORY",
        help="a module that Python can import from here, and in it a function (or class) without arguments that makes "
        "the model, or the model itself",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE[:key]",
        help="its state dict, a file of torch.save or .safetensors; key where the file holds more. Only numbers are "
        "loaded, no code. Default: the model as it is made",
    )
    parser.add_argument("--device", default="cpu", help="where the model runs, such as cuda (default: cpu)")


def load(name: str, *, weights: str | None = None, device: str = "cpu") -> nn.Module:
    """The model in eval mode, as `MODULE:FACTORY` makes it, with its weights.

    Args:
        name: An importable module, the current folder's included, and after the colon what it holds: a function
            without arguments that returns the model (its class, say), or the model itself.
        weights: A file with its state dict, that `torch.save` or safetensors wrote, with `:key` where the file holds
            it beside other things; None leaves the model as it is made.
        device: Where it runs.

    Raises:
        InputError: The module, the model or the weights cannot be had, or do not fit each other.

    Example:
        >>> load("torch.nn:Identity")
        Identity()
    """
    with stray_output(), _blamed(name):
        made = _resolved(name)
        model = made if isinstance(made, nn.Module) else made() if callable(made) else made
    if not isinstance(model, nn.Module):
        raise InputError(f"{name} gave {type(model).__name__}; expected torch.nn.Module.")
    if weights is not None:
        _fill(model, name, weights)
    try:
        return model.eval().to(device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was compiled with CUDA
        raise InputError(f"The model cannot be moved to the device {device!r}: {error}") from error


def try_out(model: nn.Module, name: str, rows: Inputs) -> None:
    """Runs the plain model on some rows, so that what it raises is told from what mcdrop raises.

    Raises:
        InputError: The model raised something; says what and where.
    """
    args, kwargs = rows
    given = ", ".join(describe(x) for x in (*args, *kwargs.values()))
    with stray_output(), torch.no_grad(), _blamed(f"{name}, run on the first rows of the inputs ({given}),"):
        model(*args, **kwargs)


@contextlib.contextmanager
def stray_output() -> Iterator[None]:
    """What the user's code prints goes to stderr: stdout is for what mcdrop says."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _blamed(who: str) -> Iterator[None]:
    """Says of what the user's code raises who it was, and on which line."""
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # a script that parses a command line of its own exits
        raise InputError(f"{who} raised {type(error).__name__}: {error}{_place(error)}") from error


def _place(error: BaseException) -> str:
    """The line of the user's code that raised, or that called PyTorch, which did."""
    ours = (__file__, pkgutil.__file__, os.path.dirname(torch.__file__), "<")  # "<": the import system's own
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(ours)]
    # the message of a SyntaxError says where
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames and type(error) is not SyntaxError else ""


def _resolved(name: str) -> Any:
    module, colon, attribute = name.partition(":")
    if os.sep in module or module.endswith(".py"):
        dotted = module.removesuffix(".py").replace(os.sep, ".").strip(".")
        raise InputError(f"{name!r} names a file; expected a module: {dotted}:{attribute or 'FACTORY'}.")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise InputError(f"{name!r} was given as the model; expected MODULE:FACTORY, such as network:build.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` has it; a console script has its own folder there
    try:
        return pkgutil.resolve_name(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise InputError(f"There is no module {error.name!r} in {os.getcwd()} or on PYTHONPATH.") from error
        raise
    except AttributeError as error:
        if error.name not in attribute.split("."):
            raise
        raise InputError(f"The module {module} holds no {attribute!r}.") from error


def _fill(model: nn.Module, name: str, weights: str) -> None:
    state = _state(weights)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"The weights {weights} do not fit the model of {name}: {error}") from error


def _state(weights: str) -> Mapping[str, Tensor]:
    path, _, key = (weights, "", "") if Path(weights).exists() else weights.rpartition(":")
    if not Path(path).is_file():
        raise InputError(f"There is no file {path or weights}.")
    loaded = _from_safetensors(path) if path.endswith(".safetensors") else _from_torch(path)
    held = loaded if isinstance(loaded, Mapping) else {}
    if key and key not in held:
        raise InputError(f"{path} holds no {key!r}. It holds {_listed(held)}.")
    state = loaded[key] if key else loaded
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(
            f"{weights} holds {_listed(held)}; expected a state dict, tensors by name. Where it is one part of the "
            f"file, {path}:key picks it."
        )
    return state


def _listed(held: Mapping[Any, Any]) -> str:
    return ", ".join(map(str, list(held)[:10])) + (", ..." if len(held) > 10 else "") if held else "no state dict"


def _from_torch(path: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: whatever the bytes of a file that is none make the reader do
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(
            f"{path} cannot be read as weights alone: expected a file that torch.save(model.state_dict(), path) wrote. "
            f"Whole models are code and are not loaded. ({why})"
        ) from error


def _from_safetensors(path: str) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError  # optional: pip install safetensors
        from safetensors.torch import load_file
    except ImportError as error:
        raise InputError(f"{path} needs the package safetensors: pip install safetensors.") from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path} is no file of safetensors: {error}") from error

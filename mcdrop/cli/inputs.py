"""The inputs of a model as the command line gives them: `--input FILE[:key]`, or `--input NAME=FILE[:key]`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from mcdrop.cli import arrays
from mcdrop.errors import InputError

Inputs: TypeAlias = tuple[tuple[Tensor, ...], dict[str, Any]]
"""Positional and keyword inputs, tensors with the same number of rows."""


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the inputs."""
    parser.add_argument(
        "--input",
        action="append",
        required=True,
        metavar="FILE[:key]",
        help="inputs of the model, rows first; several times for several inputs, in their order, or NAME=FILE[:key] "
        "for keyword arguments",
    )


def load(sources: Sequence[str], model: nn.Module) -> Inputs:
    """What the options name, as tensors on the CPU; floating-point numbers in the precision of the model's parameters.

    Args:
        sources: `FILE[:key]` for the positional inputs in order, `NAME=FILE[:key]` for keyword inputs.
        model: The model that is to take them.

    Raises:
        InputError: Something cannot be read, or the numbers of rows differ.
    """
    parameters = (p.dtype for p in model.parameters() if p.is_floating_point())
    dtype = next(parameters, torch.get_default_dtype())
    positional: list[Tensor] = []
    named: dict[str, Tensor] = {}
    rows = {}
    for source in sources:
        name, equals, path = source.partition("=")
        if equals and name.isidentifier() and not Path(source).exists():
            named[name] = tensor = _tensor(arrays.read(path), dtype)
        else:
            positional.append(tensor := _tensor(arrays.read(source), dtype))
        rows[source] = len(tensor)
    if positional and named:
        raise InputError("Inputs with and without names were given; expected NAME=FILE for all of them, or for none.")
    if len(set(rows.values())) > 1:
        listed = ", ".join(f"{count} in {source}" for source, count in rows.items())
        raise InputError(f"Inputs with different numbers of rows were given: {listed}.")
    return tuple(positional), named


def num_rows(inputs: Inputs) -> int:
    """How many rows there are."""
    args, kwargs = inputs
    return len((*args, *kwargs.values())[0])


def rows_of(inputs: Inputs, start: int, stop: int, device: str = "cpu") -> Inputs:
    """The rows `start` .. `stop - 1`, on a device."""
    args, kwargs = inputs
    return (
        tuple(x[start:stop].to(device) for x in args),
        {name: x[start:stop].to(device) for name, x in kwargs.items()},
    )


def _tensor(array: np.ndarray, dtype: torch.dtype) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.to(dtype) if tensor.is_floating_point() else tensor

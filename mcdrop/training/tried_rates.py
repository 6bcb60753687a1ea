"""Dropout rates to be tried one after the other: checked, and looked at before anything is trained."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from mcdrop.errors import InputError, NoSiteError, NoSpreadError
from mcdrop.noise import check_probability
from mcdrop.prediction import Likelihood
from mcdrop.sampling import MCDropout
from mcdrop.sampling.output import Output


def checked_rates(rates: Iterable[float]) -> tuple[float, ...]:
    """The rates.

    Raises:
        InputError: There is none, or they are not different numbers in [0, 1).
    """
    given = tuple(rates)
    if not given or len(set(given)) < len(given) or any(check_probability(p) == 1 for p in given):
        raise InputError(f"rates={given} was given; expected different numbers in [0, 1), at least one.")
    return given


def is_random(
    model: nn.Module, rate: float, likelihood: Likelihood, num_samples: int, output: Output, *args: Any, **kwargs: Any
) -> bool:
    """Whether the network that was built for a rate has sub-networks; only at p = 0 it may have none.

    Args:
        model: The network.
        rate: The p that it was built for.
        likelihood: How its output is read.
        num_samples: T of the passes that tell.
        output: Which part of its output is read.
        *args: Positional inputs of some rows.
        **kwargs: Keyword inputs.

    Raises:
        NoSiteError, NoSpreadError: There is no dropout although p > 0.
    """
    try:
        MCDropout(model, likelihood=likelihood, num_samples=num_samples, seed=0, output=output).sample(*args, **kwargs)
    except (NoSiteError, NoSpreadError) as error:
        if rate > 0:
            error.add_note(f"This is the network that build({rate}) returned: does it use the rate?")
            raise
        return False
    return True

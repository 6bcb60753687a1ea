"""What options of the command line are made of: from a word to a number, a likelihood, a design."""

import argparse
from collections.abc import Callable
from typing import Any, TypeVar

from mcdrop.errors import InputError
from mcdrop.posterior import Antithetic, Design, Independent, Stratified
from mcdrop.prediction import Binary, Categorical, Gaussian, HeteroscedasticGaussian, Identity, Likelihood, Poisson

Value = TypeVar("Value")

LIKELIHOODS = """\
likelihoods, how an output is read:
  categorical              logits (N, C) of C classes; categorical:1 where the
                           classes lie on axis 1 of more than two
  categorical:probs        probabilities instead of logits; categorical:probs,1
  binary                   the logit of an event; binary:probs its probability
  gaussian:TAU             a mean; TAU is 1 / variance of the noise, in the unit
                           of the targets; gaussian:25,4 for two outputs
  heteroscedastic          mean and logarithm of the variance, (N, 2D);
                           heteroscedastic:variance, heteroscedastic:std
  poisson                  the logarithm of a rate
  identity                 any numbers: mean and spread of the output itself"""


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    *,
    summary: str,
    description: str,
    epilog: str = "",
) -> argparse.ArgumentParser:
    """Adds a command; the texts are shown with the lines that they have."""
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # an option added later must not change what a script means
    )


def integer(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an option that is an integer within bounds.

    Example:
        >>> integer(1)("5")
        5
    """

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            bounds = f"at least {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer, {bounds}")
        return value

    return parse


def likelihood(text: str) -> Likelihood:
    """The likelihood that `NAME` or `NAME:DETAILS` says, see `LIKELIHOODS`.

    Example:
        >>> likelihood("gaussian:25")
        Gaussian(precision=25.0)
    """
    return _parsed(text, _LIKELIHOODS, "likelihood")


def design(text: str) -> Design:
    """The design `independent`, `antithetic` or `stratified:BLOCK`.

    Example:
        >>> design("stratified:20")
        Stratified(block=20)
    """
    return _parsed(text, _DESIGNS, "design")


def _parsed(text: str, known: dict[str, Callable[..., Value]], kind: str) -> Value:
    name, _, details = text.partition(":")
    if name not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is no {kind}; expected one of {', '.join(known)}")
    try:
        return known[name](*(details.split(",") if details else ()))
    except InputError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be read; see --help for the forms of a {kind}") from error


def _categorical(*words: str) -> Categorical:
    axes = [int(word) for word in words if word != "probs"]
    if len(axes) > 1:
        raise ValueError("one axis of classes")
    return Categorical(class_dim=axes[0] if axes else None, probs="probs" in words)


def _binary(word: str = "") -> Binary:
    if word not in ("", "probs"):
        raise ValueError(word)
    return Binary(probs=word == "probs")


def _gaussian(first: str, *more: str) -> Gaussian:
    return Gaussian(precision=[float(word) for word in (first, *more)] if more else float(first))


_LIKELIHOODS: dict[str, Callable[..., Likelihood[Any]]] = {
    "categorical": _categorical,
    "binary": _binary,
    "gaussian": _gaussian,
    "heteroscedastic": lambda scale="log_variance": HeteroscedasticGaussian(scale),
    "poisson": lambda: Poisson(),
    "identity": lambda: Identity(),
}
_DESIGNS: dict[str, Callable[..., Design]] = {
    "independent": lambda: Independent(),
    "antithetic": lambda: Antithetic(),
    "stratified": lambda block="20": Stratified(int(block)),
}

"""What all that draws T outputs has in common: reading the draws, whole loaders, scores."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import torch

from mcdrop.calibration import Score, StreamedLogDensity, Tally
from mcdrop.errors import InputError, NonFiniteError, UnavailableError
from mcdrop.prediction import AnyPrediction, Likelihood, Provenance, Summary, concatenate
from mcdrop.sampling.batches import Unpack, length_of
from mcdrop.sampling.drawing import note_inputs
from mcdrop.sampling.until import Until
from mcdrop.tree import from_arrays, map_tensors, tensors
from mcdrop.types import Tree

_PATIENCE = 2.0
"""Seconds after which a single call shows a progress bar."""


@dataclass(frozen=True)
class Reading(Generic[AnyPrediction]):
    """How draws are read, whoever makes them.

    Args:
        likelihood: How one output is read.
        num_samples: T, the number of draws, >= 1; or what ends them.
        keep_samples: Whether predictions hold the T outputs; None is the likelihood's default.

    Raises:
        InputError: An argument is of the wrong kind or out of range.

    Example:
        >>> from mcdrop.prediction import Categorical
        >>> Reading(Categorical(), num_samples=10).num_samples
        10
    """

    likelihood: Likelihood[AnyPrediction]
    num_samples: int | Until
    keep_samples: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.likelihood, Likelihood):
            raise InputError(
                f"likelihood={self.likelihood!r} was given; expected an object such as mcdrop.Categorical() or "
                "mcdrop.Gaussian(precision)."
            )
        wrong = isinstance(self.num_samples, bool) or not isinstance(self.num_samples, int) or self.num_samples < 1
        if wrong and not isinstance(self.num_samples, Until):
            raise InputError(
                f"num_samples={self.num_samples!r} was given; expected an integer >= 1, or "
                "mcdrop.Until(mc_error=..., max_samples=...)."
            )
        if self.keep_samples not in (None, True, False):
            raise InputError(f"keep_samples={self.keep_samples!r} was given; expected True, False or None.")

    @property
    def most(self) -> int:
        """The largest number of draws."""
        return self.num_samples.max_samples if isinstance(self.num_samples, Until) else self.num_samples

    @property
    def until(self) -> Until | None:
        """What ends the drawing before that."""
        return self.num_samples if isinstance(self.num_samples, Until) else None


class Draws(ABC):
    """The T outputs for one input, iterated once in chunks of draws: trees of tensors (n, *out)."""

    @property
    @abstractmethod
    def block_size(self) -> int:
        """Draws that depend on each other, 1 for independent ones."""

    @property
    @abstractmethod
    def provenance(self) -> Provenance:
        """What was run; complete after the last chunk."""

    @abstractmethod
    def __iter__(self) -> Iterator[Tree]: ...

    def enough(self) -> None:
        """Ends the drawing with what has been drawn; of an ensemble's members, which are all there is, never asked."""
        raise UnavailableError("These draws are all there is: they cannot be ended before the last.")


class Predictor(ABC, Generic[AnyPrediction]):
    """Something that answers one input with T draws, and what can be asked of it. Subclasses are final.

    Example:
        >>> import mcdrop
        >>> issubclass(mcdrop.MCDropout, Predictor)
        True
    """

    _reading: Reading[AnyPrediction]

    @abstractmethod
    def _draws(self, args: tuple[Any, ...], kwargs: dict[str, Any], first_row: int) -> Draws:
        """The T draws for one input, not yet run; `first_row` is its first row's number in the data set."""

    @abstractmethod
    def _batches(
        self, loader: Iterable[Any], unpack: Unpack | None
    ) -> Iterator[tuple[tuple[Any, ...], dict[str, Any], Tree, int]]:
        """Positional inputs, keyword inputs, target and number of the first row of each batch."""

    @property
    def likelihood(self) -> Likelihood[AnyPrediction]:
        """How one output is read."""
        return self._reading.likelihood

    @property
    def num_samples(self) -> int:
        """T, the number of draws; with `Until` the most."""
        return self._reading.most

    def __call__(self, *args: Any, **kwargs: Any) -> AnyPrediction:
        """The prediction for one input, given as what draws takes it.

        Returns:
            What the likelihood makes of T draws, on the device of the outputs.

        Raises:
            InputError: The input cannot be read, or has no rows.
            OutputError: The output does not fit the likelihood.
            NonFiniteError: The output holds NaN or infinity.
            NoSpreadError: All draws are bit-identical although they should differ.
            McdropError: What the making of the draws raises, see the class.
        """
        return self._prediction(args, kwargs, first_row=0, wait=_PATIENCE)

    def sample(self, *args: Any, **kwargs: Any) -> Tree:
        """The raw outputs of the T draws for one input.

        Returns:
            Tensor (T, N, *out), or the output's tree of such tensors.

        Raises:
            McdropError: As calling the object does, but for what concerns the likelihood.
        """
        if self._reading.until is not None:
            raise InputError(
                f"sample was asked of num_samples={self._reading.until}, which looks at an error that raw outputs "
                "do not have; expected a number of draws."
            )
        chunks = list(self._draws(args, kwargs, first_row=0))
        return map_tensors(lambda *parts: torch.cat(parts), chunks[0], *chunks[1:])

    def predict(self, loader: Iterable[Any], *, unpack: Unpack | None = None) -> AnyPrediction:
        """The prediction for all rows of a loader, on the CPU, with a progress bar.

        Args:
            loader: Batches. A tensor is the input; a mapping holds the model's arguments (or is its one argument); a
                pair is (input, target) if the model takes one positional argument.
            unpack: For all other batches: a function from a batch to (inputs, target); inputs are a tensor, a tuple of
                positional or a dict of keyword arguments.

        Raises:
            InputError: A tensor instead of a loader, no batch, or a batch that cannot be read.
            McdropError: As calling the object does.
        """
        return concatenate(
            [
                self._prediction(args, kwargs, first_row=row, wait=None).to("cpu")
                for args, kwargs, _, row in self._watched(loader, unpack)
            ]
        )

    def evaluate(
        self, loader: Iterable[Any], *, unpack: Unpack | None = None, scores: Sequence[str] | None = None
    ) -> dict[str, Score]:
        """Scores against the targets of a loader, batch by batch, so that the data may be larger than memory.

        Args:
            loader: Batches with targets; see `predict`.
            unpack: See `predict`.
            scores: Names of functions of `mcdrop.calibration`, None for the likelihood's usual ones; which there are,
                and which take memory per row, says `mcdrop.calibration.Tally.of`.

        Returns:
            The scores by name, each with two errors: from the sampling of rows, and Monte Carlo.

        Raises:
            InputError: As `predict`; or a batch has no target, or a score is unknown or not defined for these rows.
            McdropError: As calling the object does.
        """
        if self._reading.until is not None:
            raise InputError(
                f"evaluate was asked of num_samples={self._reading.until}: its batches would have different numbers of "
                "draws, and the Monte Carlo error of a score needs the same draws in all rows. Give a number."
            )
        tally = Tally.of(self.likelihood, scores)
        for args, kwargs, target, row in self._watched(loader, unpack):
            if target is None:
                raise InputError(
                    "evaluate was given batches without targets; expected pairs (input, target), or unpack=."
                )
            on_cpu = map_tensors(lambda tensor: tensor.to("cpu"), from_arrays(target))
            draws, density = self._draws(args, kwargs, row), None
            if tally.needs_log_density and not tally.needs_samples:
                density = StreamedLogDensity.init(self.likelihood, on_cpu, draws.block_size)
            prediction, density = self._read(draws, (args, kwargs), None, tally.needs_samples, density)
            tally = tally.update(prediction.to("cpu"), on_cpu, density)
        return tally.scores()

    def _watched(
        self, loader: Iterable[Any], unpack: Unpack | None
    ) -> Iterator[tuple[tuple[Any, ...], dict[str, Any], Tree, int]]:
        from tqdm import tqdm

        batches = self._batches(loader, unpack)
        return iter(tqdm(batches, total=length_of(loader), unit="batch", disable=None, leave=False))

    def _prediction(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], *, first_row: int, wait: float | None
    ) -> AnyPrediction:
        return self._read(self._draws(args, kwargs, first_row), (args, kwargs), wait, self._reading.keep_samples)[0]

    def _read(
        self,
        draws: Draws,
        inputs: Tree,
        wait: float | None,
        keep_samples: bool | None,
        density: StreamedLogDensity | None = None,
    ) -> tuple[AnyPrediction, StreamedLogDensity | None]:
        """The prediction that draws make, and the density of the targets extended by them."""
        summary = Summary.init(self.likelihood, block_size=draws.block_size, keep_samples=keep_samples)
        until = self._reading.until
        looks = [] if until is None else until.looks(draws.block_size)
        with _progress(self.num_samples, wait) as advance:
            for chunk in draws:
                try:
                    summary = summary.update(chunk)
                except NonFiniteError as error:
                    note_inputs(error, from_arrays(inputs))
                    raise
                density = density.update(chunk) if density is not None else None
                advance(len(tensors(chunk)[0]))
                if looks and summary.count >= looks[0]:
                    looks = [look for look in looks if look > summary.count]
                    if until is not None and until.is_met(summary.result(draws.provenance)):
                        draws.enough()
        return summary.result(draws.provenance), density


class _progress:
    """A progress bar over draws that appears only after `wait` seconds, on a terminal; never with `wait` None."""

    def __init__(self, total: int, wait: float | None) -> None:
        self._total = total
        self._wait = wait

    def __enter__(self) -> Callable[[int], Any]:
        self._bar = None
        if self._wait is not None and sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self._total, unit="pass", delay=self._wait, leave=False)
        return self._bar.update if self._bar is not None else lambda count: None

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()

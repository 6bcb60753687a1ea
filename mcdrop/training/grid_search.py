"""Choosing dropout rate and precision by the log-likelihood of rows that were held out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from mcdrop.calibration import Score, negative_log_likelihood
from mcdrop.errors import InputError
from mcdrop.posterior import Prior
from mcdrop.prediction import Gaussian
from mcdrop.training.each import train_each
from mcdrop.training.grid import Choice, Search, forest
from mcdrop.training.integers import integer
from mcdrop.training.objective import Objective
from mcdrop.training.randomness import devices_of, initialise, seeded
from mcdrop.training.rows import Arrays, checked_arrays
from mcdrop.training.steps import MakeOptimizer, MakeSchedule
from mcdrop.training.trial import try_training
from mcdrop.training.tried_rates import checked_rates, is_random
from mcdrop.training.units import MakeScaling, Units
from mcdrop.tree import describe

_Data = tuple[Tensor, Tensor]
"""Inputs and targets."""


def search(
    build: Callable[[float], nn.Module],
    data: tuple[Any, Any] | Sequence[tuple[Any, Any]],
    *,
    rates: Iterable[float],
    precisions: Iterable[float],
    prior: Prior | None,
    optimizer: MakeOptimizer,
    epochs: int,
    batch_size: int,
    schedule: MakeSchedule | None = None,
    protocol: Literal["elbo", "gal2016"] = "elbo",
    scaling: MakeScaling | None = None,
    held_out: float = 0.2,
    num_samples: int = 1000,
    seed: int = 0,
) -> Search:
    """Chooses dropout rate p and precision tau by the Monte Carlo log-likelihood of validation rows.

    For each training part the last `held_out` of its rows, in the order given, are the validation rows. For each p and
    tau a network is trained on the others, with the weight decay that the prior, p, tau and their number imply, and
    judged by the mean over validation rows of

        log 1/T sum_t Normal(y; f(x, z_t), 1 / tau)

    The best pair is used to train a network on all rows of the part. Nothing but the training part is looked at.

    Several parts (the training rows of splits) of equally many rows are trained at once by `members` where their losses
    are the same: with `protocol="gal2016"` for all tau at once; with "elbo" for one tau at a time, and with a scaling
    one part at a time. All networks of a part have the same seed, hence the same first weights and order of rows
    at each p and tau.

    Args:
        build: Makes the network for a rate p.
        data: A training part (inputs, targets), or a sequence of such pairs.
        rates: The p, different numbers in [0, 1).
        precisions: The tau > 0, in 1 / unit^2 of the targets as given.
        prior: Of the weights; None is no weight decay, and tau then matters to the judgement alone, up to the scale of
            the loss.
        optimizer: As in `members`.
        epochs: As in `fit`.
        batch_size: As in `fit`.
        schedule: As in `fit`.
        protocol: As in `Objective`.
        scaling: Measures what standardises rows, as `mcdrop.data.scaling.measure` does; networks are trained on
            standardised rows then, by the scaling of the rows that they are trained on. Rows are (N, D).
        held_out: Share of a part's rows, in (0, 1); the trained rows are int((1 - held_out) N).
        num_samples: T of the mixture.
        seed: Of the masks that judge; networks of part number i have seed + i.

    Raises:
        InputError, OutputError: Before training: data or an argument do not fit.
        NoSiteError: Before training: the network for a p > 0 has no dropout.
        NonFiniteError: See `fit`.

    Example:
        >>> from functools import partial
        >>> x = torch.linspace(-1, 1, 100)[torch.randperm(100, generator=torch.Generator().manual_seed(0)), None]
        >>> def build(p):
        ...     return nn.Sequential(nn.Linear(1, 20), nn.ReLU(), nn.Dropout(p), nn.Linear(20, 1))
        >>> found = search(build, (x, x**2), rates=[0.01, 0.5], precisions=[1.0, 100.0], prior=Prior(0.1),
        ...                optimizer=partial(torch.optim.Adam, lr=0.01), epochs=40, batch_size=20)
        >>> (choice,) = found.choices
        >>> choice.rate, choice.precision, choice.predict(x[:5]).mean.shape
        (0.01, 100.0, torch.Size([5, 1]))

    Source:
        Gal & Ghahramani 2016, "Dropout as a Bayesian approximation", sec. 5.3, https://arxiv.org/abs/1506.02142; the
        grid: experiment.py of https://github.com/yaringal/DropoutUncertaintyExps at 6eb4497.
    """
    rates, precisions = checked_rates(rates), _checked_precisions(precisions)
    num_samples, seed = integer("num_samples", num_samples, least=1), integer("seed", seed, least=0)
    models = [initialise(partial(build, p), seed) for p in rates]
    dtype = next((weight.dtype for weight in models[0].parameters()), torch.get_default_dtype())
    parts = [_Part.cut(pair, number, held_out, scaling, dtype) for number, pair in enumerate(_pairs(data))]
    for model, part in product(models, parts):
        part.try_training(model, prior, protocol, precisions[0], batch_size)
    random = [
        is_random(model, p, Gaussian(precisions[0]), num_samples, None, parts[0].units.inputs(parts[0].validation[0]))
        for model, p in zip(models, rates, strict=True)
    ]
    settings = {"optimizer": optimizer, "epochs": epochs, "batch_size": batch_size, "schedule": schedule}
    run = _Run(build, prior, protocol, num_samples, seed, settings)
    losses = run.grid(parts, rates, precisions, random)
    places = [_lowest(part_losses) for part_losses in losses]
    winners = run.refitted(parts, [(rates[i], precisions[j]) for i, j in places], scaling, dtype)
    choices = tuple(
        Choice(rates, precisions, part_losses, place, model, units, random[place[0]])
        for part_losses, place, (model, units) in zip(losses, places, winners, strict=True)
    )
    return Search(choices, num_samples, seed)


@dataclass(frozen=True, eq=False)
class _Part:
    """One training part: its number, all its rows, those trained on in the grid and those held out, and their units."""

    number: int
    rows: _Data
    train: _Data
    validation: _Data
    units: Units

    @classmethod
    def cut(
        cls, pair: tuple[Any, Any], number: int, held_out: float, scaling: MakeScaling | None, dtype: torch.dtype
    ) -> "_Part":
        if isinstance(held_out, bool) or not isinstance(held_out, float) or not 0 < held_out < 1:
            raise InputError(f"held_out={held_out!r} was given; expected a share in (0, 1).")
        inputs, targets = checked_arrays(*pair)
        if not isinstance(inputs, Tensor):
            raise InputError(f"{describe(inputs)} was given as inputs of a search; expected one tensor or array.")
        num_rows = len(targets)
        border = int((1 - held_out) * num_rows)
        if border < 1 or num_rows - border < 2:
            raise InputError(
                f"{num_rows} rows were given, of which held_out={held_out} leaves {border} to train on and "
                f"{num_rows - border} to judge by; expected at least 1 and 2."
            )
        train = inputs[:border], targets[:border]
        units = Units.measured(scaling, *train, dtype)
        return cls(number, (inputs, targets), train, (inputs[border:], targets[border:]), units)

    def try_training(
        self, model: nn.Module, prior: Prior | None, protocol: Literal["elbo", "gal2016"], tau: float, batch_size: int
    ) -> None:
        """Raises what training on all rows would raise before its first step: after the grid it would be too late."""
        inputs, targets = self.rows
        rows = Arrays(self.units.inputs(inputs), self.units.targets(targets), batch_size, model)
        try:
            with seeded(devices_of(model)):
                try_training(model, self.units.objective(tau, prior, protocol), rows)
        except Exception as error:
            error.add_note(f"In part number {self.number}.")
            raise


class _Job(NamedTuple):
    """A network to train: the number of its part, tau, rows, and their units."""

    part: int
    tau: float
    rows: _Data
    units: Units


@dataclass(frozen=True)
class _Run:
    """What is the same for all networks."""

    build: Callable[[float], nn.Module]
    prior: Prior | None
    protocol: Literal["elbo", "gal2016"]
    num_samples: int
    seed: int
    settings: dict[str, Any]

    def grid(
        self, parts: list[_Part], rates: tuple[float, ...], precisions: tuple[float, ...], random: list[bool]
    ) -> list[tuple[tuple[Score, ...], ...]]:
        """The validation losses: by part, rate and precision."""
        from tqdm import tqdm  # here, because importing mcdrop loads torch alone

        found: list[list[list[Score]]] = [[[] for _ in rates] for _ in parts]
        points = list(product(precisions, parts))
        for i, p in enumerate(tqdm(rates, desc="search", unit="rate", disable=None, leave=False)):
            trained = self.trained(p, [_Job(part.number, tau, part.train, part.units) for tau, part in points])
            for (tau, part), model in zip(points, trained, strict=True):
                found[part.number][i].append(self._judged(model, tau, part, random[i]))
        return [tuple(tuple(row) for row in part_losses) for part_losses in found]

    def refitted(
        self, parts: list[_Part], winners: list[tuple[float, float]], scaling: MakeScaling | None, dtype: torch.dtype
    ) -> list[tuple[nn.Module, Units]]:
        """A network for each part, trained on all its rows with its winner."""
        units = [Units.measured(scaling, *part.rows, dtype) for part in parts]
        found: dict[int, nn.Module] = {}
        for p in dict.fromkeys(p for p, _ in winners):
            alike = [number for number, (rate, _) in enumerate(winners) if rate == p]
            jobs = [_Job(number, winners[number][1], parts[number].rows, units[number]) for number in alike]
            found |= zip(alike, self.trained(p, jobs), strict=True)
        return [(found[part.number], units[part.number]) for part in parts]

    def trained(self, p: float, jobs: list[_Job]) -> list[nn.Module]:
        """One network for each job; those of one loss and length at once."""
        objectives = [job.units.objective(job.tau, self.prior, self.protocol) for job in jobs]
        groups: dict[tuple[Objective, int], list[int]] = {}
        for place, (job, objective) in enumerate(zip(jobs, objectives, strict=True)):
            groups.setdefault((objective.without_penalties, len(job.rows[1])), []).append(place)
        models: dict[int, nn.Module] = {}
        for places in groups.values():
            chosen = [jobs[place] for place in places]
            networks, _ = train_each(
                partial(self.build, p),
                [(job.units.inputs(job.rows[0]), job.units.targets(job.rows[1])) for job in chosen],
                [objectives[place] for place in places],
                seeds=[self.seed + job.part for job in chosen],
                **self.settings,
            )
            models |= zip(places, networks, strict=True)
        return [models[place] for place in range(len(jobs))]

    def _judged(self, model: nn.Module, tau: float, part: _Part, is_random: bool) -> Score:
        mc = forest(model, tau, part.units, self.num_samples if is_random else None, self.seed)
        inputs, targets = part.validation
        return negative_log_likelihood(mc(part.units.inputs(inputs)), targets)


def _pairs(data: Any) -> list[tuple[Any, Any]]:
    """The training parts."""
    if isinstance(data, tuple) and len(data) == 2 and not isinstance(data[1], tuple):
        return [data]
    if not isinstance(data, list | tuple) or not data or not all(isinstance(p, tuple) and len(p) == 2 for p in data):
        raise InputError(
            f"A {type(data).__name__} was given as data; expected a pair (inputs, targets), or several such pairs."
        )
    return list(data)


def _checked_precisions(precisions: Iterable[float]) -> tuple[float, ...]:
    given = tuple(precisions)
    if not given or len(set(given)) < len(given):
        raise InputError(f"precisions={given} was given; expected different positive numbers, at least one.")
    if not all(isinstance(Gaussian(tau).precision, float) for tau in given):
        raise InputError(f"precisions={given} was given; expected one number for all outputs at each.")
    return tuple(float(tau) for tau in given)


def _lowest(losses: tuple[tuple[Score, ...], ...]) -> tuple[int, int]:
    places = [(i, j) for i, row in enumerate(losses) for j in range(len(row))]
    return min(places, key=lambda place: losses[place[0]][place[1]].value)

"""Training a network at each of several dropout rates, and comparing them."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from torch import nn

from mcdrop.errors import InputError
from mcdrop.posterior import Ensemble
from mcdrop.prediction import Likelihood, RegressionLikelihood
from mcdrop.sampling import MCDropout
from mcdrop.sampling.batches import Unpack
from mcdrop.training.batch_losses import BatchLosses
from mcdrop.training.comparison import compare
from mcdrop.training.contender import Contender, Gathered
from mcdrop.training.each import train_each
from mcdrop.training.fitting import Data
from mcdrop.training.history import History
from mcdrop.training.integers import integer
from mcdrop.training.objective import Objective, as_objective
from mcdrop.training.over_seeds import OverSeeds, average
from mcdrop.training.randomness import initialise
from mcdrop.training.rate_curves import SHOWN, AtRate, Sweep
from mcdrop.training.rows import Rows, rows_of
from mcdrop.training.steps import MakeOptimizer, MakeSchedule
from mcdrop.training.trial import try_batch
from mcdrop.training.tried_rates import checked_rates, is_random

_AT_ONCE = 1024
"""Rows of a pair of arrays that are predicted at once."""


def sweep(
    build: Callable[[float], nn.Module],
    rates: Iterable[float],
    data: Data,
    objective: Objective | Likelihood,
    *,
    test: Data,
    optimizer: MakeOptimizer,
    epochs: int,
    batch_size: int | None = None,
    schedule: MakeSchedule | None = None,
    seeds: Iterable[int] = (0,),
    num_samples: int = 100,
    unpack: Unpack | None = None,
) -> Sweep:
    """Trains a network at each dropout rate and compares tree, weight-scaled net and forest on both data sets.

    At all rates a seed stands for the same first weights (if `build` draws them alike) and the same order of the rows,
    so that differences between rates have paired errors. At p = 0, where a network has no dropout, one tree and the
    forest are the net itself.

    Args:
        build: Makes the network for a rate p: with `nn.Dropout(p)`, a layer by hand or any other law.
        rates: The p, different numbers in [0, 1).
        data: The training data, as in `fit`.
        objective: What is minimised; its likelihood judges, too.
        test: Held-out data, as `data`.
        optimizer: As in `fit`; with several seeds, which are trained at once where they can be, as in `members`.
        epochs: As in `fit`.
        batch_size: As in `fit`.
        schedule: As in `fit`.
        seeds: Of the networks at each rate, different integers >= 0.
        num_samples: T of trees and forest, >= 2.
        unpack: How batches of loaders are taken apart; see `MCDropout.predict`.

    Raises:
        InputError, OutputError: Before training: data, targets or an argument do not fit.
        NoSiteError: Before training: the network for a p > 0 has no dropout.
        NonFiniteError: See `fit`.

    Example:
        >>> from functools import partial
        >>> import mcdrop, torch
        >>> x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
        >>> y = x[:, 0].sign().long().clamp(min=0)
        >>> def build(p):
        ...     return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(p), nn.Linear(32, 2))
        >>> found = sweep(build, [0.0, 0.5], (x[:30], y[:30]), mcdrop.Categorical(), test=(x[30:], y[30:]),
        ...               optimizer=partial(torch.optim.SGD, lr=0.1), epochs=5, batch_size=10, num_samples=20)
        >>> found.rates, found.points[1].train_loss["one tree"].value > found.points[1].train_loss["forest"].value
        ((0.0, 0.5), True)

    Source:
        Srivastava et al. 2014, "Dropout", JMLR 15, sec. 7.3, fig. 9.
    """
    objective = as_objective(objective)
    rates, seeds = checked_rates(rates), _checked_seeds(seeds)
    num_samples = integer("num_samples", num_samples, least=2)
    given = {"test": test, "train": data}
    tried = [initialise(partial(build, p), seeds[0]) for p in rates]
    random = [
        _is_random(model, p, given, objective, num_samples, batch_size, unpack)
        for model, p in zip(tried, rates, strict=True)
    ]
    settings = {"optimizer": optimizer, "epochs": epochs, "batch_size": batch_size, "schedule": schedule}
    settings |= {"unpack": unpack} if unpack is not None else {}
    points = []
    for p, is_forest in zip(rates, random, strict=True):
        models, histories = train_each(partial(build, p), [data], objective, seeds=seeds, **settings)
        measure = _compared if is_forest else _undropped
        found = [measure(model, given, objective, num_samples, unpack) for model in models]
        points.append(_at_rate(p, found, models, histories))
    name = "rmse" if isinstance(objective.likelihood, RegressionLikelihood) else "error rate"
    return Sweep(tuple(points), seeds, num_samples, name)


_Found = dict[str, dict[str, Contender]]
"""The contenders by data set and name."""


def _compared(model: nn.Module, data: dict[str, Data], objective: Objective, num_samples: int, unpack: Any) -> _Found:
    # the masks of all networks are the same, so that the Monte Carlo errors of differences are paired
    found = compare(
        model, data["test"], train=data["train"], likelihood=objective.likelihood, num_samples=num_samples, seed=0,
        unpack=unpack, output=objective.output,
    )  # fmt: skip
    assert found.train is not None
    return {"test": found.test, "train": found.train}


def _undropped(model: nn.Module, data: dict[str, Data], objective: Objective, num_samples: int, unpack: Any) -> _Found:
    """The same where there is no dropout: one network is all three contenders."""
    whole = MCDropout(Ensemble([model]), likelihood=objective.likelihood, seed=0, output=objective.output)
    found = {}
    for name, given in data.items():
        gathered = Gathered(isinstance(objective.likelihood, RegressionLikelihood))
        for args, kwargs, target in _rows(given, unpack, model).in_order():
            gathered.add(*BatchLosses(objective.likelihood, whole.sample(*args, **kwargs), target).one_tree)
        found[name] = dict.fromkeys(SHOWN, gathered.contender())
    return found


def _at_rate(
    rate: float, found: Sequence[_Found], models: tuple[nn.Module, ...], histories: tuple[History, ...]
) -> AtRate:
    def over_seeds(part: str, quantity: str) -> dict[str, OverSeeds]:
        return {name: average([getattr(each[part][name], quantity) for each in found]) for name in SHOWN}

    measures = {
        f"{part}_{quantity}": over_seeds(part, quantity) for part in ("test", "train") for quantity in ("loss", "error")
    }
    return AtRate(rate, **measures, models=models, histories=histories)


def _is_random(
    model: nn.Module,
    rate: float,
    data: dict[str, Data],
    objective: Objective,
    num_samples: int,
    batch_size: int | None,
    unpack: Unpack | None,
) -> bool:
    """Whether the network of a rate has sub-networks, after a look at the first batches of both data sets."""
    try_batch(model, objective, rows_of(data["train"], batch_size, unpack, model), "training")
    args, kwargs = try_batch(model, objective, _rows(data["test"], unpack, model), "test")
    return is_random(model, rate, objective.likelihood, num_samples, objective.output, *args, **kwargs)


def _rows(data: Data, unpack: Unpack | None, model: nn.Module) -> Rows:
    return rows_of(data, _AT_ONCE if isinstance(data, tuple) else None, unpack, model)


def _checked_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    given = tuple(integer("seed", seed, least=0) for seed in seeds)
    if not given or len(set(given)) < len(given):
        raise InputError(f"seeds={given} was given; expected different integers >= 0, at least one.")
    return given

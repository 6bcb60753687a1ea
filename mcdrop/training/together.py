"""Training M networks at once."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import ASGD, SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop, Rprop

from mcdrop.errors import InputError
from mcdrop.posterior import Ensemble
from mcdrop.training.fitting import progress
from mcdrop.training.history import History
from mcdrop.training.integers import integer
from mcdrop.training.objective import Minimised, as_objectives
from mcdrop.training.randomness import devices_of, initialise, seeded
from mcdrop.training.rows import Arrays
from mcdrop.training.stack import Stack
from mcdrop.training.steps import MakeOptimizer, MakeSchedule, made_optimizer, made_schedule
from mcdrop.training.trial import try_training

_ELEMENTWISE = (SGD, ASGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop, Rprop)


def members(
    build: Callable[[], nn.Module],
    data: tuple[Any, Any] | Sequence[tuple[Any, Any]],
    objective: Minimised | Sequence[Minimised],
    *,
    seeds: Iterable[int],
    optimizer: MakeOptimizer,
    epochs: int,
    batch_size: int,
    schedule: MakeSchedule | None = None,
) -> tuple[Ensemble, tuple[History, ...]]:
    """Trains M networks at once, vectorised over their seeds or over their data: the members of an ensemble.

    Member m is the network that `fit` trains alone with the same seed, to rounding (on the CPU; elsewhere with other
    masks of the same law):

        network = initialise(build, seeds[m])
        fit(network, data, objective, seed=seeds[m], ...)

    20 networks as small as those of the UCI experiments take about the time of two: what takes time there is the number
    of operations. A step is recorded once for each number of rows in a batch, then replayed without the Python code of
    the network, which may therefore depend on weights, buffers and inputs alone.

    Args:
        build: Makes one network; called once for each seed, see `initialise`.
        data: A pair (inputs, targets) that all members are trained on; or a sequence of M such pairs with equally many
            rows (splits, folds, bootstrap samples), one for each member.
        objective: What is minimised; a likelihood is `Objective(likelihood)`. Or a sequence of M objectives, one for
            each member, that differ in their priors alone (and in tau with protocol="gal2016").
        seeds: One for each member, integers >= 0: of its first weights, its order of the rows and its masks.
        optimizer: As in `fit`; it must change each weight by that weight's own gradients alone, as SGD and Adam do.
        epochs: Times that every row is seen, >= 1.
        batch_size: Rows of a batch.
        schedule: As in `fit`.

    Returns:
        The ensemble, whose `members` are plain networks in evaluation mode; and the history of each.

    Raises:
        InputError: Before training: data, targets or an argument do not fit.
        UncontrolledSiteError: The network draws random numbers outside of torch's dropout and `torch.rand`.
        VectorisationError: The network cannot be vectorised over its weights, or sets attributes while it runs; train
            its members by `fit` then.
        NonFiniteError: A loss became NaN or infinite: names the members and the step.

    Example:
        >>> from functools import partial
        >>> from mcdrop.prediction import Gaussian
        >>> x = torch.linspace(-1, 1, 64)[:, None]
        >>> build = lambda: nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))
        >>> adam = partial(torch.optim.Adam, lr=1e-2)
        >>> ensemble, _ = members(
        ...     build, (x, x**2), Gaussian(100.0), seeds=range(5), optimizer=adam, epochs=5, batch_size=16
        ... )
        >>> ensemble
        Ensemble(5 x Sequential)

    Source:
        Lakshminarayanan, Pritzel & Blundell 2017, "Simple and scalable predictive uncertainty estimation using deep
        ensembles", https://arxiv.org/abs/1612.01474, sec. 2.4.
    """
    epochs, batch_size = integer("epochs", epochs, least=1), integer("batch_size", batch_size, least=1)
    seeds = tuple(integer("seed", seed, least=0) for seed in seeds)
    if not seeds:
        raise InputError("No seed was given; expected one for each member.")
    objectives = as_objectives(objective, len(seeds))
    models = [initialise(build, seed) for seed in seeds]
    parts = _parts(data, len(seeds), batch_size, models[0])
    tries = range(max(len(objectives), len(parts)))  # members that share both share what a try finds
    with seeded(devices_of(models[0])):
        penalties = [try_training(models[0], objectives[i % len(objectives)], parts[i % len(parts)]) for i in tries]
    stack = Stack(models, seeds, parts, objectives[0], penalties, batch_size)
    descent = made_optimizer(optimizer, stack.weights.values(), decays_elsewhere=any(penalties))
    if not isinstance(descent, _ELEMENTWISE):
        raise InputError(
            f"{type(descent).__name__} was given for members that are trained at once; expected an optimiser that "
            f"changes each weight by its own gradients alone: {', '.join(kind.__name__ for kind in _ELEMENTWISE)}."
        )
    turns = made_schedule(schedule, descent)
    losses = []
    with progress(parts[0], epochs) as advance:
        for epoch in range(epochs):
            losses.append(stack.epoch(epoch, descent, advance))
            if turns is not None:
                turns.step()
    stack.write_back()
    columns = torch.stack(losses, dim=1).tolist()
    return Ensemble(model.eval() for model in models), tuple(History(tuple(column)) for column in columns)


def _parts(data: Any, num_members: int, batch_size: int, model: nn.Module) -> list[Arrays]:
    """The rows of each member, or one part for all of them."""
    if isinstance(data, tuple) and len(data) == 2 and not isinstance(data[1], tuple):
        return [Arrays(*data, batch_size, model)]
    if not isinstance(data, list | tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in data):
        raise InputError(
            f"A {type(data).__name__} was given as data; expected a pair (inputs, targets), or one such pair for each "
            "member."
        )
    if len(data) != num_members:
        raise InputError(f"{len(data)} pairs of data were given for {num_members} seeds; expected one for each.")
    parts = [Arrays(inputs, targets, batch_size, model) for inputs, targets in data]
    lengths = sorted({part.num_rows for part in parts})
    if len(lengths) > 1:
        raise InputError(
            f"Pairs of {lengths[0]} to {lengths[-1]} rows were given; expected equally many, since the members take "
            f"their steps together. Leave rows out down to {lengths[0]}, or train them one by one by fit."
        )
    return parts

"""Several networks of one make, trained at once where they can be."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from mcdrop.errors import UncontrolledSiteError, VectorisationError
from mcdrop.training.fitting import Data, fit
from mcdrop.training.history import History
from mcdrop.training.objective import Minimised, as_objectives
from mcdrop.training.randomness import initialise
from mcdrop.training.together import members


def train_each(
    build: Callable[[], nn.Module],
    parts: Sequence[Data],
    objective: Minimised | Sequence[Minimised],
    *,
    seeds: Sequence[int],
    **settings: Any,
) -> tuple[tuple[nn.Module, ...], tuple[History, ...]]:
    """One network for each seed: by `members`, or one by one by `fit`, which gives the same to rounding on the CPU.

    They go one by one where there is a single one, where the data are a loader, and where `members` cannot train their
    make at once: dropout by hand, recurrent layers.

    Args:
        build: Makes one network.
        parts: Data of each network, as in `fit`; pairs (inputs, targets) have equally many rows. One alone is for all.
        objective: As in `members`.
        seeds: One for each network, at least one.
        **settings: Of `fit` and of `members`: optimizer, epochs, batch_size, schedule; with a loader `unpack`.

    Returns:
        The networks, in evaluation mode, and the history of each.

    Raises:
        McdropError: As `fit` and `members`.
    """
    if len(seeds) > 1 and all(isinstance(part, tuple) for part in parts) and "unpack" not in settings:
        try:
            data = parts[0] if len(parts) == 1 else list(parts)
            ensemble, histories = members(build, data, objective, seeds=seeds, **settings)  # type: ignore[arg-type]
            return ensemble.members, histories
        except (UncontrolledSiteError, VectorisationError):
            pass  # which were raised before training
    models = tuple(initialise(build, seed) for seed in seeds)
    objectives = as_objectives(objective, len(seeds))
    histories = tuple(
        fit(model, parts[i % len(parts)], objectives[i % len(objectives)], seed=seed, **settings)
        for i, (model, seed) in enumerate(zip(models, seeds, strict=True))
    )
    return tuple(model.eval() for model in models), histories

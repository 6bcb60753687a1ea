"""Training one network, with what it takes to stop early, to go on after a kill, and to say why it failed."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.prediction import Likelihood
from mcdrop.sampling.batches import Unpack
from mcdrop.training.checkpoint import Checkpoint
from mcdrop.training.history import History
from mcdrop.training.integers import integer
from mcdrop.training.objective import Objective, as_objective
from mcdrop.training.randomness import derived_seed, devices_of, seeded
from mcdrop.training.rows import Arrays, Rows, rows_of
from mcdrop.training.steps import Descent, MakeOptimizer, MakeSchedule
from mcdrop.training.trial import try_batch, try_training
from mcdrop.training.validation import Validation

Data: TypeAlias = tuple[Any, Any] | Iterable[Any]
"""A pair (inputs, targets) of tensors or arrays, or a loader of batches."""


def fit(
    model: nn.Module,
    data: Data,
    objective: Objective | Likelihood,
    *,
    optimizer: MakeOptimizer,
    epochs: int,
    batch_size: int | None = None,
    schedule: MakeSchedule | None = None,
    validation: Data | None = None,
    num_samples: int | None = None,
    patience: int | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    unpack: Unpack | None = None,
) -> History:
    """Trains a network with its dropout on: each step lowers the loss of one sampled sub-network on one batch.

    The network is trained in place, in training mode; its modules' modes and the global random state are left as
    found. Order and masks are a function of `seed` alone (with a loader whose order comes from torch's generators).

    Args:
        model: The network.
        data: A pair (inputs, targets) of tensors or arrays with the rows on the first axis (inputs may be a tuple of
            positional or a dict of keyword inputs), or a `DataLoader`.
        objective: What is minimised; a likelihood is `Objective(likelihood)`.
        optimizer: Makes the optimiser from the parameters, as `functools.partial(torch.optim.Adam, lr=1e-3)` does. (An
            optimiser that exists already may hold the state of other training, which no seed and no checkpoint knows.)
        epochs: Times that every row is seen, >= 1.
        batch_size: Rows of a batch, with arrays; the last batch of an epoch may be smaller.
        schedule: Makes the schedule of the learning rate from the optimiser; stepped after every epoch.
        validation: Data held out, as `data`; for the history and for `patience`.
        num_samples: T of the Monte Carlo average on the validation data; None leaves it out.
        patience: Stop when the weight-scaled network's validation loss has not fallen for so many epochs, and give the
            network the weights of its best epoch.
        seed: Integer >= 0.
        checkpoint: File that holds the run after every epoch. If it exists the run goes on from there, to the very
            result that it would have had: on the same machine, bit for bit. The file knows its run: another objective,
            optimiser or seed, other arrays or another `TensorDataset` are refused. Of rows that a loader reads from
            elsewhere it knows the number alone.
        unpack: How batches of the loaders are taken apart; see `MCDropout.predict`.

    Returns:
        The losses after each epoch.

    Raises:
        InputError: Before training: data, targets or an argument do not fit, or the checkpoint is of another run.
        OutputError: Before training: the network's output does not fit the likelihood.
        NonFiniteError: The loss became NaN or infinite: names the step and the likely cause.

    Example:
        >>> from functools import partial
        >>> import torch
        >>> from mcdrop.prediction import Gaussian
        >>> x = torch.linspace(-1, 1, 64)[:, None]
        >>> net = nn.Sequential(nn.Linear(1, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1))
        >>> adam = partial(torch.optim.Adam, lr=1e-2)
        >>> history = fit(net, (x, x**2), Gaussian(precision=100.0), optimizer=adam, epochs=20, batch_size=16)
        >>> history.train_loss[-1] < history.train_loss[0]
        True
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"{type(model).__name__} was given as the model; expected a torch.nn.Module.")
    epochs, seed = integer("epochs", epochs, least=1), integer("seed", seed, least=0)
    num_samples = _about_validation("num_samples", num_samples, validation)
    patience = _about_validation("patience", patience, validation)
    objective = as_objective(objective)
    train = rows_of(data, batch_size, unpack, model)
    held_out = None if validation is None else rows_of(validation, batch_size, unpack, model)
    with _modes_kept(model), seeded(devices_of(model)) as reseed:
        penalties = try_training(model, objective, train)
        judge = None
        if held_out is not None:
            try_batch(model, objective, held_out, "validation")
            judge = Validation(model, objective, held_out, num_samples, seed)
        descent = Descent(model, objective, penalties, optimizer, schedule)
        history, best, store = History(), None, None
        if checkpoint is not None:
            words = {"seed": seed, "batch_size": batch_size, "num_samples": num_samples, "patience": patience}
            rows = {"data": train.fingerprint(), "validation": held_out.fingerprint() if held_out else None}
            store = Checkpoint(Path(checkpoint), descent.description | {k: str(v) for k, v in (words | rows).items()})
            history, best = _resumed(store, descent, epochs)
        with progress(train, epochs, len(history)) as advance:
            start = len(history)
            for epoch in range(start, epochs):
                if _has_waited(history, patience):
                    break
                reseed(derived_seed(seed, "epoch", epoch))
                check = epoch == start and not isinstance(train, Arrays)  # whose targets were all checked before
                train_loss = descent.epoch(train.shuffled(seed, epoch), epoch, advance, check=check)
                history = history.after(train_loss, *(judge.losses() if judge else (None, None)))
                if patience is not None and history.best_epoch == epoch:
                    best = descent.weights()
                if store is not None:
                    store.save({"descent": descent.state(), "history": vars(history), "best": best})
        if best is not None:
            descent.set_weights(best)
    return history


def _about_validation(name: str, value: int | None, validation: Data | None) -> int | None:
    if value is None:
        return None
    found = integer(name, value, least=1)
    if validation is None:
        raise InputError(f"{name}={found} was given without validation=, the data that it is about.")
    return found


def _resumed(store: Checkpoint, descent: Descent, epochs: int) -> tuple[History, dict[str, Tensor] | None]:
    """What the checkpoint holds, after the network was brought to it."""
    state = store.load()
    if state is None:
        return History(), None
    history = History(**state["history"])
    if len(history) > epochs:
        raise InputError(f"{store.path} holds {len(history)} epochs, and epochs={epochs} was given; expected as many.")
    descent.set_state(state["descent"])
    return history, state["best"]


def _has_waited(history: History, patience: int | None) -> bool:
    best = history.best_epoch
    return patience is not None and best is not None and len(history) - 1 - best >= patience


@contextmanager
def _modes_kept(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def progress(rows: Rows, epochs: int, done: int = 0) -> Iterator[Callable[[], object]]:
    """A bar over the steps on a terminal's standard error; gives the function that advances it."""
    from tqdm import tqdm  # here, because importing mcdrop loads torch alone

    batches = rows.num_batches
    total, start = (None, 0) if batches is None else (batches * epochs, batches * done)
    with tqdm(total=total, initial=start, unit="step", disable=None, leave=False) as bar:
        yield bar.update

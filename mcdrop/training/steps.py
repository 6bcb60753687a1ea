"""Gradient steps on one network."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from mcdrop.errors import InputError
from mcdrop.sampling.batches import Batch
from mcdrop.training.concrete import ConcreteKL, Penalties
from mcdrop.training.divergence import check_loss, check_weights
from mcdrop.training.objective import Objective

MakeOptimizer: TypeAlias = Callable[[Iterable[Tensor]], Optimizer]
MakeSchedule: TypeAlias = Callable[[Optimizer], LRScheduler]


class Descent:
    """A network, its optimiser and its schedule: everything that a step changes.

    Args:
        model: The network.
        objective: What is minimised.
        penalties: Its KL term, by the name of the weight.
        optimizer: Makes the optimiser.
        schedule: Makes the schedule; None keeps the learning rate.

    Raises:
        InputError: An optimiser or schedule of the wrong kind, or a decay beside the KL term.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        penalties: Penalties,
        optimizer: MakeOptimizer,
        schedule: MakeSchedule | None,
    ) -> None:
        self._model = model
        self._objective = objective
        self._parameters = dict(model.named_parameters())
        self._penalties = penalties
        self._optimizer = made_optimizer(optimizer, self._parameters.values(), decays_elsewhere=bool(penalties))
        self._schedule = made_schedule(schedule, self._optimizer)

    def epoch(
        self, batches: Iterator[Batch], number: int, advance: Callable[[], object], *, check: bool = False
    ) -> float:
        """One step on each batch.

        Args:
            batches: Of one epoch.
            number: Of the epoch, from 0, for messages.
            advance: Called after each step.
            check: Whether targets have yet to be checked.

        Returns:
            The mean over rows of the loss that the steps saw, without the KL term.

        Raises:
            NonFiniteError: The loss became NaN or infinite.
            InputError: Targets do not belong to the outputs.
        """
        self._model.train()
        total, rows = 0.0, 0
        for step, (args, kwargs, target) in enumerate(batches):
            try:
                loss = self._objective.sampled_loss(partial(self._model, *args, **kwargs), target, check=check)
            except Exception as error:
                error.add_note(f"In epoch {number}, step {step}, on a batch of {len(target)} rows.")
                raise
            check_loss(loss, self._parameters, self._optimizer, f"epoch {number}, step {step}")
            self._optimizer.zero_grad()
            (loss + penalty(self._parameters, self._penalties)).backward()
            self._optimizer.step()
            total += len(target) * loss.item()
            rows += len(target)
            advance()
        check_weights(self._parameters, self._optimizer, f"epoch {number}")
        self._optimizer.zero_grad()
        if self._schedule is not None:
            self._schedule.step()
        return total / rows

    def weights(self) -> dict[str, Tensor]:
        """Copies of the parameters and buffers, by name."""
        return {name: tensor.detach().clone() for name, tensor in self._tensors()}

    @torch.no_grad()
    def set_weights(self, weights: dict[str, Tensor]) -> None:
        """Writes such copies back."""
        for name, tensor in self._tensors():
            tensor.copy_(weights[name])

    def state(self) -> dict[str, Any]:
        """Everything that a step changes."""
        schedule = self._schedule.state_dict() if self._schedule is not None else None
        return {"weights": self.weights(), "optimizer": self._optimizer.state_dict(), "schedule": schedule}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes back to such a state."""
        self.set_weights(state["weights"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._schedule is not None:
            self._schedule.load_state_dict(state["schedule"])

    @property
    def description(self) -> dict[str, str]:
        """What this is, in words by name, so that a checkpoint can tell whether it is of the same run."""
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self._optimizer.param_groups]
        return {
            "model": ", ".join(f"{name} {tuple(tensor.shape)} {tensor.dtype}" for name, tensor in self._tensors()),
            "objective": self._objective.description,
            "optimizer": f"{type(self._optimizer).__name__} {groups}",
            "schedule": _plain(type(self._schedule).__name__, self._schedule.state_dict() if self._schedule else {}),
            "layers": re.sub(" at 0x[0-9a-f]+", "", repr(self._model)),  # where in memory is another in each process
        }

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield from self._model.named_parameters()
        yield from self._model.named_buffers()


def penalty(weights: Mapping[str, Tensor], penalties: Penalties) -> Float[Tensor, ""] | float:
    """The sum of coefficient |W|^2, and of the terms whose rate is learned: the KL term of the objective."""
    return sum(
        given(weights) if isinstance(given, ConcreteKL) else given * weights[name].square().sum()
        for name, given in penalties.items()
    )


def made_optimizer(make: MakeOptimizer, parameters: Iterable[Tensor], *, decays_elsewhere: bool) -> Optimizer:
    """The optimiser that `make` makes.

    Args:
        make: A function of the parameters.
        parameters: Those to train.
        decays_elsewhere: Whether the objective decays weights already, by its KL term.

    Raises:
        InputError: `make` is none or makes none; the optimiser needs a closure, or decays weights too.
    """
    if isinstance(make, Optimizer) or not callable(make):
        raise InputError(
            f"optimizer={type(make).__name__} was given; expected a function of the parameters that makes one, such as "
            "functools.partial(torch.optim.Adam, lr=1e-3)."
        )
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not trained:
        raise InputError("The network has no parameters to train, or none of them requires a gradient.")
    optimizer = make(trained)
    if not isinstance(optimizer, Optimizer):
        raise InputError(f"optimizer= made a {type(optimizer).__name__}; expected a torch.optim.Optimizer.")
    name = type(optimizer).__name__
    if isinstance(optimizer, torch.optim.LBFGS):
        raise InputError(
            "LBFGS was given, which evaluates one step's loss many times, each with other masks. Use Adam."
        )
    decays = any(group.get("weight_decay", 0) != 0 for group in optimizer.param_groups)
    if decays_elsewhere and decays and _is_decoupled(optimizer):
        raise InputError(
            f"{name} decays weights apart from the loss (by default, too), which is the KL term of no prior. Use "
            "torch.optim.Adam without a weight_decay: the objective's prior decays the weights."
        )
    if decays_elsewhere and decays:
        raise InputError(
            f"{name} was given with a weight_decay, beside an objective whose prior decays the weights already. Leave "
            "one of the two out."
        )
    return optimizer


def made_schedule(make: MakeSchedule | None, optimizer: Optimizer) -> LRScheduler | None:
    """The schedule that `make` makes of the optimiser.

    Raises:
        InputError: It makes none, or one that must be told a loss.
    """
    if make is None:
        return None
    if not callable(make):
        raise InputError(
            f"schedule={type(make).__name__} was given; expected a function of the optimiser that makes one, such as "
            "functools.partial(torch.optim.lr_scheduler.StepLR, step_size=30)."
        )
    schedule = make(optimizer)
    if not isinstance(schedule, LRScheduler) or isinstance(schedule, ReduceLROnPlateau):
        raise InputError(
            f"schedule= made a {type(schedule).__name__}; expected a torch.optim.lr_scheduler.LRScheduler that is "
            "stepped without a loss."
        )
    return schedule


def _plain(name: str, state: Mapping[str, Any]) -> str:
    """A name with the numbers and words of a state, in which functions and objects are left out."""

    def plain(value: Any) -> bool:
        if isinstance(value, Mapping):
            return all(map(plain, value.values()))
        if isinstance(value, list | tuple):
            return all(map(plain, value))
        return isinstance(value, bool | int | float | str)

    return f"{name} { {key: value for key, value in state.items() if plain(value)} }"


def _is_decoupled(optimizer: Optimizer) -> bool:
    return isinstance(optimizer, torch.optim.AdamW) or any(
        group.get("decoupled_weight_decay", False) for group in optimizer.param_groups
    )

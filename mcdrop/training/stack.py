"""Networks of one make as one: their weights stacked, their steps taken together."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.optim import Optimizer

from mcdrop.errors import InputError, McdropError, UncontrolledSiteError, VectorisationError
from mcdrop.training.divergence import check_loss, check_weights
from mcdrop.training.masks import DropoutBy, DropoutCall, in_turn
from mcdrop.training.objective import Objective
from mcdrop.training.randomness import derived_seed, devices_of, random_states, seeded
from mcdrop.training.rows import Arrays, shuffled_rows
from mcdrop.training.steps import penalty
from mcdrop.tree import map_tensors
from mcdrop.types import Tree


class Stack:
    """M networks whose weights are the slices of stacked ones.

    Args:
        models: The networks, of one class and with weights of the same names and shapes.
        seeds: One for each.
        parts: Rows of each, equally many; one alone is for all.
        objective: What is minimised.
        penalties: The coefficient of each |W|^2, by the name of the weight.

    Attributes:
        weights: The stacked parameters by name, (M, *shape).

    Raises:
        InputError: The networks differ in make, or two are the same object.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        seeds: Sequence[int],
        parts: Sequence[Arrays],
        objective: Objective,
        penalties: dict[str, float],
    ) -> None:
        _check_alike(models)
        self._models = models
        self._skeleton = models[0].train()
        for model in models:
            model.train()
        self.weights, self._buffers = stack_module_state(list(models))
        self._seeds = seeds
        self._objective = objective
        self._penalties = penalties
        self._device = next(iter(self.weights.values())).device
        self._generators = [torch.Generator(self._device) for _ in models]
        self._num_rows = parts[0].num_rows
        self._pool = pooled([(part.inputs, part.targets) for part in parts], self._device)
        self._first_rows = torch.arange(len(models))[:, None] * (self._num_rows if len(parts) > 1 else 0)
        self._calls: dict[int, list[DropoutCall]] = {}  # by the rows of a batch

    def epoch(
        self, number: int, batch_size: int, optimizer: Optimizer, advance: Callable[[], object]
    ) -> Float[Tensor, " M"]:
        """One step of every network on each of its batches.

        Args:
            number: Of the epoch, from 0.
            batch_size: Rows of a batch.
            optimizer: Of `weights`.
            advance: Called after each step.

        Returns:
            Each network's mean over rows of the loss that its steps saw, without the KL term.

        Raises:
            NonFiniteError, UncontrolledSiteError, VectorisationError: See `members`.
        """
        for generator, seed in zip(self._generators, self._seeds, strict=True):
            generator.manual_seed(derived_seed(seed, "epoch", number))
        order = torch.stack([shuffled_rows(self._num_rows, seed, number) for seed in self._seeds]) + self._first_rows
        total = torch.zeros(len(self._seeds), dtype=torch.float64)
        for step, rows in enumerate(order.split(batch_size, dim=1)):
            losses = self._losses(rows.to(self._device))
            check_loss(losses, self.weights, optimizer, f"epoch {number}, step {step}")
            optimizer.zero_grad()
            (losses.sum() + penalty(self.weights, self._penalties)).backward()
            optimizer.step()
            total += rows.shape[1] * losses.detach().cpu()
            advance()
        check_weights(self.weights, optimizer, f"epoch {number}")
        return total / self._num_rows

    @torch.no_grad()
    def write_back(self) -> None:
        """Gives each network its weights and buffers."""
        stacked = self.weights | self._buffers
        for number, model in enumerate(self._models):
            for name, tensor in (*model.named_parameters(), *model.named_buffers()):
                tensor.copy_(stacked[name][number])

    def _losses(self, rows: Int[Tensor, "M batch"]) -> Float[Tensor, " M"]:
        inputs, targets = map_tensors(lambda tensor: tensor[rows], self._pool)
        calls = self._calls.get(rows.shape[1])
        if calls is None:
            calls = self._calls[rows.shape[1]] = self._dropout_calls(inputs, targets)
        masks = tuple(call.factors(self._generators) for call in calls)

        def loss(weights: Any, buffers: Any, masks: Any, inputs: Any, targets: Any) -> Tensor:
            with DropoutBy(in_turn(calls, masks)):
                return self._objective.sampled_loss(lambda: self._run(weights, buffers, inputs), targets)

        return vmap(loss, randomness="error")(self.weights, self._buffers, masks, inputs, targets)

    def _run(self, weights: Any, buffers: Any, inputs: Any) -> Any:
        args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
        return functional_call(self._skeleton, (weights, buffers), args, kwargs)

    @torch.no_grad()
    def _dropout_calls(self, inputs: Tree, targets: Tensor) -> list[DropoutCall]:
        """The calls of dropout in one loss of the first network alone, in order, by passes that change nothing.

        Raises:
            UncontrolledSiteError, VectorisationError: The networks cannot be trained at once.
        """
        calls: list[DropoutCall] = []

        def note(call: DropoutCall) -> Tensor:
            calls.append(call)
            return torch.ones(call.shape, dtype=call.dtype, device=call.device)

        def run(weights: Any, buffers: Any, inputs: Any) -> Any:
            before = random_states(self._skeleton)
            with DropoutBy(note):
                output = self._run(weights, buffers, inputs)
            if random_states(self._skeleton) != before:
                raise _uncontrolled("the global generators moved")
            return output

        def loss(weights: Any, buffers: Any, inputs: Any, targets: Any) -> Tensor:
            return self._objective.sampled_loss(lambda: run(weights, buffers, inputs), targets)

        buffers = {name: buffer.clone() for name, buffer in self._buffers.items()}
        with seeded(devices_of(self._skeleton)):
            try:
                vmap(loss, randomness="error")(self.weights, buffers, inputs, targets)
                calls.clear()  # vmap may lay tensors out in another order, in which other masks would be drawn
                loss(*map_tensors(lambda tensor: tensor[0], (self.weights, buffers, inputs, targets)))
            except McdropError:
                raise
            except Exception as error:
                raise _explained(error) from error
        return calls


def pooled(parts: Sequence[tuple[Tree, Tensor]], device: torch.device) -> Tree:
    """The rows of all parts, one part after the other."""
    return map_tensors(lambda *tensors: torch.cat(tensors).to(device), parts[0], *parts[1:])


def _check_alike(models: Sequence[nn.Module]) -> None:
    if len({id(model) for model in models}) < len(models):
        raise InputError("build() returned the same network twice; expected a new one at every call.")
    makes = [[type(model), *((name, p.shape) for name, p in model.named_parameters())] for model in models]
    for number, make in enumerate(makes):
        if make != makes[0]:
            raise InputError(
                f"build() returned networks of different makes (members 0 and {number}): {makes[0]}, {make}."
            )
    if not list(models[0].parameters()):
        raise InputError(f"{type(models[0]).__name__} has no parameters to train.")


def _explained(error: Exception) -> McdropError:
    text = str(error).strip().split("\n")[0]
    if "random" in text:
        return _uncontrolled(text)
    return VectorisationError(
        f"The networks cannot be trained at once ({type(error).__name__}: {text[:200]}). Train them one by one: "
        "fit(initialise(build, seed), ..., seed=seed)."
    )


def _uncontrolled(what: str) -> UncontrolledSiteError:
    return UncontrolledSiteError(
        f"The network draws random numbers outside of nn.Dropout and F.dropout ({what}), which members that are "
        "trained at once would share. Train them one by one: fit(initialise(build, seed), ..., seed=seed)."
    )

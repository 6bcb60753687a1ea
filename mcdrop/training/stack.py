"""Networks of one make as one: their weights stacked, their steps taken together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.optim import Optimizer

from mcdrop.errors import InputError, McdropError, UncontrolledSiteError, VectorisationError
from mcdrop.training.attributes import attributes
from mcdrop.training.concrete import Penalties, stacked
from mcdrop.training.divergence import check_loss, check_weights
from mcdrop.training.masks import Call, DropoutBy, in_turn
from mcdrop.training.objective import Objective
from mcdrop.training.randomness import derived_seed, devices_of, random_states, seeded
from mcdrop.training.replay import record
from mcdrop.training.rows import Arrays, shuffled_rows
from mcdrop.training.steps import penalty
from mcdrop.tree import map_tensors, tensors
from mcdrop.types import Tree


class Stack:
    """M networks whose weights are the slices of stacked ones.

    Args:
        models: The networks, of one class and with weights of the same names and shapes.
        seeds: One for each.
        parts: Rows of each, equally many; one alone is for all.
        objective: What is minimised, but for its KL term.
        penalties: The KL term of each, by the name of the weight; one alone is for all.
        batch_size: Rows of a batch.

    Attributes:
        weights: The stacked parameters by name, (M, *shape).

    Raises:
        InputError: The networks differ in make, or two are the same object; or KL terms differ in more than numbers.
        UncontrolledSiteError, VectorisationError: They cannot be trained at once.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        seeds: Sequence[int],
        parts: Sequence[Arrays],
        objective: Objective,
        penalties: Sequence[Penalties],
        batch_size: int,
    ) -> None:
        _check_alike(models)
        self._models = models
        self._skeleton = models[0].train()
        for model in models:
            model.train()
        self.weights, self._buffers = stack_module_state(list(models))
        self._trained = {name: weight for name, weight in self.weights.items() if weight.requires_grad}
        self._seeds = tuple(dict.fromkeys(seeds))
        self._of_seed = torch.tensor([self._seeds.index(seed) for seed in seeds])
        self._objective = objective
        self._device = next(iter(self.weights.values())).device
        self._penalties = stacked(penalties, self.weights)
        self._coefficients = {name: given for name, given in self._penalties.items() if isinstance(given, Tensor)}
        self._generators = [torch.Generator(self._device) for _ in self._seeds]
        self._num_rows = parts[0].num_rows
        self._pool = pooled([(part.inputs, part.targets) for part in parts], self._device)
        self._first_rows = torch.arange(len(models))[:, None] * (self._num_rows if len(parts) > 1 else 0)
        self._batch_size = batch_size
        sizes = {min(batch_size, self._num_rows), parts[0].rows_of_last_batch}
        self._steps = {size: self._recorded(*self._picked(self._first_rows + torch.arange(size))) for size in sizes}

    @torch.no_grad()
    def epoch(self, number: int, optimizer: Optimizer, advance: Callable[[], object]) -> Float[Tensor, " M"]:
        """One step of every network on each of its batches.

        Args:
            number: Of the epoch, from 0.
            optimizer: Of `weights`.
            advance: Called after each step.

        Returns:
            Each network's mean over rows of the loss that its steps saw, without the KL term.

        Raises:
            NonFiniteError: A loss or a weight became NaN or infinite.
        """
        for generator, seed in zip(self._generators, self._seeds, strict=True):
            generator.manual_seed(derived_seed(seed, "epoch", number))
        orders = torch.stack([shuffled_rows(self._num_rows, seed, number) for seed in self._seeds])
        order = orders[self._of_seed] + self._first_rows
        total = torch.zeros(len(self._models), dtype=torch.float64)
        for step, rows in enumerate(order.split(self._batch_size, dim=1)):
            losses, *gradients = self._losses_and_gradients(rows)
            check_loss(losses, self.weights, optimizer, f"epoch {number}, step {step}")
            for weight, gradient in zip(self._trained.values(), gradients, strict=True):
                weight.grad = gradient
            optimizer.step()
            total += rows.shape[1] * losses.cpu()
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

    def _losses_and_gradients(self, rows: Int[Tensor, "M batch"]) -> list[Any]:
        """The loss of each network without the KL term; then the gradients of their sum, None for weights unused."""
        inputs, targets = self._picked(rows)
        calls, step = self._steps[rows.shape[1]]
        masks = self._drawn(calls, self._generators)
        held = (self.weights, self._buffers, self._coefficients)
        return step(*tensors(held), *masks, *tensors(inputs), targets)

    def _drawn(self, calls: Sequence[Call], generators: Sequence[torch.Generator]) -> tuple[Tensor, ...]:
        """The masks of each call for each network; those of one seed are the same and drawn once."""
        masks = tuple(call.factors(generators) for call in calls)
        if len(self._seeds) == len(self._models):
            return masks
        return tuple(mask.index_select(0, self._of_seed.to(mask.device)) for mask in masks)

    def _picked(self, rows: Int[Tensor, "M batch"]) -> Any:
        """The inputs and targets of these rows of the pool."""
        chosen = rows.flatten().to(self._device)  # for index_select, which is faster than indexing
        return map_tensors(lambda tensor: tensor.index_select(0, chosen).unflatten(0, rows.shape), self._pool)

    def _recorded(self, inputs: Tree, targets: Tensor) -> tuple[list[Call], Callable[..., list[Any]]]:
        """The calls of dropout in a step on so many rows, and what gives its losses and the gradients of their sum.

        Raises:
            UncontrolledSiteError, VectorisationError: The networks cannot be trained at once.
        """

        def step(weights: Any, *others: Any) -> list[Tensor | None]:
            weights = {name: tensor.detach().requires_grad_(name in self._trained) for name, tensor in weights.items()}
            losses, costs = vmap(loss, randomness="error")(weights, *others)
            trained = [weights[name] for name in self._trained]
            gradients = torch.autograd.grad(costs.sum(), trained, allow_unused=True)
            return [losses, *(None if gradient is None else gradient.contiguous() for gradient in gradients)]

        def loss(
            weights: Any, buffers: Any, coefficients: Any, masks: Any, inputs: Any, targets: Any
        ) -> tuple[Tensor, Tensor]:
            with DropoutBy(in_turn(calls, masks)):
                loss = self._objective.sampled_loss(lambda: self._run(weights | buffers, inputs), targets)
            return loss.detach(), loss + penalty(weights, self._penalties | coefficients)

        try:
            calls = self._dropout_calls(inputs, targets)
            masks = self._drawn(calls, [torch.Generator(self._device) for _ in self._seeds])
            return calls, record(step, self.weights, self._buffers, self._coefficients, masks, inputs, targets)
        except McdropError:
            raise
        except Exception as error:
            raise _explained(error) from error

    def _run(self, held: dict[str, Tensor], inputs: Any) -> Any:
        args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
        return functional_call(self._skeleton, held, args, kwargs)

    @torch.no_grad()
    def _dropout_calls(self, inputs: Tree, targets: Tensor) -> list[Call]:
        """The calls of dropout in one loss of the first network alone, in order, by passes that change nothing."""
        calls: list[Call] = []

        def note(call: Call) -> Tensor:
            calls.append(call)
            return torch.full(call.shape, 0.5, dtype=call.dtype, device=call.device)

        def run(weights: Any, buffers: Any, inputs: Any) -> Any:
            with DropoutBy(note), _nothing_else_moves(self._skeleton, weights | buffers) as held:
                return self._run(held, inputs)

        def loss(weights: Any, buffers: Any, inputs: Any, targets: Any) -> Tensor:
            return self._objective.sampled_loss(lambda: run(weights, buffers, inputs), targets)

        buffers = {name: buffer.clone() for name, buffer in self._buffers.items()}
        with seeded(devices_of(self._skeleton)):
            vmap(loss, randomness="error")(self.weights, buffers, inputs, targets)
            calls.clear()  # vmap may lay tensors out in another order, in which other masks would be drawn
            loss(*map_tensors(lambda tensor: tensor[0], (self.weights, buffers, inputs, targets)))
        return calls


@contextmanager
def _nothing_else_moves(model: nn.Module, given: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Raises if a pass of a network with these tensors draws random numbers or changes its attributes.

    Each would make the next step another function, and members that share the network's Python code share the change.
    """
    random, found, held = random_states(model), attributes(model), dict(given)
    yield held
    if random_states(model) != random:
        raise _uncontrolled("the global generators moved")
    now = attributes(model)
    changed = sorted(name for name in found.keys() | now.keys() if found.get(name) != now.get(name))
    changed += [name for name, tensor in held.items() if tensor is not given[name]]
    if changed:
        raise VectorisationError(
            f"The network sets its attribute {changed[0]} while it runs, which members that are trained at once would "
            "share. Change buffers in place, or train the members one by one: fit(initialise(build, seed), ..., "
            "seed=seed)."
        )


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
        f"The network draws random numbers outside of nn.Dropout, F.dropout and torch.rand ({what}), which members "
        "that are trained at once would share. Train them one by one: fit(initialise(build, seed), ..., seed=seed)."
    )

"""The rows that training sees, batch by batch, in an order that a seed decides."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from mcdrop.errors import InputError
from mcdrop.sampling.batches import Batch, Unpack, length_of, read_batches
from mcdrop.training.integers import integer
from mcdrop.training.randomness import derived_seed
from mcdrop.tree import describe, from_arrays, map_tensors, named_tensors, tensors
from mcdrop.types import Tree

_LARGER = 4
"""Batches that are evaluated at once: without gradients a pass needs a fraction of the memory."""


class Rows(ABC):
    """Inputs and targets, on the device of the model."""

    @property
    @abstractmethod
    def num_rows(self) -> int | None:
        """N; None where a loader does not tell."""

    @property
    @abstractmethod
    def num_batches(self) -> int | None:
        """Of one epoch; None where a loader does not tell."""

    @property
    @abstractmethod
    def rows_of_last_batch(self) -> int | None:
        """The same; the others of an epoch have as many or more."""

    @abstractmethod
    def shuffled(self, seed: int, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch."""

    @abstractmethod
    def in_order(self) -> Iterator[Batch]:
        """All rows, for evaluation."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Words that differ for other data, as far as these lie in memory: a loader may read its rows from anywhere."""


class Arrays(Rows):
    """A pair (inputs, targets) of tensors or arrays; inputs may be a tuple of positional or a dict of keyword inputs.

    Args:
        inputs: With the rows on the first axis.
        targets: One for each row.
        batch_size: Rows in a batch; the last one of an epoch may have fewer.
        model: Whose device the batches go to.

    Raises:
        InputError: No rows, lengths that differ, NaN or infinity, or no batch size.
    """

    def __init__(self, inputs: Tree, targets: Any, batch_size: int | None, model: nn.Module) -> None:
        self.inputs, self.targets = checked_arrays(inputs, targets)
        if batch_size is None:
            raise InputError("batch_size=None was given with arrays; expected an integer >= 1.")
        self._batch_size = integer("batch_size", batch_size, least=1)
        self._model = model

    @property
    def num_rows(self) -> int:
        return len(self.targets)

    @property
    def num_batches(self) -> int:
        return -(-self.num_rows // self._batch_size)

    @property
    def rows_of_last_batch(self) -> int:
        return (self.num_rows - 1) % self._batch_size + 1

    def shuffled(self, seed: int, epoch: int) -> Iterator[Batch]:
        return self._batches(shuffled_rows(self.num_rows, seed, epoch), self._batch_size)

    def in_order(self) -> Iterator[Batch]:
        return self._batches(torch.arange(self.num_rows), _LARGER * self._batch_size)

    def fingerprint(self) -> str:
        return f"{self.num_rows} rows, {_digest((self.inputs, self.targets))}"

    def _batches(self, order: Tensor, size: int) -> Iterator[Batch]:
        def pick(rows: Tensor) -> Any:
            return map_tensors(lambda tensor: tensor[rows.to(tensor.device)], (self.inputs, self.targets))

        pairs = (pick(rows) for rows in order.split(size))
        return _on_device(self._model, read_batches(self._model.forward, pairs, lambda pair: pair, name=""))


class Loader(Rows):
    """A DataLoader, or any other iterable of batches that can be iterated again.

    Args:
        loader: The batches; they are read as by `MCDropout.predict`.
        unpack: For batches that need it.
        model: The model.
    """

    def __init__(self, loader: Iterable[Any], unpack: Unpack | None, model: nn.Module) -> None:
        if isinstance(loader, Iterator):
            raise InputError(
                f"A {type(loader).__name__}, which can be read only once, was given; expected a DataLoader, a list of "
                "batches, or a pair (inputs, targets)."
            )
        self._loader = loader
        self._unpack = unpack
        self._model = model

    @property
    def num_rows(self) -> int | None:
        return length_of(self._loader.dataset) if isinstance(self._loader, DataLoader) else None

    @property
    def num_batches(self) -> int | None:
        return length_of(self._loader)

    @property
    def rows_of_last_batch(self) -> int | None:
        if not isinstance(self._loader, DataLoader) or self._loader.batch_size is None:
            return None
        count = length_of(self._loader.sampler)
        if not count:
            return None
        return self._loader.batch_size if self._loader.drop_last else (count - 1) % self._loader.batch_size + 1

    def shuffled(self, seed: int, epoch: int) -> Iterator[Batch]:
        """As the loader orders them: by torch's global generator, or by one of its own, which is seeded meanwhile."""
        samplers = [getattr(self._loader, name, None) for name in ("sampler", "batch_sampler")]
        parts = [self._loader, *samplers, getattr(samplers[1], "sampler", None)]
        own = {id(g): g for part in parts if (g := _generator(part))}
        states = [(generator, generator.get_state()) for generator in own.values()]
        try:
            for generator, _ in states:
                generator.manual_seed(derived_seed(seed, "order", epoch))
            yield from self._checked()
        finally:
            for generator, state in states:
                generator.set_state(state)

    def in_order(self) -> Iterator[Batch]:
        return self.shuffled(0, 0)

    def fingerprint(self) -> str:
        words = f"{self.num_batches} batches of a {type(self._loader).__name__}"
        if not isinstance(self._loader, DataLoader):
            return f"{words}, {_digest(from_arrays(self._loader))}" if isinstance(self._loader, list | tuple) else words
        dataset = self._loader.dataset
        words += f" of {self.num_rows} rows by {self._loader.batch_size}"
        return f"{words}, {_digest(dataset.tensors)}" if isinstance(dataset, TensorDataset) else words

    def _checked(self) -> Iterator[Batch]:
        batches = read_batches(self._model.forward, self._loader, self._unpack, name=type(self._model).__name__)
        for number, (args, kwargs, target) in enumerate(from_arrays(batch) for batch in batches):
            if not isinstance(target, Tensor):
                raise InputError(
                    f"Batch {number} of the loader holds no target tensor; expected pairs (input, target), or unpack=."
                )
            _check_finite((args, kwargs), f" of batch {number}")
            yield from _on_device(self._model, iter([(args, kwargs, target)]))


def rows_of(data: Any, batch_size: int | None, unpack: Unpack | None, model: nn.Module) -> Rows:
    """The rows of a pair (inputs, targets), or of a loader.

    Raises:
        InputError: It is neither, or does not fit `batch_size` and `unpack`.
    """
    if isinstance(data, tuple) and len(data) == 2:
        if unpack is not None:
            raise InputError("unpack= was given with a pair of arrays; it is for batches of a loader.")
        return Arrays(*data, batch_size, model)
    if isinstance(data, Tensor) or hasattr(data, "__array__") or not isinstance(data, Iterable):
        what = describe(data) if isinstance(data, Tensor) else f"A {type(data).__name__}"
        raise InputError(f"{what} was given as data; expected a pair (inputs, targets), or a DataLoader.")
    if batch_size is not None:
        raise InputError(f"batch_size={batch_size} was given with a loader, which makes its batches itself.")
    return Loader(data, unpack, model)


def checked_arrays(inputs: Tree, targets: Any) -> tuple[Tree, Tensor]:
    """Inputs and targets as tensors.

    Raises:
        InputError: No rows, lengths that differ, or NaN or infinity.
    """
    inputs, targets = from_arrays((inputs, targets))
    given = tensors(inputs)
    if not isinstance(targets, Tensor) or not given:
        raise InputError(
            f"({describe(inputs)}, {describe(targets)}) was given as data; expected inputs and targets as tensors or "
            "arrays."
        )
    lengths = [len(tensor) if tensor.ndim else 0 for tensor in (*given, targets)]
    if len(set(lengths)) > 1:
        raise InputError(f"Inputs of {lengths[:-1]} rows and {lengths[-1]} targets were given; expected as many.")
    if lengths[0] == 0:
        raise InputError("0 rows were given; expected at least one.")
    _check_finite(inputs, "")
    return inputs, targets


def shuffled_rows(num_rows: int, seed: int, epoch: int) -> Tensor:
    """The order of the rows of an array in one epoch."""
    return torch.randperm(num_rows, generator=torch.Generator().manual_seed(derived_seed(seed, "order", epoch)))


def _digest(tree: Tree) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in named_tensors(tree):
        digest.update(f"{name} {describe(tensor)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _check_finite(inputs: Tree, where: str) -> None:
    wrong = sum(int((~tensor.isfinite()).sum()) for tensor in tensors(inputs) if tensor.is_floating_point())
    if wrong:
        raise InputError(f"{wrong} input values{where} are NaN or infinite: leave those rows out, or fill them in.")


def _on_device(model: nn.Module, batches: Iterator[Batch]) -> Iterator[Batch]:
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), None)
    for batch in batches:
        yield map_tensors(lambda tensor: tensor.to(device), batch) if device is not None else batch


def _generator(part: Any) -> torch.Generator | None:
    generator = getattr(part, "generator", None)
    return generator if isinstance(generator, torch.Generator) else None

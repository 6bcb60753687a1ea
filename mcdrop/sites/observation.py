"""What one observed pass showed: its sites, its other draws, and what became of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mcdrop.sites.intercept import Place
from mcdrop.sites.rows import Profile
from mcdrop.sites.sizes import Sizes
from mcdrop.sites.switch import Reader
from mcdrop.sites.uses import FACTOR, NOISE, REPLACEMENT
from mcdrop.tree import describe, tensors
from mcdrop.types import Tree


@dataclass(frozen=True)
class Seen:
    """One dropout operation that a pass executed, or one draw of random numbers that can be controlled.

    Args:
        name: Of the site.
        place: Where it was called.
        operation: PyTorch's name of it.
        law: Its law, in words.
        p: Probability of zeroing; None for a draw.
        training: The flag it was called with; True for a draw.
        mask_shape: Shape of the mask, or of what is drawn.
        profile: What is remembered of its input.
        uses: What became of the numbers drawn (see `uses`); None for a dropout operation.
        stepwise: Whether each step of packed sequences has a mask of its own (see `Call`).
        apart: Whether a map of the model's own around it draws anew for each of its samples.
    """

    name: str
    place: Place
    operation: str
    law: str
    p: float | None
    training: bool
    mask_shape: tuple[int, ...]
    profile: Profile
    uses: frozenset[str] | None = None
    stepwise: bool = False
    apart: bool = False

    @property
    def is_dropout(self) -> bool:
        """Whether it is on, and dropout: by its name, or because the numbers became a factor and nothing else."""
        return self.training and (self.uses is None or self.uses == {FACTOR})

    @property
    def is_unused(self) -> bool:
        """Whether the numbers were drawn and nothing was seen to become of them."""
        return self.uses is not None and not self.uses

    @property
    def is_noise(self) -> bool:
        """Whether the numbers became noise or corruption and nothing else: what stays off."""
        return self.uses is not None and len(self.uses) > 0 and self.uses <= {NOISE, REPLACEMENT}

    def has_grown(self, before: "Seen | None") -> bool:
        """Whether an operation is new, or nearer to dropping something than before: its flag has come on, its p above
        0, or what it draws is used now.

        A probability written `p if self.training else 0.0` beside a flag read elsewhere needs both readers, one at a
        time.
        """
        if before is None:
            return self.training or bool(self.p)
        if before.is_unused and not self.is_unused:
            return True
        return (self.training and not before.training) or (bool(self.p) and not before.p)

    def __str__(self) -> str:
        where = f" at {self.place.source}" if self.place.source else ""
        uses = "" if self.uses is None else f" ({self.law}: {', '.join(sorted(self.uses)) or 'its use is not seen'})"
        return f"{self.name}{where}{uses}"


@dataclass(frozen=True)
class Draw:
    """One operation that drew random numbers and is none of those that can be controlled.

    Args:
        operation: Its name; "random" or "numpy.random" for the host program's own generators.
        place: Where it was called; the model as a whole for the host program's.
        host: Whether it is one of the host program's.
    """

    operation: str
    place: Place
    host: bool = False

    def __str__(self) -> str:
        what = f"Python's {self.operation}" if self.host else self.operation
        where = f" at {self.place.source}" if self.place.source else ""
        return f"{what} in {self.place.owner.__name__} ({self.place.path or 'the model'}){where}"


@dataclass(frozen=True)
class Observation:
    """What one pass showed.

    Args:
        seen: Its dropout operations and draws in order.
        draws: Its other random operations.
        readers: Places that read `training` without a known answer.
        buffers_changed: The buffers that it wrote to (see `Shadow`).
        output: What the model returned; None when it raised.
        error: What it raised.
        made: Sizes of the results of its operations.
        masked: Of those from the first mask on.
        batch_statistics: How many of its operations normalised by the statistics of the batch.
        sized_by_values: Whether one of them made a size of values (see `ragged`).
        ran: Paths of the modules whose operations ran, in a trial.
        host_tensors: Copies of the tensors that were made of the host program's numbers.
        host_uses: What became of those that would have been others than the ones held.
    """

    seen: tuple[Seen, ...]
    draws: tuple[Draw, ...]
    readers: tuple[Reader, ...]
    buffers_changed: frozenset[int]
    output: Tree
    error: Exception | None
    made: Sizes
    masked: Sizes
    batch_statistics: int
    sized_by_values: bool
    ran: frozenset[str]
    host_tensors: tuple[Tensor, ...]
    host_uses: frozenset[str]

    @property
    def structure(self) -> str:
        """The output's structure, shapes and types."""
        return describe(self.output)

    def same_output(self, other: "Observation") -> bool:
        """Whether both passes gave an output, bit for bit the same."""
        ours, theirs = tensors(self.output), tensors(other.output)
        if self.error or other.error or len(ours) != len(theirs):
            return False
        return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))

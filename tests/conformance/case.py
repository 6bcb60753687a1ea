"""One line of the table of conformance: a model, an input, and what one pass of it must be."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

import mcdrop
from mcdrop.tree import map_tensors, tensors
from tests.networks import trained_looking

Pass = Callable[..., Any]


def normal(*shape: int, seed: int = 1) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def training_mode(model: nn.Module) -> Pass:
    """Training mode, with the norms in evaluation mode: the reference of a model whose mode governs nothing else."""
    model.train()
    for module in model.modules():
        if isinstance(module, _NormBase):
            module.eval()
    return model


class Net(nn.Module):
    """A model that holds `parts` and whose forward is `function(self, *inputs)`."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


@dataclass(frozen=True)
class Case:
    """A model and what is expected of it.

    Args:
        name: What is particular about it.
        make: Makes the model; its weights are replaced by `trained_looking`.
        args: Its positional inputs.
        kwargs: Its keyword inputs.
        reference: Takes a model like it, that nobody else uses, and returns a function that runs one pass in the law of
            training mode's dropout, with everything else as in evaluation mode.
        batch_dim: Axis of the inputs that holds the rows; None where the whole input is one row.
        output_dim: The axis of each output that holds them, where it is another.
        output: Which part of the model's output is read.
        own_masks: Whether in training mode every row has masks of its own (dropped weights and coins of the host are
            one for all).
        execution: What the words about the execution begin with.
        refused: Instead of a law: what the error says about what cannot be controlled.
        rows_tied: Where the rows influence each other, so that they cannot share a mask: what the error says.
        off: What the audit says to be off.
        change: What happens to the model between the first call and those that count.
        within: What mcdrop is called in.
        prepare: Done to the model after its weights are set.
        rounding: Relative rounding error allowed where two executions must agree: larger for a library that computes
            parts in float32 whatever the model's type.
    """

    name: str
    make: Callable[[], nn.Module]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    reference: Callable[[nn.Module], Pass] = training_mode
    batch_dim: int | None = 0
    output_dim: int | None = None
    output: Any = None
    own_masks: bool = True
    execution: str = "vectorised"
    refused: str = ""
    rows_tied: str = ""
    off: str = ""
    change: Callable[[nn.Module], Any] | None = None
    within: Callable[[], AbstractContextManager] = nullcontext
    prepare: Callable[[nn.Module], Any] | None = None
    rounding: float = 1e-9

    def __post_init__(self) -> None:
        if self.batch_dim is None:
            object.__setattr__(self, "own_masks", False)

    def model(self) -> nn.Module:
        """The model, every time with the same weights."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = trained_looking(self.make())
        if self.prepare:
            self.prepare(model)
        return model

    def inputs(self, rows: list[int] | None = None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Copies of the inputs, or some of their rows."""

        def pick(tensor: Tensor) -> Tensor:
            return tensor.clone() if rows is None else tensor.index_select(self.batch_dim or 0, torch.tensor(rows))

        return map_tensors(pick, (self.args, dict(self.kwargs)))

    def assert_equal(self, ours: Any, theirs: Any) -> None:
        """Equal but for rounding."""
        torch.testing.assert_close(ours, theirs, rtol=self.rounding, atol=self.rounding / 100)

    @property
    def count(self) -> int:
        """How many rows the inputs hold."""
        return 1 if self.batch_dim is None else tensors((self.args, self.kwargs))[0].shape[self.batch_dim]

    def whole(self, draws: Any) -> Tensor:
        """The whole output of each row in each draw, (T, N, everything), from a tree of tensors (T, *out)."""
        if self.batch_dim is None:
            return torch.cat([tensor.flatten(1) for tensor in tensors(draws)], dim=1)[:, None]
        axis = 1 + (self.batch_dim if self.output_dim is None else self.output_dim)
        return torch.cat([tensor.movedim(axis, 1).flatten(2) for tensor in tensors(draws)], dim=2)

    def mc(self, model: nn.Module, **options: Any) -> mcdrop.MCDropout:
        """What is tested, around this model."""
        options = {"num_samples": 8, "seed": 3, "batch_dim": self.batch_dim, "output": self.output, **options}
        return mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), **options)

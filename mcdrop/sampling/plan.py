"""How T passes are run."""

from dataclasses import dataclass
from typing import Literal

from mcdrop.errors import InputError
from mcdrop.sites import Sizes

NEAR = 7 << 20
"""Bytes of one operation's results that processors keep near them. Measured on two cores: with more, operations wait
for memory; with less, starting them takes longer than they do."""


@dataclass(frozen=True)
class Plan:
    """How T passes are run; whatever is chosen, the same masks give the same outputs (to rounding).

    Args:
        execution: "loop" runs one pass after the other; "vectorised" maps a pass over its masks with `torch.func.vmap`,
            so that what lies before the first site runs once; "chain" does the arithmetic of a chain of PyTorch's own
            layers (`nn.Sequential` of linear, convolution, activation, pooling, ...) without their modules, and leaves
            out the rows and columns that a mask drops where that pays; "auto" is the fastest that the model allows,
            by arithmetic and never by timing.
        memory: Bytes that the intermediate results of the passes that run at once may take, roughly; it sets how many
            that are. Results do not depend on it.
        on_error: What happens when a model cannot be run as `execution` says: "loop" falls back, and the prediction's
            provenance names the reason; "raise" raises.
        chunk: How many passes run at once, >= 1; None lets `memory` and the processor's caches decide.

    Raises:
        InputError: A word or number outside the above.

    Example:
        >>> Plan(execution="loop").at_once(Sizes(total=5_000_000, largest=1_000_000))
        1
        >>> Plan(memory=64_000_000).at_once(Sizes(total=12_000_000, largest=1_000_000), near=None)
        16
    """

    execution: Literal["auto", "loop", "vectorised", "chain"] = "auto"
    memory: int = 1 << 28
    on_error: Literal["loop", "raise"] = "loop"
    chunk: int | None = None

    def __post_init__(self) -> None:
        if self.execution not in ("auto", "loop", "vectorised", "chain"):
            raise InputError(
                f"execution={self.execution!r} was given; expected 'auto', 'loop', 'vectorised' or 'chain'."
            )
        if self.on_error not in ("loop", "raise"):
            raise InputError(f"on_error={self.on_error!r} was given; expected 'loop' or 'raise'.")
        if isinstance(self.memory, bool) or not isinstance(self.memory, int) or self.memory < 1:
            raise InputError(f"memory={self.memory!r} was given; expected a positive number of bytes.")
        if self.chunk is not None and (
            isinstance(self.chunk, bool) or not isinstance(self.chunk, int) or self.chunk < 1
        ):
            raise InputError(f"chunk={self.chunk!r} was given; expected an integer >= 1, or None.")

    def at_once(self, sizes: Sizes, *, near: int | None = NEAR) -> int:
        """How many passes of a model run at once.

        Args:
            sizes: Of the results of one pass's operations. A quarter of all is taken to be held at the same time.
            near: Bytes of one operation's results that the processor keeps near it; None where that does not matter.
        """
        if self.execution == "loop":
            return 1
        if self.chunk is not None:
            return self.chunk
        held = self.memory // max(1, sizes.largest + sizes.total // 4)
        return max(1, held if near is None else min(held, near // max(1, sizes.largest)))

"""How T passes are run."""

from dataclasses import dataclass
from typing import Literal

from mcdrop.errors import InputError


@dataclass(frozen=True)
class Plan:
    """How T passes are run; whatever is chosen, the same masks give the same outputs (to rounding).

    Args:
        execution: "loop" runs one pass after the other; "vectorised" maps a pass over its masks with `torch.func.vmap`,
            so that what lies before the first site runs once; "auto" is vectorised where the model allows it.
        memory: Bytes that the intermediate results of the passes that run at once may take, roughly; it sets how many
            that are. Results do not depend on it.
        on_error: What happens when a model cannot be vectorised: "loop" falls back, and the prediction's provenance
            names the reason; "raise" raises.

    Raises:
        InputError: A word or number outside the above.

    Example:
        >>> Plan(execution="loop").chunk(bytes_per_pass=1_000_000)
        1
        >>> Plan(memory=64_000_000).chunk(bytes_per_pass=1_000_000)
        64
    """

    execution: Literal["auto", "loop", "vectorised"] = "auto"
    memory: int = 1 << 26
    on_error: Literal["loop", "raise"] = "loop"

    def __post_init__(self) -> None:
        if self.execution not in ("auto", "loop", "vectorised"):
            raise InputError(f"execution={self.execution!r} was given; expected 'auto', 'loop' or 'vectorised'.")
        if self.on_error not in ("loop", "raise"):
            raise InputError(f"on_error={self.on_error!r} was given; expected 'loop' or 'raise'.")
        if isinstance(self.memory, bool) or not isinstance(self.memory, int) or self.memory < 1:
            raise InputError(f"memory={self.memory!r} was given; expected a positive number of bytes.")

    def chunk(self, bytes_per_pass: int) -> int:
        """How many passes run at once."""
        return 1 if self.execution == "loop" else max(1, self.memory // max(1, bytes_per_pass))

"""What T passes will do, before they are run: how, how many at once, how much arithmetic, and why."""

from dataclasses import dataclass

from mcdrop.sampling.plan import Plan


@dataclass(frozen=True)
class Forecast:
    """How the passes of one kind of input run, as `MCDropout.plan` tells.

    Args:
        plan: Passed as `plan=`, it makes the passes run so.
        execution: The way, and what there is to say about it; as in the provenance of predictions.
        num_samples: T, the number of passes (with `Until`, the most).
        chunk: How many run at once.
        multiply_adds: Multiplications and additions of products, convolutions and attention in all passes, as counted
            in the second (other masks leave out more or less). 0 where PyTorch's counter knows none of the operations.
        in_a_loop: The same for T plain passes.

    Example:
        >>> forecast = Forecast(Plan(), "vectorised", 100, 50, multiply_adds=2_000_000, in_a_loop=10_000_000)
        >>> forecast.saved
        5.0
    """

    plan: Plan
    execution: str
    num_samples: int
    chunk: int
    multiply_adds: int
    in_a_loop: int

    @property
    def saved(self) -> float:
        """How many times the arithmetic a loop of plain passes does."""
        return self.in_a_loop / self.multiply_adds if self.multiply_adds else 1.0

    @property
    def why(self) -> str:
        """Why the passes run so, in words."""
        kind = self.execution.split(":")[0]
        if kind == "loop":
            return "nothing else is possible or asked for; the masks alone are drawn once for all rows"
        if kind == "chain":
            if "thinned" in self.execution:
                return "large products: leaving out what masks drop saves more than picking out the rest costs"
            if "weights" in self.execution:
                return "the masks change few weights instead of many activations, and one draw stays in the cache"
            return "small products: one tall product for many draws saves more than leaving out could"
        return "all draws go through each operation together, and what lies before the first site runs once"

    def __str__(self) -> str:
        lines = [
            f"{self.num_samples} passes, {self.chunk} at once",
            f"  {self.execution}",
            f"  why: {self.why}",
        ]
        if self.multiply_adds:
            lines.append(
                f"  cost: {self.multiply_adds:.3g} multiplications with additions, "
                f"{self.in_a_loop:.3g} in a loop of plain passes ({self.saved:.3g} times as many)"
            )
        return "\n".join(lines)

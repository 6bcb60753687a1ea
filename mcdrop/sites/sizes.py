"""How much memory the results of a pass's operations take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Of the results of some operations, in bytes.

    Args:
        total: Of all of them.
        largest: Of the largest.

    Example:
        >>> Sizes().and_one_of(400).and_one_of(100)
        Sizes(total=500, largest=400)
    """

    total: int = 0
    largest: int = 0

    def and_one_of(self, size: int) -> "Sizes":
        """With one more result."""
        return Sizes(self.total + size, max(self.largest, size))

    def for_rows(self, rows: int, seen_with: int) -> "Sizes":
        """For another number of rows, to which they are taken to be in proportion; rounded up."""
        return Sizes(*(-(-size * rows // seen_with) for size in (self.total, self.largest)))

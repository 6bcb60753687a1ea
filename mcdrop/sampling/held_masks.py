"""Masks that were drawn before."""

from collections.abc import Callable, Hashable

from torch import Tensor

LIMIT = 16 * 2**20
"""Bytes of masks that are held; a mask has a byte for each unit."""


class HeldMasks:
    """Masks by what they are a function of. What does not fit beside those held before is drawn anew every time.

    Args:
        limit: Bytes that may be held.

    Example:
        >>> import torch
        >>> held = HeldMasks()
        >>> first = held.get("fc", lambda: torch.ones(2, 3, dtype=torch.bool))
        >>> held.get("fc", lambda: torch.zeros(2, 3, dtype=torch.bool)) is first
        True
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._left = limit
        self._masks: dict[Hashable, Tensor] = {}

    def get(self, key: Hashable, draw: Callable[[], Tensor]) -> Tensor:
        """The masks of that key, which nobody may write to."""
        masks = self._masks.get(key)
        if masks is None:
            masks = draw()
            if masks.nbytes <= self._left:
                self._left -= masks.nbytes
                self._masks[key] = masks
        return masks

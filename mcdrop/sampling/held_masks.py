"""Masks that were drawn before."""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

import torch
from torch import Tensor

LIMIT = 16 << 20
"""Bytes of masks that are held."""
_SLAB = 1 << 20
"""Bytes that are asked for at a time. Masks held one by one would lie between what every chunk of passes makes and
frees, and keep that memory in pieces: measured, six times their own size."""
_LINE = 64
"""Bytes to whose multiples masks are aligned."""
OBJECT = 1280
"""Bytes that a held mask takes beside its values: the tensor and its key. Measured."""


class HeldMasks:
    """Masks by what they are a function of. What does not fit beside those held before is drawn anew every time.

    Threads may share one; a copy, or what is pickled, begins empty.

    Args:
        limit: Bytes that may be held.

    Example:
        >>> held = HeldMasks()
        >>> first = held.get("fc", lambda: torch.ones(2, 3, dtype=torch.bool))
        >>> held.get("fc", lambda: torch.zeros(2, 3, dtype=torch.bool)) is first
        True
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = self._left = limit
        self._masks: dict[Hashable, Tensor] = {}
        self._slab = torch.empty(0, dtype=torch.uint8, device="cpu")
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return HeldMasks, (self._limit,)

    def get(self, key: Hashable, draw: Callable[[], Tensor]) -> Tensor:
        """The masks of that key, which nobody may write to."""
        masks = self._masks.get(key)
        if masks is not None:
            return masks
        # Held masks outlive the transforms (torch.func.grad) and modes inside which they are asked for.
        with torch._C._DisableFuncTorch(), torch.inference_mode(False):
            return self._held(key, draw())

    def _held(self, key: Hashable, masks: Tensor) -> Tensor:
        size = -(-masks.nbytes // _LINE) * _LINE
        with self._lock:
            if size + OBJECT > self._left:
                return masks
            self._left -= size + OBJECT
            if size > len(self._slab):
                self._slab = torch.empty(max(size, _SLAB), dtype=torch.uint8, device=masks.device)
            place, self._slab = self._slab[: masks.nbytes], self._slab[size:]
        held = place.view(masks.dtype).view(masks.shape).copy_(masks)
        self._masks[key] = held  # not before it holds them: others may look
        return held

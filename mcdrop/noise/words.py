"""Reproducible uniform integers that can be read from any place in their stream.

A mask needs a comparison with one uniform number per unit, and drawing those numbers costs more than the matrix
products around them. So they are integers of 16, 32 or 64 bits cut from the raw output of PCG64DXSM (O'Neill 2014;
NumPy's recommended generator), whose `advance` reaches draw t without producing draws 0 .. t-1: any worker can start
anywhere.
"""

import hashlib
from functools import lru_cache

import numpy as np

WIDTHS = (16, 32, 64)
"""Bits of one uniform integer."""


@lru_cache(maxsize=4096)
def _spawn_key(name: str) -> tuple[int, ...]:
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))


def uniform_words(seed: int, stream: str, start: int, stop: int, size: int, width: int) -> np.ndarray:
    """Uniform integers in [0, 2^width) for the draws `start` .. `stop - 1` of a named stream.

    Row t depends on (seed, stream, t, size, width) alone, never on `start` and `stop`.

    Args:
        seed: Any integer >= 0.
        stream: Name of the stream; streams of different names are independent.
        start: First draw, >= 0.
        stop: One past the last draw.
        size: Integers in each draw.
        width: Bits of one integer: 16, 32 or 64.

    Returns:
        Array (stop - start, size), dtype uint16, uint32 or uint64.

    Example:
        >>> whole = uniform_words(0, "dropout", 0, 10, size=5, width=16)
        >>> bool((uniform_words(0, "dropout", 7, 10, size=5, width=16) == whole[7:]).all())
        True

    Source:
        O'Neill 2014, "PCG: a family of simple fast space-efficient statistically good algorithms for random number
        generation", https://www.pcg-random.org; the DXSM output function is NumPy's `PCG64DXSM`.
    """
    per_raw = 64 // width
    raw_per_draw = -(-size // per_raw)
    generator = np.random.PCG64DXSM(np.random.SeedSequence(seed, spawn_key=_spawn_key(stream)))
    generator.advance(start * raw_per_draw)
    raw = generator.random_raw((stop - start) * raw_per_draw)
    # Little-endian order on every machine, so that a seed means the same masks everywhere.
    words = raw.astype("<u8", copy=False).view(f"<u{width // 8}")
    return words.reshape(stop - start, raw_per_draw * per_raw)[:, :size]

"""Designs: how the uniform numbers behind the T masks hang together.

Every design keeps the exact law of each single mask; what differs is the dependence between draws. Draws within a
block depend on each other, blocks do not: the error of an average is read from the spread between blocks.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

import numpy as np

from mcdrop.errors import InputError
from mcdrop.noise import uniform_words


class Design(ABC):
    """How the draws of one unit depend on each other."""

    @property
    @abstractmethod
    def block_size(self) -> int:
        """Draws in one block; blocks are independent and alike."""

    @abstractmethod
    def words(self, seed: int, stream: str, start: int, stop: int, size: int, width: int) -> np.ndarray:
        """Uniform integers (stop - start, size) for draws `start` .. `stop - 1`; see `mcdrop.noise.uniform_words`."""


@dataclass(frozen=True)
class Independent(Design):
    """Independent draws: plain Monte Carlo, blocks of one.

    Example:
        >>> Independent().words(0, "site", 0, 4, size=3, width=16).shape
        (4, 3)
    """

    @property
    def block_size(self) -> int:
        return 1

    def words(self, seed: int, stream: str, start: int, stop: int, size: int, width: int) -> np.ndarray:
        return uniform_words(seed, stream, start, stop, size, width)


@dataclass(frozen=True)
class Antithetic(Design):
    """Pairs of draws from u and 1 - u (Hammersley & Morton 1956): at p = 0.5 the second keeps what the first dropped.

    Example:
        >>> words = Antithetic().words(0, "site", 0, 2, size=3, width=16)
        >>> (words[0] + words[1]).tolist()
        [65535, 65535, 65535]
    """

    @property
    def block_size(self) -> int:
        return 2

    def words(self, seed: int, stream: str, start: int, stop: int, size: int, width: int) -> np.ndarray:
        first = start // 2
        pairs = uniform_words(seed, stream, first, -(-stop // 2), size, width)
        both = np.stack([pairs, ~pairs], axis=1).reshape(-1, size)
        return both[start - 2 * first : stop - 2 * first]


@dataclass(frozen=True)
class Stratified(Design):
    """Blocks of B draws in which each unit's uniform number visits each of B equal strata once.

    u_t = (perm(t) + jitter_t) / B with a random permutation for each unit and block (Latin hypercube sampling, McKay,
    Beckman & Conover 1979). A unit is dropped floor(B p) or ceil(B p) times in a block, so the gain is greatest when
    B p is an integer at every site; B = 20 serves all multiples of .05.

    The permutations are not shuffled but computed (`strata`). The variance of an average is a sum over pairs of draws,
    and a pair of draws has exactly the law that a uniform shuffle gives it, so nothing is lost.

    Args:
        block: B, the draws in a block, 2 to 4096.

    Raises:
        InputError: block is no such integer.

    Example:
        >>> words = Stratified(block=4).words(0, "site", 0, 4, size=2, width=16)
        >>> sorted((words[:, 0] // 16384).tolist())
        [0, 1, 2, 3]
    """

    block: int = 20

    def __post_init__(self) -> None:
        if isinstance(self.block, bool) or not isinstance(self.block, int) or not 2 <= self.block <= 4096:
            raise InputError(f"Stratified(block={self.block!r}) was given; expected an integer from 2 to 4096.")

    @property
    def block_size(self) -> int:
        return self.block

    def words(self, seed: int, stream: str, start: int, stop: int, size: int, width: int) -> np.ndarray:
        block, first, last = self.block, start // self.block, -(-stop // self.block)
        needed = 2 + block - _largest_prime(block)
        random = uniform_words(seed, f"{stream}/order", first, last, needed * size, 64).reshape(-1, needed, size)
        stratum = strata(random, block).reshape(-1, size)[start - first * block : stop - first * block]
        return _within(stratum, uniform_words(seed, stream, start, stop, size, width), block, width)


def _within(stratum: np.ndarray, jitter: np.ndarray, block: int, width: int) -> np.ndarray:
    """floor((stratum 2^width + jitter) / B): each word comes from B of the B 2^width equally likely numerators, so that
    the words are exactly uniform, whatever B."""
    if width < 64:
        wide = np.dtype(f"u{width // 4}").type
        return (((stratum.astype(wide) << wide(width)) | jitter) // wide(block)).astype(jitter.dtype)
    # No type holds the numerator: the division in parts.
    whole, rest = (np.uint64(part) for part in divmod(1 << 64, block))
    number, stratum = np.uint64(block), stratum.astype(np.uint64)
    return stratum * whole + jitter // number + (stratum * rest + jitter % number) // number


def strata(random: np.ndarray, block: int) -> np.ndarray:
    """For each unit and block a random permutation: the stratum of each draw.

    With q the largest prime <= B, pi(t) = a t + b mod q (a != 0, b uniform) permutes q draws so that any two of them go
    to any two strata with equal chance. The B - q further strata are inserted one after the other as in the inside-out
    shuffle: draw n takes a uniform place m of 0 .. n, and who had m goes to n. That keeps the law of pairs.

    Args:
        random: Uniform 64-bit integers (K, 2 + B - q, size), for K blocks.
        block: B.

    Returns:
        Strata 0 .. B - 1, (K, B, size), uint16.

    Example:
        >>> random = uniform_words(0, "order", 0, 1, 3, 64).reshape(1, 3, 1)
        >>> sorted(strata(random, block=20).ravel().tolist()) == list(range(20))
        True

    Source:
        Pairwise independence of a t + b: Carter & Wegman 1979, "Universal classes of hash functions", J. Comput. Syst.
        Sci. 18:143-154. Inside-out shuffle: Durstenfeld 1964, Algorithm 235, Commun. ACM 7:420.
    """
    prime = _largest_prime(block)
    slope = (random[:, 0] % np.uint64(prime - 1) + np.uint64(1)).astype(np.uint16)
    value = (random[:, 1] % np.uint64(prime)).astype(np.uint16)
    result = np.empty((len(random), block, random.shape[2]), dtype=np.uint16)
    for draw in range(prime):
        result[:, draw] = value
        value = value + slope
        # value mod q without a division, which costs ten times as much: where value < q the difference wraps around.
        np.minimum(value, value - np.uint16(prime), out=value)
    for n in range(prime, block):
        place = (random[:, 2 + n - prime] % np.uint64(n + 1)).astype(np.uint16)
        result[:, n] = place
        earlier = result[:, :n]
        earlier[earlier == place[:, None]] = n
    return result


@lru_cache
def _largest_prime(limit: int) -> int:
    return next(q for q in range(limit, 1, -1) if all(q % d for d in range(2, isqrt(q) + 1)))

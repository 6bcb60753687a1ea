"""Slow and obvious versions of what mcdrop computes, in NumPy and plain loops: a second opinion for the tests."""

import math

import numpy as np


def blocks_of(draws: np.ndarray, size: int) -> list[np.ndarray]:
    """Draws (T, ...) cut into blocks; the last one may be short."""
    return [draws[start : start + size] for start in range(0, len(draws), size)]


def mc_error(draws: np.ndarray, size: int) -> np.ndarray:
    """Square: sum_k w_k^2 (m_k - m)^2 / (1 - sum_k w_k^2), w_k = n_k/T; s/sqrt(T), divisor T-1, for a single block."""
    blocks, total, mean = blocks_of(draws, size), len(draws), draws.mean(axis=0)
    if len(blocks) == 1:
        return draws.std(axis=0, ddof=1) / math.sqrt(total)
    squares, weights = 0.0, 0.0
    for block in blocks:
        squares = squares + (len(block) / total) ** 2 * (block.mean(axis=0) - mean) ** 2
        weights = weights + (len(block) / total) ** 2
    return np.sqrt(squares / (1 - weights))


def variance(draws: np.ndarray, size: int) -> np.ndarray:
    """Mean square deviation (divisor T) plus the squared error of the mean."""
    return draws.var(axis=0, ddof=0) + mc_error(draws, size) ** 2


def group_counts(total: int, block_size: int, most: int = 16) -> list[int]:
    """Draws per group: the smallest block_size * 2^j that needs no more than 16 groups."""
    size = block_size
    while -(-total // size) > most:
        size *= 2
    return [len(group) for group in blocks_of(np.arange(total), size)]


def softmax(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    exp = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return exp / exp.sum(axis=axis, keepdims=True)


def entropy(probs: np.ndarray) -> float:
    """-sum p log p of one distribution, term by term."""
    return -sum(float(p) * math.log(p) for p in probs if p > 0)


def normal_log_density(y: float, mean: float, variance: float) -> float:
    return -0.5 * math.log(2 * math.pi * variance) - (y - mean) ** 2 / (2 * variance)


def log_mean_exp(values: list[float]) -> float:
    return math.log(sum(math.exp(value) for value in values) / len(values))


def poisson_mixture_quantile(rates: np.ndarray, q: float) -> int:
    """The smallest k whose cumulative probability reaches q, by adding probabilities from 0."""
    total, k = 0.0, -1
    while total < q:
        k += 1
        total += float(np.mean([math.exp(k * math.log(rate) - rate - math.lgamma(k + 1)) for rate in rates]))
    return k


def jackknife_error(draws: np.ndarray, counts: list[int], estimate) -> float:
    """Busing, Meijer & van der Leeden 1999, for an estimate that takes draws (T, ...): every group left out in turn."""
    total, groups, start = len(draws), len(counts), 0
    value = estimate(draws)
    deleted = []
    for n in counts:
        deleted.append(estimate(np.concatenate([draws[:start], draws[start + n :]])))
        start += n
    mean = groups * value - sum((1 - n / total) * d for n, d in zip(counts, deleted, strict=True))
    squares = 0.0
    for n, d in zip(counts, deleted, strict=True):
        h = total / n
        pseudo = h * value - (h - 1) * d
        squares += (pseudo - mean) ** 2 / (h - 1)
    return math.sqrt(squares / groups)

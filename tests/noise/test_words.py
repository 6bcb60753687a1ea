import numpy as np
import pytest
from scipy import stats

from mcdrop.noise import uniform_words


@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("size", [1, 3, 4, 7])
def test_any_draw_is_reached_without_the_others(width: int, size: int) -> None:
    whole = uniform_words(3, "site", 0, 50, size, width)
    assert whole.shape == (50, size)
    assert whole.dtype.itemsize * 8 == width
    for start, stop in [(0, 1), (7, 9), (49, 50), (10, 10)]:
        assert np.array_equal(uniform_words(3, "site", start, stop, size, width), whole[start:stop])


def test_values_are_pinned() -> None:
    """A seed is a promise: these integers may never change."""
    assert uniform_words(0, "dropout", 0, 2, 3, 16).tolist() == [[5218, 54805, 28032], [41949, 33409, 26352]]
    assert uniform_words(0, "dropout", 1_000_000, 1_000_001, 1, 64).tolist() == [[8634514758373537735]]


def test_uniform_and_independent_between_neighbours() -> None:
    n = 10**6
    words = uniform_words(1, "site", 0, n, 1, 16).ravel()
    counts = np.bincount(words >> 8, minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-4
    pairs = np.bincount((words[:-1] >> 12).astype(int) * 16 + (words[1:] >> 12), minlength=256)
    assert stats.chisquare(pairs).pvalue > 1e-4


@pytest.mark.parametrize("other", [(2, "site"), (1, "another site")])
def test_streams_of_other_seeds_and_names_are_independent(other: tuple[int, str]) -> None:
    first = uniform_words(1, "site", 0, 1000, 100, 16).ravel() >> 12
    second = uniform_words(*other, 0, 1000, 100, 16).ravel() >> 12
    counts = np.bincount(first.astype(int) * 16 + second, minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-4

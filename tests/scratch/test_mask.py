"""The mask: its law, the uniforms given by hand, and what is refused."""

import numpy as np
import pytest
from scipy import stats

from mcdrop.errors import InputError
from mcdrop.scratch import draw_mask, share_dropped

SIZE = 10**6


@pytest.mark.parametrize("keep_prob", [0.2, 0.5, 0.8])
def test_share_dropped_is_the_rate(keep_prob: float) -> None:
    share = share_dropped(draw_mask((SIZE,), keep_prob, np.random.default_rng(0)))
    assert abs(share - (1 - keep_prob)) < 4 * np.sqrt(keep_prob * (1 - keep_prob) / SIZE)


def test_neighbouring_entries_are_independent() -> None:
    mask = draw_mask((SIZE // 4, 4), 0.7, np.random.default_rng(1))
    observed = np.bincount(mask @ np.array([8, 4, 2, 1]), minlength=16)
    patterns = (np.arange(16)[:, None] >> np.array([3, 2, 1, 0])) & 1
    expected = (0.7**patterns * 0.3 ** (1 - patterns)).prod(axis=1) * SIZE / 4
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_uniform_equal_to_the_probability_is_dropped() -> None:
    uniforms = np.array([0.0, np.nextafter(0.8, 0), 0.8])
    np.testing.assert_array_equal(draw_mask((3,), 0.8, uniforms), [True, True, False])


@pytest.mark.parametrize(("keep_prob", "kept"), [(0.0, False), (1.0, True)])
def test_the_ends_are_certain(keep_prob: float, kept: bool) -> None:
    uniforms = np.array([0.0, 0.5, np.nextafter(1.0, 0)])
    assert (draw_mask((3,), keep_prob, uniforms) == kept).all()


def test_same_seed_same_mask() -> None:
    first, second = (draw_mask((50,), 0.5, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan"), float("inf"), 20.0])
def test_no_probability(probability: float) -> None:
    with pytest.raises(InputError, match=r"`keep_prob` is .*; a probability lies in \[0, 1\]"):
        draw_mask((2,), probability, np.random.default_rng(0))


def test_uniforms_of_another_shape() -> None:
    with pytest.raises(InputError, match=r"shape \(1, 3\) and the mask \(2, 3\)"):
        draw_mask((2, 3), 0.5, np.zeros((1, 3)))


@pytest.mark.parametrize("wrong", [1.0, -0.1, float("nan")])
def test_no_uniforms(wrong: float) -> None:
    with pytest.raises(InputError, match=r"must lie in \[0, 1\)"):
        draw_mask((2,), 0.5, np.array([0.5, wrong]))


def test_share_of_an_empty_mask() -> None:
    with pytest.raises(InputError, match="no entry"):
        share_dropped(np.zeros((0, 3), dtype=bool))

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from mcdrop.errors import UnavailableError
from mcdrop.prediction import Moments, Recomputed
from mcdrop.prediction.recomputed import jackknife_squared_error
from tests import reference

DRAWS = np.random.default_rng(0).normal(2, 1, size=(20, 5))


def squared(draws, block_size=1):
    """The square of the mean, and without each group by leaving draws out."""
    moments = Moments.init(block_size).update(torch.from_numpy(draws))
    starts = np.cumsum([0, *moments.groups.counts])
    if len(starts) == 2:
        return Recomputed.of(moments.mean.square(), (), moments)
    without = [
        torch.from_numpy(np.delete(draws, slice(start, end), axis=0).mean(axis=0) ** 2)
        for start, end in pairwise(starts)
    ]
    return Recomputed.of(moments.mean.square(), tuple(without), moments)


@pytest.mark.parametrize(("draws", "block_size"), [(20, 1), (20, 3), (7, 2)])
def test_the_monte_carlo_error_is_the_literal_jackknife_element_by_element(draws, block_size):
    recomputed = squared(DRAWS[:draws], block_size)
    counts = reference.group_counts(draws, block_size)
    expected = [
        reference.jackknife_error(DRAWS[:draws, row], counts, lambda some: some.mean() ** 2) for row in range(5)
    ]
    np.testing.assert_allclose(recomputed.mc_error, expected)
    assert recomputed.mc_degrees_of_freedom == len(counts) - 1
    assert not recomputed.mc_error_is_upper_bound
    assert recomputed.count == draws


def test_of_a_mean_the_jackknife_is_the_sample_error():
    moments = Moments.init().update(torch.from_numpy(DRAWS[:16]))
    error = jackknife_squared_error(moments.mean, (16 * moments.mean - moments.group_means) / 15, (1,) * 16)
    np.testing.assert_allclose(error.sqrt(), DRAWS[:16].std(axis=0, ddof=1) / math.sqrt(16))


def test_what_single_draws_would_say_is_refused_in_words():
    recomputed = squared(DRAWS)
    for ask in (
        lambda: recomputed.variance,
        lambda: recomputed.mean_square_deviation,
        lambda: recomputed.group_means,
        lambda: recomputed.update(torch.from_numpy(DRAWS)),
        lambda: recomputed.merge(recomputed),
    ):
        with pytest.raises(UnavailableError, match="was recalibrated after its draws were averaged"):
            ask()


def test_one_group_has_no_monte_carlo_error():
    recomputed = squared(DRAWS[:3], block_size=3)
    for name in ("mc_error", "mc_degrees_of_freedom", "mc_error_is_upper_bound"):
        with pytest.raises(UnavailableError, match=r"All 3 draws are one group, .* at least two blocks of draws"):
            getattr(recomputed, name)

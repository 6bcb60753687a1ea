import numpy as np
import pytest
from scipy import stats

from mcdrop.errors import InputError
from mcdrop.noise import check_probability, keep, threshold, uniform_words, used_probability


@pytest.mark.parametrize("p", [1e-9, 1e-6, 1e-3, 0.01, 0.05, 0.1, 1 / 3, 0.5, 0.9, 0.999, 1 - 1e-9])
def test_rounding_moves_the_variance_by_at_most_a_thousandth(p: float) -> None:
    used = used_probability(p)
    assert 0 < used < 1
    assert abs(used * (1 - used) - p * (1 - p)) <= 1e-3 * p * (1 - p)


def test_sixteen_bits_where_they_suffice() -> None:
    assert threshold(0.5) == (2**15, 16)
    assert threshold(0.05) == (3277, 16)
    assert threshold(1e-4)[1] == 32
    assert threshold(1e-9)[1] == 64


@pytest.mark.parametrize(("p", "expected"), [(0.0, True), (1.0, False)])
def test_certain_probabilities_are_certain(p: float, expected: bool) -> None:
    words = np.array([0, 1, 65534, 65535], dtype=np.uint16)
    assert (keep(words, p) == expected).all()
    assert used_probability(p) == p


@pytest.mark.parametrize("p", [0.02, 0.5, 0.9])
def test_marginals_and_pairs(p: float) -> None:
    n = 10**6
    kept = keep(uniform_words(0, "site", 0, n, 2, threshold(p)[1]), p)
    dropped = (~kept).mean(axis=0)
    assert (np.abs(dropped - used_probability(p)) < 4 * np.sqrt(p * (1 - p) / n)).all()
    table = np.histogram2d(kept[:, 0], kept[:, 1], bins=2)[0]
    assert stats.chi2_contingency(table, correction=False).pvalue > 1e-4


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan"), "0.5", True, None])
def test_refuses_what_is_no_probability(p: object, without_type_checks) -> None:
    with pytest.raises(InputError, match=r"was given; expected a probability of zeroing in \[0, 1\]"):
        check_probability(p)  # type: ignore[arg-type]

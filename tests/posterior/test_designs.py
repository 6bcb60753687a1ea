import numpy as np
import pytest
from scipy import stats

from mcdrop.errors import InputError
from mcdrop.noise import keep, threshold, uniform_words, used_probability
from mcdrop.posterior import Antithetic, Design, Independent, Stratified
from mcdrop.posterior.designs import strata

DESIGNS = [Independent(), Antithetic(), Stratified(20), Stratified(7), Stratified(10)]


@pytest.mark.parametrize("design", DESIGNS, ids=repr)
@pytest.mark.parametrize("width", [16, 32, 64])
def test_any_range_of_draws_is_a_part_of_the_whole(design: Design, width: int) -> None:
    whole = design.words(1, "site", 0, 60, 5, width)
    for start, stop in [(0, 60), (3, 4), (13, 41), (59, 60)]:
        assert np.array_equal(design.words(1, "site", start, stop, 5, width), whole[start:stop])


@pytest.mark.parametrize("design", DESIGNS, ids=repr)
@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
def test_each_draw_has_the_exact_law(design: Design, p: float) -> None:
    """Draw 3 of many units: whatever hangs together in a block, one draw is Bernoulli, alone and in pairs."""
    n = 40_000
    draw = design.words(0, "site", 3, 4, n, threshold(p)[1])[0]
    kept = keep(draw, p)
    q = used_probability(p)
    assert abs((~kept).mean() - q) < 4 * np.sqrt(q * (1 - q) / n)
    table = np.histogram2d(kept[::2], kept[1::2], bins=2)[0]
    assert stats.chi2_contingency(table, correction=False).pvalue > 1e-4


@pytest.mark.parametrize("design", DESIGNS, ids=repr)
@pytest.mark.parametrize("p", [0.02, 0.5, 0.9])
def test_marginals_of_a_million_masks(design: Design, p: float) -> None:
    """Over T = 10^6 / 4 draws of 4 units; independent draws are the worst case of the error of the mean."""
    draws = 250_000
    kept = keep(design.words(3, "site", 0, draws, 4, threshold(p)[1]), p)
    q = used_probability(p)
    assert (abs((~kept).mean(axis=0) - q) < 4 * np.sqrt(q * (1 - q) / draws)).all()
    # Units are independent of each other whatever hangs together in a block: any one draw of each block
    first = kept[:: design.block_size]
    table = np.histogram2d(first[:, 0], first[:, 1], bins=2)[0]
    assert stats.chi2_contingency(table, correction=False).pvalue > 1e-4


@pytest.mark.parametrize("block", [2, 3, 4, 5, 8, 10, 20, 24, 100])
def test_strata_are_permutations(block: int) -> None:
    inserted = block - max(q for q in range(2, block + 1) if all(q % d for d in range(2, q)))
    random = uniform_words(0, "order", 0, 50, (2 + inserted) * 7, 64).reshape(50, 2 + inserted, 7)
    assert (np.sort(strata(random, block), axis=1) == np.arange(block)[None, :, None]).all()


@pytest.mark.parametrize("block", [2, 4, 5, 8, 10])
def test_any_two_draws_of_a_block_have_the_law_of_a_shuffle(block: int) -> None:
    """Which is all that the variance of an average depends on: every ordered pair of strata has the same chance."""
    inserted = block - max(q for q in range(2, block + 1) if all(q % d for d in range(2, q)))
    n = 20_000 * (block - 1)
    random = uniform_words(1, "order", 0, 1, (2 + inserted) * n, 64).reshape(1, 2 + inserted, n)
    order = strata(random, block)[0].astype(int)
    for first, second in {(0, 1), (block - 2, block - 1), (block - 1, 0)}:
        counts = np.bincount(order[first] * block + order[second], minlength=block**2)
        distinct = ~np.eye(block, dtype=bool).ravel()
        assert (counts[~distinct] == 0).all()
        assert stats.chisquare(counts[distinct]).pvalue > 1e-4


@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("block", [3, 20, 4096])
def test_words_stay_in_their_stratum(block: int, width: int) -> None:
    words = Stratified(block).words(0, "site", 0, block, 3, width)
    edges = np.array([(k << width) // block for k in range(block)], dtype=object)
    for unit in range(3):
        assert (np.sort(words[:, unit]).astype(object) >= edges).all()
        assert (np.sort(words[:, unit])[:-1].astype(object) <= edges[1:]).all()


@pytest.mark.parametrize("block", [3, 7, 20])
def test_words_are_exactly_uniform(block: int) -> None:
    """Every numerator once: each of the 2^16 words comes out B times."""
    from mcdrop.posterior.designs import _within

    jitter = np.arange(2**16, dtype=np.uint16)[None].repeat(block, axis=0)
    stratum = np.arange(block, dtype=np.uint16)[:, None].repeat(2**16, axis=1)
    assert (np.bincount(_within(stratum, jitter, block, 16).ravel(), minlength=2**16) == block).all()


def test_values_are_pinned() -> None:
    """A seed is a promise: these integers may never change."""
    assert Stratified(5).words(0, "dropout", 0, 3, 2, 16).tolist() == [[14150, 63389], [8389, 19789], [61809, 42755]]


@pytest.mark.parametrize("design", DESIGNS, ids=repr)
def test_blocks_are_independent(design: Design) -> None:
    size = design.block_size
    words = design.words(0, "site", 0, 2 * size, 20_000, 16) >> 14
    counts = np.bincount((words[0] * 4 + words[size]).astype(int), minlength=16)
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("p", [0.05, 0.5, 0.33])
def test_stratified_drops_the_expected_number_in_every_block(p: float) -> None:
    block = 20
    kept = keep(Stratified(block).words(0, "site", 0, 5 * block, 300, threshold(p)[1]), p)
    dropped = (~kept).reshape(5, block, 300).sum(axis=1)
    expected = block * p
    if expected == round(expected):
        # 16 bits move the edge of a stratum by at most 2^-17: one unit in 3000 blocks may fall on the other side.
        assert (dropped != expected).mean() < 0.01
    assert dropped.min() >= np.floor(expected)
    assert dropped.max() <= np.ceil(expected) + (expected == round(expected))


def test_antithetic_pairs_mirror() -> None:
    words = Antithetic().words(0, "site", 0, 10, 50, 16)
    assert (words[0::2] == 65535 - words[1::2]).all()
    kept = keep(words, 0.5)
    assert (kept[0::2] != kept[1::2]).all()


def test_stratified_refuses_blocks_that_are_none() -> None:
    with pytest.raises(InputError, match=r"Stratified\(block=1\) was given; expected an integer from 2 to 4096"):
        Stratified(1)

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Moments
from tests import reference


def stream(draws, block_size=1, cuts=()):
    moments = Moments.init(block_size)
    for part in torch.tensor_split(draws, list(cuts)):
        moments = moments.update(part)
    return moments


def close(actual, expected, rtol=1e-12):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=1e-14)


def test_four_draws_by_hand():
    moments = stream(torch.tensor([1.0, 3.0, 4.0, 8.0]))
    assert moments.mean == 4
    assert moments.mean_square_deviation == 6.5  # (9 + 1 + 0 + 16) / 4
    close(moments.variance, 26 / 3)
    close(moments.mc_error, math.sqrt(26 / 3 / 4))
    assert moments.mc_degrees_of_freedom == 3


def test_blocks_of_two_and_one_by_hand():
    moments = stream(torch.tensor([1.0, 3.0, 5.0]), block_size=2)
    # block means 2 (of two) and 5 (of one), mean 3: ((2/3)^2 1 + (1/3)^2 4) / (1 - (2/3)^2 - (1/3)^2) = 2
    close(moments.mc_error, 2**0.5)
    close(moments.variance, 8 / 3 + 2)
    assert moments.mc_degrees_of_freedom == 1
    assert not moments.mc_error_is_upper_bound


@settings(max_examples=60, deadline=None)
@given(
    total=st.integers(2, 45),
    block_size=st.integers(1, 9),
    cuts=st.lists(st.integers(0, 45), max_size=6),
    seed=st.integers(0, 9),
)
def test_any_chunks_equal_the_two_pass_reference(total, block_size, cuts, seed):
    draws = np.random.default_rng(seed).normal(3, 2, size=(total, 2, 3))
    moments = stream(torch.from_numpy(draws), block_size, sorted(min(cut, total) for cut in cuts))
    close(moments.mean, draws.mean(axis=0))
    close(moments.mean_square_deviation, draws.var(axis=0))
    close(moments.mc_error, reference.mc_error(draws, block_size), rtol=1e-11)
    close(moments.variance, reference.variance(draws, block_size))
    assert moments.group_counts.tolist() == reference.group_counts(total, block_size)
    assert len(moments.group_means) <= 16
    close(np.average(moments.group_means, axis=0, weights=moments.group_counts), draws.mean(axis=0))


def test_pieces_of_a_large_chunk_are_joined():
    draws = torch.randn(7, 3, 60_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moments = stream(draws, block_size=3)
    close(moments.variance[0, :5], reference.variance(draws[:, 0, :5].numpy(), 3))


def test_blocks_of_one_give_the_textbook_error():
    draws = np.random.default_rng(0).normal(size=(50, 4))
    moments = stream(torch.from_numpy(draws))
    close(moments.variance, draws.var(axis=0, ddof=1))
    close(moments.mc_error, draws.std(axis=0, ddof=1) / math.sqrt(50))


@settings(max_examples=40, deadline=None)
@given(first=st.integers(0, 6), second=st.integers(0, 17), block_size=st.integers(1, 4))
def test_merge_equals_update(first, second, block_size):
    first = first * block_size
    draws = torch.randn(first + second, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    merged = stream(draws[:first], block_size).merge(stream(draws[first:], block_size))
    assert merged.count == first + second
    if merged.count > 1:
        whole = stream(draws, block_size)
        for name in ("mean", "variance", "mc_error"):
            close(getattr(merged, name), getattr(whole, name), rtol=1e-11)
        close(np.average(merged.group_means, axis=0, weights=merged.group_counts), draws.mean(dim=0))


def test_a_merged_stream_goes_on():
    draws = torch.randn(23, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    merged = stream(draws[:8], 4).merge(stream(draws[8:14], 4)).update(draws[14:])
    close(merged.mc_error, reference.mc_error(draws.numpy(), 4))


def test_float32_of_mean_1000_keeps_three_digits_of_the_variance():
    draws = 1000 + 1e-3 * torch.randn(4000, generator=torch.Generator().manual_seed(0))
    for block_size in (1, 7):
        moments = stream(draws, block_size, range(0, 4000, 13))
        close(moments.variance, reference.variance(draws.double().numpy(), block_size), rtol=1e-6)
        assert abs(moments.variance.item() / draws.double().numpy().var() - 1) < 1e-3


def test_a_short_last_block_leaves_the_error_unbiased():
    """20 + 1 independent draws: K/(K-1) in place of 1 / (1 - sum of squared weights) would give .18 of the truth."""
    repetitions = 20_000
    draws = torch.randn(21, repetitions, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    squared = stream(draws, block_size=20).mc_error.square()
    bound = 4 * squared.std() / repetitions**0.5
    assert abs(squared.mean() - 1 / 21) < bound
    assert bound < 0.1 / 21


def test_variance_and_error_are_unbiased_for_dependent_draws_within_blocks():
    """Antithetic pairs: x = a + u and a - u, so Var[x] = Var a + Var u = 5 and the mean of K pairs has variance 1/K."""
    repetitions, pairs = 40_000, 5
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(pairs, repetitions, generator=generator, dtype=torch.float64)
    opposite = 2 * torch.randn(pairs, repetitions, generator=generator, dtype=torch.float64)
    draws = torch.stack([common + opposite, common - opposite], dim=1).flatten(0, 1)
    moments = stream(draws, block_size=2, cuts=(3, 4))
    for estimates, truth in ((moments.variance, 5.0), (moments.mc_error**2, 1 / pairs)):
        error = estimates.std() / math.sqrt(repetitions)
        assert abs(estimates.mean() - truth) < 4 * error
    # the sample variance with divisor T-1, which ignores the blocks, is off by far more
    naive = draws.var(dim=0)
    assert abs(naive.mean() - 5) > 20 * naive.std() / math.sqrt(repetitions)


def test_one_block_gives_an_upper_bound():
    draws = torch.tensor([1.0, 3.0, 4.0, 8.0])
    moments = stream(draws, block_size=10)
    close(moments.variance, draws.var().item(), rtol=1e-6)
    close(moments.mc_error, draws.std().item() / 2, rtol=1e-6)
    assert moments.mc_error_is_upper_bound
    assert moments.mc_degrees_of_freedom == 0


def test_one_draw_has_a_mean_only():
    moments = stream(torch.tensor([[2.0, 3.0]]), block_size=2)
    assert moments.mean.tolist() == [2, 3]
    assert moments.group_means.tolist() == [[2, 3]]
    for name in ("variance", "mc_error", "mean_square_deviation", "mc_degrees_of_freedom", "mc_error_is_upper_bound"):
        with pytest.raises(UnavailableError, match=r"1 draw given.*needs at least 2: num_samples>=2"):
            getattr(moments, name)


def test_no_draws_have_no_mean():
    with pytest.raises(UnavailableError, match="0 draws given, a mean needs at least 1"):
        _ = Moments.init().mean


def test_empty_chunks_change_nothing():
    moments = Moments.init(2).update(torch.empty(0, 3))
    assert moments.count == 0
    moments = moments.update(torch.ones(3, 3)).update(torch.empty(0, 3))
    assert moments.count == 3


def test_no_columns_and_scalars():
    empty = stream(torch.empty(5, 0, 3), block_size=2)
    assert empty.variance.shape == empty.mc_error.shape == (0, 3)
    assert empty.group_means.shape == (3, 0, 3)
    assert stream(torch.arange(5.0), block_size=2).variance.shape == ()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_results_are_float64_for_every_input(dtype):
    draws = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    moments = stream(draws, block_size=3)
    assert moments.mean.dtype == moments.variance.dtype == moments.mc_error.dtype == torch.float64
    close(moments.variance, reference.variance(draws.double().numpy(), 3))


def test_gradients_flow_to_the_draws():
    draws = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)

    def statistics(draws):
        moments = stream(draws, block_size=2, cuts=(1, 4))
        return moments.mean, moments.variance, moments.mc_error

    torch.autograd.gradcheck(statistics, draws)


def test_inputs_are_left_alone():
    draws = torch.arange(12.0).reshape(6, 2)
    before = draws.clone()
    first = stream(draws[:4], 2)
    mean, group_means = first.mean.clone(), first.group_means.clone()
    first.update(draws[4:])
    assert torch.equal(draws, before)
    assert torch.equal(first.mean, mean)
    assert torch.equal(first.group_means, group_means)


def test_nan_stays_nan():
    assert stream(torch.tensor([1.0, math.nan, 2.0])).variance.isnan()


def test_errors():
    with pytest.raises(InputError, match=r"block_size=0 given.*block_size>=1"):
        Moments.init(0)
    two = stream(torch.ones(2, 3), 2)
    with pytest.raises(InputError, match=r"Draws of shape \(4,\) given after draws of shape \(3,\)"):
        two.update(torch.ones(2, 4))
    with pytest.raises(InputError, match="blocks of 2 and 3 draws given: merge needs equal ones"):
        two.merge(Moments.init(3))
    with pytest.raises(
        InputError, match="hold 3 draws in blocks of 2, their last block is open: merge at a multiple of 2"
    ):
        two.update(torch.ones(1, 3)).merge(two)
    with pytest.raises(InputError, match=r"shape \(3,\) and \(4,\) given: merge joins draws of one shape"):
        two.merge(stream(torch.ones(2, 4), 2))

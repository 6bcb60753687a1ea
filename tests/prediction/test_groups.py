import numpy as np
import pytest
import torch

from mcdrop.prediction.groups import MOST_GROUPS, Groups, extend, join
from tests import reference


@pytest.mark.parametrize("block_size", [1, 3])
@pytest.mark.parametrize("total", [1, 2, 15, 16, 17, 33, 100, 257])
@pytest.mark.parametrize("chunk", [1, 7, 300])
def test_groups_depend_on_the_length_alone(total, block_size, chunk):
    draws = torch.randn(total, 2, generator=torch.Generator().manual_seed(total), dtype=torch.float64)
    groups = Groups(size=block_size)
    for part in draws.split(chunk):
        groups = extend(groups, part)
    expected = reference.group_counts(total, block_size)
    assert list(groups.counts) == expected
    assert len(groups.counts) <= MOST_GROUPS
    for mean, part in zip(groups.means, draws.split(expected), strict=True):
        np.testing.assert_allclose(mean, part.mean(dim=0), rtol=1e-13, atol=1e-15)


def test_means_are_float32_unless_the_draws_are_float64():
    def dtype_of(draws, dtype=None):
        return extend(Groups(size=1, dtype=dtype), draws).means[0].dtype

    assert dtype_of(torch.ones(2)) == torch.float32
    assert dtype_of(torch.ones(2, dtype=torch.bfloat16)) == torch.float32
    assert dtype_of(torch.ones(2, dtype=torch.float64)) == torch.float64
    assert dtype_of(torch.ones(2, dtype=torch.float64), torch.float32) == torch.float32


def test_means_carry_no_gradient():
    assert not extend(Groups(size=1), torch.ones(3, requires_grad=True)).means[0].requires_grad


@pytest.mark.parametrize(("first", "second"), [(5, 3), (40, 7), (7, 40), (100, 100)])
def test_joined_groups_stay_contiguous_and_few(first, second):
    draws = torch.randn(first + second, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    joined = join(extend(Groups(size=1), draws[:first]), extend(Groups(size=1), draws[first:]))
    assert sum(joined.counts) == first + second
    assert len(joined.counts) <= MOST_GROUPS
    for mean, part in zip(joined.means, draws.split(list(joined.counts)), strict=True):
        torch.testing.assert_close(mean, part.mean())


def test_a_joined_stream_can_be_extended():
    draws = torch.randn(90, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    joined = join(extend(Groups(size=2), draws[:10]), extend(Groups(size=2), draws[10:21]))
    longer = extend(joined, draws[21:])
    assert len(longer.counts) <= MOST_GROUPS
    for mean, part in zip(longer.means, draws.split(list(longer.counts)), strict=True):
        torch.testing.assert_close(mean, part.mean())

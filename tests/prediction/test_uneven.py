"""Moments of rows with different numbers of draws are those of the rows' own streams."""

import pytest
import torch

from mcdrop.errors import UnavailableError
from mcdrop.prediction.moments import Moments
from mcdrop.prediction.uneven import Uneven


@pytest.mark.parametrize("block_size", [1, 4])
def test_every_row_keeps_its_own_statistics(block_size) -> None:
    torch.manual_seed(0)
    parts = [Moments.init(block_size).update(torch.randn(count, rows, 2)) for count, rows in ((8, 3), (20, 1), (32, 2))]
    joined = Uneven.of(parts)
    for name in ("mean", "variance", "mean_square_deviation", "mc_error"):
        torch.testing.assert_close(getattr(joined, name), torch.cat([getattr(part, name) for part in parts]))
    assert joined.counts_per_row.tolist() == [8, 8, 8, 20, 32, 32]
    assert joined.count == 32
    assert joined.mc_degrees_of_freedom == 8 // block_size - 1
    assert not joined.mc_error_is_upper_bound


def test_what_needs_common_draws_is_refused() -> None:
    joined = Uneven.of([Moments.init().update(torch.randn(count, 1)) for count in (3, 5)])
    for ask in (lambda: joined.group_means, lambda: joined.update(torch.zeros(1, 2)), lambda: joined.merge(joined)):
        with pytest.raises(UnavailableError, match="rows with different numbers of draws, which share none"):
            ask()

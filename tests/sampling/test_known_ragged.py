import pytest
import torch
from torch import Tensor, nn

import mcdrop
from mcdrop.errors import RowAxisError


class Steps(nn.Module):
    """The sum of each row's steps, of several lengths, with dropout on the steps of all rows in one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout()

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        steps = torch.arange(x.shape[1]) < lengths[:, None]
        return torch.zeros_like(x).masked_scatter(steps[..., None], self.drop(x[steps])).sum(1)


X = torch.rand(7, 6, 1, generator=torch.Generator().manual_seed(0)) + 0.5
EQUAL, SEVERAL = torch.full((7,), 4), torch.tensor([4, 4, 4, 6, 2, 6, 2])


def test_rows_longer_than_the_first_few_are_not_tied() -> None:
    """28 steps in all, and 4 in each of the rows that are looked at first: no mask of 4 steps is any other row's."""
    mc = mcdrop.MCDropout(Steps(), likelihood=mcdrop.Identity(), num_samples=400, seed=0)
    with pytest.raises(RowAxisError, match=r"drop:dropout cannot be told"):
        mc.sample(X, SEVERAL)
    # Var sum_t x_t z_t / (1 - p) = sum_t x_t^2 for p = 1/2; 4 standard errors of a variance of nearly normal draws.
    own = mcdrop.MCDropout(Steps(), likelihood=mcdrop.Identity(), num_samples=400, seed=0, shared_masks=False)
    for sampler, lengths in ((mc, EQUAL), (own, SEVERAL)):
        variance = sampler.sample(X, lengths).squeeze(-1).var(dim=0)
        exact = (X.squeeze(-1).square() * (torch.arange(6) < lengths[:, None])).sum(1)
        torch.testing.assert_close(variance, exact, rtol=4 * (2 / 400) ** 0.5, atol=0)


def test_what_equal_rows_have_shown_does_not_hold_for_others() -> None:
    mc = mcdrop.MCDropout(Steps(), likelihood=mcdrop.Identity(), num_samples=2, seed=0)
    mc.sample(X, EQUAL)
    with pytest.raises(RowAxisError, match=r"drop:dropout cannot be told"):
        mc.sample(X, SEVERAL)

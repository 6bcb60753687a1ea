"""Taking a tensor out of its map and putting one in, held against vmap's own ways."""

import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.errors import UncontrolledSiteError
from mcdrop.sites import Sites
from mcdrop.sites.mapped import all_samples, draws_apart, is_innermost, is_mapped, map_over

X = torch.arange(12.0).view(3, 4)


def test_only_mapped_tensors_are_mapped() -> None:
    seen = []
    torch.func.vmap(lambda row: seen.append((is_mapped(row), is_mapped(X))) or row)(X)
    assert seen == [(True, False)]


def test_all_samples_lie_along_the_leading_axis() -> None:
    found = []
    torch.func.vmap(lambda column: found.append(all_samples(column)) or column, in_dims=1)(X)
    assert torch.equal(found[0], X.t())


def test_what_is_put_in_is_mapped_as_an_argument_would_be() -> None:
    more = torch.randn(3, 4)
    found = torch.func.vmap(lambda row: row * map_over(more, row))(X)
    assert torch.equal(found, X * more)


def test_within_another_transform_a_map_is_not_the_innermost() -> None:
    seen = []

    def outer(row: torch.Tensor) -> torch.Tensor:
        seen.append(is_innermost(row))
        torch.func.vmap(lambda value: seen.append((is_innermost(row), is_innermost(value))) or value)(row)
        torch.func.grad(lambda value: seen.append(is_innermost(row)) or value.sum())(row)
        return row

    torch.func.vmap(outer)(X)
    assert seen == [True, (False, True), False]


def test_draws_apart_where_any_of_the_maps_is_told_so() -> None:
    seen = []
    for outer, inner in (("error", "same"), ("same", "different"), ("different", "error")):
        torch.func.vmap(
            lambda row, inner=inner: torch.func.vmap(lambda x: seen.append(draws_apart()) or x, randomness=inner)(row),
            randomness=outer,
        )(X)
    torch.func.grad(lambda x: seen.append(draws_apart()) or x.sum())(X)
    assert seen == [False, True, True, False]


class Mapped(nn.Module):
    """Takes each row through alone, with dropout of torch or by hand."""

    def __init__(self, randomness: str, by_hand: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.drop, self.last = nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2)
        self.randomness, self.by_hand = randomness, by_hand

    def one(self, row: torch.Tensor) -> torch.Tensor:
        hidden = self.first(row).relu()
        if self.by_hand and self.training:
            return self.last(hidden * (torch.rand_like(hidden) > 0.5) / 0.5)
        return self.last(hidden if self.by_hand else self.drop(hidden))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.func.vmap(self.one, randomness=self.randomness)(x)


@pytest.mark.parametrize("shared_masks", [True, False])
@pytest.mark.parametrize("by_hand", [True, False])
def test_a_map_that_draws_for_each_of_its_samples_is_refused(by_hand, shared_masks) -> None:
    model = Mapped("different", by_hand)
    with pytest.raises(UncontrolledSiteError, match=r'randomness="different"\), which draws for each .*="same"'):
        mcdrop.predict(model, X, likelihood=mcdrop.Identity(), num_samples=3, seed=0, shared_masks=shared_masks)


def test_where_its_dropout_is_left_off_it_is_none_of_our_business() -> None:
    model = nn.Sequential(nn.Dropout(0.5), Mapped("different", by_hand=False))
    prediction = mcdrop.predict(model, X, likelihood=mcdrop.Identity(), seed=0, sites=Sites(exclude="1.drop"))
    assert (prediction.std > 0).all()


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_map_that_draws_once_has_the_law_of_training_mode(by_hand) -> None:
    """All rows of a pass have one mask, there and here: a difference of rows varies as that of one function does."""
    model, num_samples = Mapped("same", by_hand), 2000
    mc = mcdrop.MCDropout(model, likelihood=mcdrop.Identity(), num_samples=num_samples, seed=0)
    torch.manual_seed(0)
    with torch.no_grad():
        theirs = torch.stack([model.train()(X) for _ in range(num_samples)])
        hidden = model.first(X).relu()
    variance = ((hidden[0] - hidden[1]) ** 2) @ (model.last.weight**2).T
    bound = 4 * (2 / num_samples) ** 0.5
    for draws in (mc.sample(X), theirs):
        torch.testing.assert_close((draws[:, 0] - draws[:, 1]).var(dim=0), variance, rtol=bound, atol=0)

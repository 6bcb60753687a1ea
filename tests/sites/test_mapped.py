"""Taking a tensor out of its map and putting one in, held against vmap's own ways."""

import torch

from mcdrop.sites.mapped import all_samples, is_innermost, is_mapped, map_over

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

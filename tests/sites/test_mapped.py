"""Taking a tensor out of its map and putting one in, held against vmap's own ways."""

import torch

from mcdrop.sites.mapped import all_samples, is_mapped, level_of, map_over

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
    found = torch.func.vmap(lambda row: row * map_over(more, level_of(row)))(X)
    assert torch.equal(found, X * more)


def test_within_a_map_inside_the_outer_one_is_meant() -> None:
    more = torch.randn(3)

    def outer(row: torch.Tensor) -> torch.Tensor:
        return torch.func.vmap(lambda value: value * map_over(more, level_of(row)))(torch.ones(5))

    assert torch.equal(torch.func.vmap(outer)(X), more[:, None].expand(3, 5))

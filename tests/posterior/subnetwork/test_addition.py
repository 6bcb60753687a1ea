import operator
from collections.abc import Callable

import pytest
import torch
from baked import checked, keeping, prepared
from torch import Tensor, nn

from mcdrop.errors import InputError

X = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    """x + drop(f(x)), then a layer."""

    def __init__(self, add: Callable[[Tensor, Tensor], Tensor] = operator.add, behind: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.branch, self.drop, self.add = nn.Linear(4, 4), nn.Dropout(0.5), add
        self.behind, self.last = behind or nn.Identity(), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.add(x, self.behind(self.drop(self.branch(x)))))


@pytest.mark.parametrize(
    "add",
    [operator.add, operator.iadd, torch.add, lambda x, y: x.add(y), lambda x, y: y.clone().add_(x), lambda x, y: y + x],
)
def test_a_branch_is_filled_with_zeros(add: Callable[[Tensor, Tensor], Tensor]) -> None:
    model = prepared(Block(add))
    small = checked(model, keeping(model, X, [1, 2]), X)
    assert (small.get_submodule("branch").out_features, small.get_submodule("last").in_features) == (2, 4)


def test_a_branch_is_filled_with_its_constants() -> None:
    model = prepared(Block(behind=nn.Sigmoid()))
    assert checked(model, keeping(model, X, [1, 2]), X).get_submodule("branch").out_features == 2


@pytest.mark.parametrize("behind", [nn.Identity(), nn.Sigmoid()])
def test_a_branch_with_nothing_left_is_gone(behind: nn.Module) -> None:
    model = prepared(Block(behind=behind))
    small = checked(model, keeping(model, X, []), X)
    assert [name for name, _ in small.named_parameters()] == ["last.weight", "last.bias"]


def test_what_both_branches_lack_the_sum_lacks() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.drop, self.last = (
                nn.Linear(4, 3), nn.Linear(4, 3), nn.Dropout(0.5), nn.Linear(3, 2)
            )  # fmt: skip

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.drop(self.one(x)).sigmoid() + self.drop(self.two(x)))

    model = prepared(Twice())
    small = checked(model, keeping(model, X, [0, 2], [2]), X)
    sizes = [small.get_submodule(name).weight.shape for name in ("one", "two", "last")]
    assert sizes == [(2, 4), (1, 4), (2, 2)]
    torch.testing.assert_close(
        small.get_submodule("last").bias, model.last.bias + 0.5 * model.last.weight[:, 1]
    )  # fmt: skip


def test_a_tensor_added_to_itself() -> None:
    model = prepared(Block(lambda x, y: y + y))
    assert checked(model, keeping(model, X, [1, 2]), X).get_submodule("last").in_features == 2


def test_maps() -> None:
    class Maps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.branch = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 3, padding=1, bias=False)
            self.norm, self.drop, self.last = nn.BatchNorm2d(4), nn.Dropout2d(0.5), nn.Conv2d(4, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return self.last(x + self.norm(self.drop(self.branch(x))))

    x, model = torch.randn(3, 2, 5, 5, dtype=torch.float64), prepared(Maps())
    for kept in ([1, 2], []):
        small = checked(model, keeping(model, x, kept), x)
        larger = torch.randn(2, 2, 8, 6, dtype=torch.float64)
        assert small(larger).shape == (2, 1, 8, 6)  # a constant branch fits maps of any size


@pytest.mark.parametrize("add", [lambda x, y: torch.add(x, y, alpha=2), operator.mul])
def test_other_sums_and_products_are_refused(add: Callable[[Tensor, Tensor], Tensor]) -> None:
    model = prepared(Block(add))
    with pytest.raises(InputError, match=r"(add|mul) at \S+:\d+: it takes units that the mask drops"):
        checked(model, keeping(model, X, [1, 2]), X)

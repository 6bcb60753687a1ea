import pytest
import torch
from baked import checked, drawn, keeping, prepared
from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.posterior import Dropout, bake
from mcdrop.sampling import SubNetwork, units_for
from mcdrop.sites import Sites, insert

X = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _net(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return prepared(nn.Sequential(*layers))


def test_a_forward_that_branches_on_values_is_refused() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.drop(x) if x.mean() > -100 else x

    message = r"forward of Branching cannot be followed by torch.fx.*symbolically traced variables"
    with pytest.raises(InputError, match=message):
        bake(Branching(), drawn(Branching(), X), X)


def test_a_tensor_that_is_overwritten_and_used_again_is_refused() -> None:
    class Overwriting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.drop, self.last = nn.Linear(4, 3), nn.Dropout(0.5), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            x.relu_()
            return self.last(self.drop(x))

    torch.manual_seed(0)
    model = prepared(Overwriting())
    with pytest.raises(InputError, match=r"gives another output than the masked one.*writes to a tensor"):
        bake(model, keeping(model, X, [0, 1, 2]), X)


def test_the_input_and_the_model_are_left_as_they_were() -> None:
    class Writing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm, self.drop = nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            x += 1
            return self.drop(self.norm(self.linear(x))).sum(1)

    class Writes(Writing):
        def forward(self, x: Tensor) -> Tensor:
            return self.drop(self.norm(self.linear(x.mul_(2))))

    for model in (prepared(Writing()).train(), prepared(Writes()).train()):
        x, mask, state = X.clone(), drawn(model, X), {k: v.clone() for k, v in model.state_dict().items()}
        before = {name: dict(vars(module)) for name, module in model.named_modules()}
        randomness = torch.random.get_rng_state()
        with pytest.raises(InputError) if type(model) is Writing else torch.enable_grad():
            bake(model, mask, x)
        assert torch.equal(torch.random.get_rng_state(), randomness)
        assert torch.equal(x, X)
        assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
        assert all(module.training for module in model.modules())
        assert {name: dict(vars(module)) for name, module in model.named_modules()} == before


def test_layers_called_twice_are_cut_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.drop = nn.Linear(4, 4), nn.Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.drop(self.layer(self.drop(x))))

    model = prepared(Twice())
    small = checked(model, keeping(model, X, [0, 1, 2], [1]), X)
    assert small.get_submodule("layer").weight.shape == (1, 3)
    assert small.get_submodule("layer_2").weight.shape == (4, 1)


def test_hooks_are_followed_and_not_copied() -> None:
    model = insert(_net(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)), nn.Dropout(0.5), before="2").eval()
    model[1].register_forward_hook(lambda module, args, output: output + 1)
    small = checked(model, keeping(model, X, [0, 3]), X)
    assert small.get_submodule("2").in_features == 2
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in small.modules())


class Product(nn.TransformerEncoderLayer):
    """A layer of the user's own, with parameters of its own."""

    def __init__(self) -> None:
        super().__init__(4, 1, 4, 0.0, batch_first=True)
        self.weight = nn.Parameter(torch.randn(4, 4))

    def forward(self, src: Tensor, **options: object) -> Tensor:  # type: ignore[override]
        return self.norm1(src @ self.weight)


def test_parameters_of_the_models_own_modules() -> None:
    model = _net(Product(), nn.Dropout(0.5), nn.Linear(4, 3))
    small = checked(model, keeping(model, X, [1]), X)
    assert "0.weight" in dict(small.named_parameters())
    encoder = nn.TransformerEncoder(Product(), 2, enable_nested_tensor=False)
    model = _net(encoder, nn.Dropout(0.5), nn.Linear(4, 3))
    with pytest.raises(InputError, match="TransformerEncoder `0`: it holds modules of other packages"):
        checked(model, keeping(model, X, [1]), X)


def test_containers_around_modules() -> None:
    model = _net(nn.Linear(4, 5), nn.DataParallel(nn.Sequential(nn.ReLU(), nn.Dropout(0.5))), nn.Linear(5, 2))
    assert checked(model, keeping(model, X, [0, 3]), X).get_submodule("2").in_features == 2
    assert checked(nn.DataParallel(model), keeping(model, X, [0, 3]), X).get_submodule("2").in_features == 2


def test_layers_of_another_class_that_compute_by_functions() -> None:
    """A class derived from Linear may compute anything: what its forward does is followed."""

    class Scaled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    model = _net(Scaled(4, 3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 2))
    assert checked(model, keeping(model, X, [0, 2]), X).get_submodule("3").in_features == 2


def test_weights_computed_from_others() -> None:
    model = _net(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 2))
    nn.utils.parametrizations.weight_norm(model[0])
    assert checked(model, keeping(model, X, [0, 2]), X).get_submodule("3").in_features == 2
    nn.utils.parametrizations.weight_norm(model[3])
    with pytest.raises(InputError, match="ParametrizedLinear `3`: it takes units that the mask drops"):
        checked(model, keeping(model, X, [0, 2]), X)


def test_several_inputs_and_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.drop = nn.Linear(4, 3), nn.Linear(4, 3), nn.Dropout(0.5)

        def forward(self, x: Tensor, *, other: Tensor) -> dict[str, Tensor | tuple[Tensor, Tensor]]:
            first, second = self.drop(self.one(x)), self.drop(self.two(other))
            return {"sum": first + second, "both": (first, second)}

    model = prepared(Two())
    mask = Dropout(seed=0).draw(units_for(model, X, other=2 * X), 0)
    small = bake(model, mask, X, other=2 * X)
    ours, theirs = small(X[:2], other=X[2:4]), SubNetwork(model, mask)(X[:2], other=X[2:4])
    torch.testing.assert_close(ours["sum"], theirs["sum"])
    torch.testing.assert_close(ours["both"], theirs["both"])


def test_a_choice_among_the_sites() -> None:
    model, sites = _net(nn.Dropout(0.5), nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 2)), Sites(only="3")
    for choice in (sites, Sites(only="3", p=0.2)):
        mask = Dropout(seed=0).draw(units_for(model, X, sites=choice), 0)
        small = bake(model, mask, X, sites=choice)
        torch.testing.assert_close(small(X), SubNetwork(model, mask, sites=choice)(X))
        assert small.get_submodule("1").in_features == 4

import copy
import functools
import random
from collections import OrderedDict, deque

import pytest
import torch
from torch import nn

from mcdrop.errors import InputError
from mcdrop.sites import Shadow, Switch
from tests.networks import ConvNet, trained_looking


def test_weights_are_shared_and_everything_else_is_not() -> None:
    model = trained_looking(ConvNet())
    shadow = Shadow(model, Switch())
    assert type(shadow.root) is ConvNet
    for (name, theirs), (_, ours) in zip(model.named_parameters(), shadow.root.named_parameters(), strict=True):
        assert ours is theirs, name
    for (name, theirs), (_, ours) in zip(model.named_buffers(), shadow.root.named_buffers(), strict=True):
        assert ours is not theirs, name
        assert torch.equal(ours, theirs), name
    assert [*shadow.paths.values()] == [name for name, _ in model.named_modules()]


def test_the_shadow_computes_the_model() -> None:
    model = trained_looking(ConvNet())
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64)
    switch = Switch()
    shadow = Shadow(model, switch)
    for module in shadow.root.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.eval()
    assert torch.equal(shadow.root(x), model(x))


def test_writes_in_forward_stay_in_the_shadow() -> None:
    class Writer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(()))
            self.seen = [torch.zeros(1)]
            self.table = {"calls": 0, "own": OrderedDict(a=deque([1]))}
            self.last = None

        def forward(self, x):
            self.count += 1
            self.seen.append(x)
            self.seen[0] += 1
            self.table["calls"] += 1
            self.table["own"]["a"].append(2)
            self.last = x
            return x

    model = Writer()
    before = copy.deepcopy(model.__dict__)
    shadow = Shadow(model, Switch())
    shadow.root(torch.ones(1))
    assert model.count == 0
    assert model.seen == before["seen"]
    assert model.table == before["table"]
    assert model.last is None
    assert shadow.buffers_changed


def test_references_between_modules_lead_to_the_shadow() -> None:
    class Parent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = nn.Linear(2, 2)
            self.listed = [self.child]
            self.method = self.child.forward
            self.partial = functools.partial(self.child.forward)
            self.by_name = {"child": (self.child,)}

    model = Parent()
    root = Shadow(model, Switch()).root
    assert root.child is not model.child
    assert root.listed[0] is root.child
    assert root.method.__self__ is root.child
    assert root.partial.func.__self__ is root.child
    assert root.by_name["child"][0] is root.child


def test_containers_that_hold_themselves_and_shared_buffers() -> None:
    model = nn.Linear(2, 2)
    model.loop = []
    model.loop.append(model.loop)
    model.register_buffer("one", torch.ones(2))
    model.register_buffer("same", model.one)
    root = Shadow(model, Switch()).root
    assert root.loop[0] is root.loop
    assert root.one is root.same


def test_setting_the_mode_inside_a_forward_is_respected() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout()

        def forward(self, x):
            self.drop.eval()
            return self.drop(x)

    model = Frozen().train()
    assert torch.equal(Shadow(model, Switch()).root(torch.ones(50)), torch.ones(50))
    assert model.drop.training


def test_user_hooks_run() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].register_forward_hook(lambda module, args, output: output + 1)
    x = torch.zeros(1, 2)
    assert torch.equal(Shadow(model, Switch()).root(x), model(x))


def test_generators_held_by_the_model_are_copied_and_their_use_is_noticed() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].generator, model[1].unused = torch.Generator().manual_seed(3), random.Random(3)
    before = model[1].generator.get_state()
    shadow = Shadow(model, Switch())
    assert shadow.generators_moved == []
    torch.rand(1, generator=shadow.root[1].generator)
    assert shadow.generators_moved == [("torch.Generator", "1")]
    assert torch.equal(model[1].generator.get_state(), before)


def test_refuses_what_is_no_module() -> None:
    with pytest.raises(InputError, match=r"str was given as the model; expected a torch\.nn\.Module"):
        Shadow("model", Switch())


def test_modules_without_parts_are_copied_too() -> None:
    model = nn.Sequential(nn.Sequential())
    model.register_module("absent", None)
    root = Shadow(model, Switch()).root
    assert root[0] is not model[0]
    assert root.absent is None


def test_an_empty_container_of_two_modules_is_one_in_the_shadow_and_hooks_are_nobody_elses() -> None:
    model = nn.Sequential(nn.Identity(), nn.Identity())
    model[0].cache = model[1].cache = OrderedDict()
    first, second = Shadow(model, Switch()).root
    assert first.cache is second.cache
    assert first.cache is not model[0].cache
    first.register_forward_hook(lambda *_: None)
    assert not any(module._forward_hooks for module in (second, *model))


def test_paths_are_those_of_named_modules() -> None:
    shared = nn.ReLU()
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), shared), shared, ConvNet())
    model.register_module("none", None)
    shadow = Shadow(model, Switch())
    assert shadow.paths == {id(module): name for name, module in shadow.root.named_modules()}

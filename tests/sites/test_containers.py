import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mcdrop.errors import InputError
from mcdrop.sites import Shadow, Switch, opened
from mcdrop.sites.containers import is_graph, original, traced, uncompiled

# torch._inductor's own, when it is imported, and torch.export's.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]


def compiled(thing):
    return torch.compile(thing, backend="eager")


class Methods(nn.Module):
    """A method compiled in the class."""

    @torch.compile(backend="eager")
    def forward(self, x):
        return self.own(x)

    def own(self, x):
        return x + 1


def test_containers_that_compute_the_same_are_opened_to_the_last() -> None:
    model = nn.Linear(1, 1)
    assert opened(model) is model
    assert opened(nn.DataParallel(compiled(nn.DataParallel(model)))) is model
    root = Shadow(nn.Sequential(compiled(model)), Switch()).root
    assert type(root[0]) is nn.Linear
    assert root[0].weight is model.weight


@pytest.mark.parametrize(("wrap", "inside"), [(nn.DataParallel, "module"), (compiled, "_orig_mod")])
def test_hooks_of_a_container_would_be_lost_and_are_refused(wrap, inside) -> None:
    model = wrap(nn.Linear(1, 1))
    hook = model.register_forward_hook(lambda module, args, output: 2 * output)
    with pytest.raises(
        InputError, match=rf"has forward hooks of its own.* Register them on that one, its `\.{inside}`"
    ):
        opened(model)
    hook.remove()
    assert type(opened(model)) is nn.Linear


def test_data_parallel_in_mixed_precision_is_refused() -> None:
    model = object.__new__(DistributedDataParallel)
    nn.Module.__init__(model)
    model.module, model.mixed_precision = nn.Linear(1, 1), object()
    with pytest.raises(InputError, match=r"DistributedDataParallel with mixed_precision .* Pass its `.module`"):
        opened(model)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.LazyLinear(3), "LazyLinear is a lazy module without weights yet: run the model once on an input"),
        (lambda: nn.LazyBatchNorm1d(affine=False), "LazyBatchNorm1d is a lazy module without weights yet"),
        (lambda: torch.ao.nn.quantized.Dropout(), "The model is statically quantised.* Pass the float model"),
    ],
)
def test_refuses_what_cannot_run_on_a_skeleton(make, message) -> None:
    with pytest.raises(InputError, match=message):
        Shadow(nn.Sequential(make()), Switch())


def test_compiled_functions_are_taken_off() -> None:
    model = Methods()
    assert uncompiled(Methods).keys() == {"forward"}
    assert uncompiled(Methods)["forward"].__code__.co_filename == __file__
    assert original(compiled(model.own)) == model.own
    assert original(compiled(nn.Linear(1, 1).forward)).__func__ is nn.Linear.forward  # wrapped twice: it is PyTorch's
    assert original(model.own) == model.own


def test_the_skeleton_holds_compiled_methods_as_they_were_written() -> None:
    model = Methods()
    model.own = compiled(model.own)
    model.compile(backend="eager")
    root = Shadow(model, Switch()).root
    assert root._compiled_call_impl is None
    assert root.own.__self__ is root
    assert root.own.__func__ is Methods.own
    assert root.forward.__self__ is root
    assert root.forward.__func__ is uncompiled(Methods)["forward"]
    assert model._compiled_call_impl is not None
    assert "forward" not in vars(model)


def test_graphs_are_told_from_models() -> None:
    graph = torch.fx.symbolic_trace(nn.Sequential(nn.ReLU()))
    exported = torch.export.export(nn.Sequential(nn.ReLU()), (torch.ones(2),))
    assert is_graph(type(graph))
    assert is_graph(type(exported.module()))
    assert {is_graph(type(module)) for module in torch.export.unflatten(exported).modules()} == {True}
    assert traced(nn.ModuleList([nn.ReLU(), graph, torch.export.unflatten(exported)])) == ["1", "2"]
    assert traced(graph) == [""]

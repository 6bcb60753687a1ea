"""The ways of sampling that are compared, each called as its documentation calls it.

Where a library takes one argument, a small module around the model hands the inputs on and picks the output, as
torch-uncertainty's tutorial on BERT does. The libraries are imported when they are used: they are optional.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from mcdrop.sampling.output import selector
from mcdrop.tree import map_tensors, tensors
from tests.benchmarks.peers_verdict import Contender
from tests.conformance.case import Case

Draws = Iterator[Callable[[], Any]]


def stacked(outputs: list[Any]) -> Any:
    """T outputs as one tree of tensors (T, *out)."""
    return map_tensors(lambda *parts: torch.stack(parts), *outputs)


class Adapter(nn.Module):
    """The model with all its inputs in one argument; only the output that the case reads, and a record of it."""

    def __init__(self, case: Case, model: nn.Module) -> None:
        super().__init__()
        self.model, self.select, self.record = model, selector(case.output), []
        _, kwargs = case.inputs()
        self.keyword = next(iter(kwargs), None)

    def forward(self, data: Any) -> Any:
        if isinstance(data, dict):
            output = self.model(*data["args"], **data["kwargs"])
        else:
            output = self.model(**{self.keyword: data}) if self.keyword else self.model(data)
        output = self.select(output)
        self.record.append(output)
        return output


def single(case: Case) -> bool:
    """Whether the model takes one tensor."""
    return len(case.args) + len(case.kwargs) == len(tensors((case.args, dict(case.kwargs)))) == 1


def packed(case: Case) -> Any:
    """The inputs as one argument of an `Adapter`: the tensor itself, or a dictionary."""
    args, kwargs = case.inputs()
    return tensors((args, kwargs))[0] if single(case) else {"args": list(args), "kwargs": kwargs}


def adapted(case: Case, model: nn.Module) -> nn.Module:
    """The model as one that takes `packed(case)`: itself where it does already."""
    return model if single(case) and case.args and case.output is None else Adapter(case, model)


@contextmanager
def naive(case: Case, model: nn.Module, count: int, switch_on: Callable[[nn.Module], Any]) -> Draws:
    """`switch_on`, T passes under no_grad, evaluation mode again."""
    select, (args, kwargs) = selector(case.output), case.inputs()

    def draw() -> Any:
        switch_on(model)
        with torch.no_grad():
            outputs = [select(model(*args, **kwargs)) for _ in range(count)]
        model.eval()
        return stacked(outputs)

    yield draw


def training_mode(case: Case, model: nn.Module, count: int) -> Any:
    return naive(case, model, count, nn.Module.train)


def dropout_modules(case: Case, model: nn.Module, count: int) -> Any:
    def switch_on(model: nn.Module) -> None:
        model.eval()
        for module in model.modules():
            if isinstance(module, _DropoutNd):
                module.train()

    return naive(case, model, count, switch_on)


def baal_wrapper(replicate: bool) -> Callable:
    """`ModelWrapper(MCDropoutModule(model)).predict_on_batch(data, iterations)`, as `predict_on_dataset` calls it."""

    @contextmanager
    def opened(case: Case, model: nn.Module, count: int) -> Draws:
        from baal.bayesian.dropout import MCDropoutModule
        from baal.modelwrapper import ModelWrapper, TrainingArgs

        with MCDropoutModule(adapted(case, model)) as patched:
            wrapper = ModelWrapper(patched, TrainingArgs(replicate_in_memory=replicate, use_cuda=False))
            wrapper.eval()
            data = packed(case)
            yield lambda: map_tensors(lambda out: out.movedim(-1, 0), wrapper.predict_on_batch(data, iterations=count))

    return opened


@contextmanager
def baal_module(case: Case, model: nn.Module, count: int) -> Draws:
    """`with MCDropoutModule(model) as patched: [patched(x) for _ in range(T)]`, gradients on, as in its FAQ."""
    from baal.bayesian.dropout import MCDropoutModule

    select, (args, kwargs) = selector(case.output), case.inputs()
    with MCDropoutModule(model) as patched:
        patched.eval()

        def one_pass() -> Any:
            return map_tensors(Tensor.detach, select(patched(*args, **kwargs)))

        yield lambda: stacked([one_pass() for _ in range(count)])


def torch_uncertainty(on_batch: bool) -> Callable:
    """`mc_dropout(model, num_estimators=T, on_batch=...)` in evaluation mode, under no_grad as its trainer has it."""

    @contextmanager
    def opened(case: Case, model: nn.Module, count: int) -> Draws:
        from torch_uncertainty.methods import mc_dropout

        wrapped = mc_dropout(adapted(case, model), num_estimators=count, on_batch=on_batch)
        wrapped.eval()
        data = packed(case)

        def draw() -> Tensor:
            with torch.no_grad():
                return wrapped(data).unflatten(0, (count, -1))

        yield draw

    return opened


def classifier(case: Case, model: nn.Module, count: int) -> nn.Module:
    from lightning_uq_box.uq_methods import MCDropoutClassification

    return MCDropoutClassification(adapted(case, model), num_mc_samples=count, loss_fn=nn.CrossEntropyLoss())


@contextmanager
def uq_box_classification(case: Case, model: nn.Module, count: int) -> Draws:
    """`MCDropoutClassification(...).predict_step(x)["logits"]`."""
    wrapped, x = classifier(case, model, count), packed(case)
    wrapped.eval()
    yield lambda: wrapped.predict_step(x)["logits"].movedim(-1, 0)


@contextmanager
def uq_box_regression(case: Case, model: nn.Module, count: int) -> Draws:
    """`MCDropoutRegression(...).predict_step(x)`, which returns mean and spread: the draws are taken on the way."""
    from lightning_uq_box.uq_methods import MCDropoutRegression

    adapter = Adapter(case, model)
    wrapped = MCDropoutRegression(adapter, num_mc_samples=count, loss_fn=nn.MSELoss())
    wrapped.eval()
    x = packed(case)

    def draw() -> Tensor:
        adapter.record.clear()
        wrapped.predict_step(x)
        return torch.stack(adapter.record)

    yield draw


@contextmanager
def mcdrop(case: Case, model: nn.Module, count: int) -> Draws:
    """`MCDropout(model, likelihood=Identity(), num_samples=T, seed=...).sample(...)`, no other option set."""
    mc, (args, kwargs) = case.mc(model, num_samples=count), case.inputs()
    yield lambda: mc.sample(*args, **kwargs)


def output(case: Case) -> Any:
    """What one pass in evaluation mode returns."""
    args, kwargs = case.inputs()
    with torch.no_grad():
        return selector(case.output)(case.model().eval()(*args, **kwargs))


def rows_not_first(case: Case) -> str:
    return "" if case.batch_dim == 0 and case.output_dim is None else "no rows on axis 0 to be repeated"


def output_no_tensor(case: Case) -> str:
    return "" if isinstance(output(case), Tensor) else "its output is no single tensor"


def one_input(case: Case) -> str:
    return "" if single(case) else "it takes more than one tensor"


def one_or_a_sequence(case: Case) -> str:
    returned = output(case)
    flat = isinstance(returned, tuple | list) and all(isinstance(part, Tensor) for part in returned)
    return "" if flat or isinstance(returned, Tensor) else "its output is neither a tensor nor a sequence of them"


def classes_counted(case: Case) -> str:
    """Its constructor reads the number of classes off the last layer, and wants two at least."""
    try:
        classifier(case, case.model(), 1)
    except ValueError as error:
        return f"its constructor finds no number of classes: {error}"
    return ""


def first_of(*rules: Callable[[Case], str]) -> Callable[[Case], str]:
    return lambda case: next((why for rule in rules if (why := rule(case))), "")


BAAL = {"package": "baal", "refusals": ("No layer was modified by patch_module!",)}
UNCERTAINTY = {
    "package": "torch-uncertainty",
    "refusals": ("No dropout module found", "At least one dropout module must have"),
}
UQ_BOX = {"package": "lightning-uq-box", "refusals": ("No dropout layers found",)}
CONTENDERS = [
    Contender("`train()`, T passes", "torch", training_mode),
    Contender("`eval()`, dropout modules to `train()`", "torch", dropout_modules),
    Contender("baal, `ModelWrapper`", opened=baal_wrapper(True), excludes=rows_not_first, **BAAL),
    Contender(
        "baal, `ModelWrapper`, `replicate_in_memory=False`",
        opened=baal_wrapper(False),
        excludes=one_or_a_sequence,
        **BAAL,
    ),
    Contender("baal, `MCDropoutModule` in a loop", opened=baal_module, **BAAL),
    Contender(
        "torch-uncertainty, `on_batch=True`",
        opened=torch_uncertainty(on_batch=True),
        excludes=first_of(rows_not_first, one_input, output_no_tensor),
        **UNCERTAINTY,
    ),
    Contender(
        "torch-uncertainty, `on_batch=False`",
        opened=torch_uncertainty(on_batch=False),
        excludes=output_no_tensor,
        **UNCERTAINTY,
    ),
    Contender(
        "lightning-uq-box, `MCDropoutClassification`",
        opened=uq_box_classification,
        excludes=first_of(one_input, output_no_tensor, classes_counted),
        **UQ_BOX,
    ),
    Contender(
        "lightning-uq-box, `MCDropoutRegression`",
        opened=uq_box_regression,
        excludes=first_of(one_input, output_no_tensor),
        **UQ_BOX,
    ),
    Contender("mcdrop", "mcdrop", mcdrop),
]

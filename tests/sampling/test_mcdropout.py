"""The public face: what goes in, what comes out, and what is said when it cannot."""

import dataclasses
import re
from collections import OrderedDict, namedtuple

import pytest
import torch
from torch import Tensor, nn

import mcdrop
from mcdrop.errors import InputError, NonFiniteError, NoSiteError, NoSpreadError, OutputError, UnavailableError
from tests.networks import MLP

Pair = namedtuple("Pair", ["logits", "hidden"])


@dataclasses.dataclass
class Record:
    logits: Tensor
    hidden: Tensor
    note: str = ""


class ModelOutput(OrderedDict):
    """As transformers' class of this name: a mapping whose keys are attributes too, absent ones left out."""


@dataclasses.dataclass
class Output(ModelOutput):
    loss: Tensor | None = None
    logits: Tensor | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) is not None:
                self[field.name] = getattr(self, field.name)


class Talker(nn.Module):
    """Takes two positional inputs and a keyword, returns its answer in any structure."""

    def __init__(self, make) -> None:
        super().__init__()
        self.body, self.head, self.drop, self.make = nn.Linear(6, 8), nn.Linear(8, 3), nn.Dropout(), make

    def forward(self, x, shift=None, *, scale=1.0):
        hidden = self.drop(self.body(x if shift is None else x + shift) * scale)
        return self.make(self.head(hidden), hidden)


X = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
MAKERS = {
    "tuple": (lambda logits, hidden: (logits, hidden), 0),
    "list": (lambda logits, hidden: [logits, hidden], 0),
    "dict": (lambda logits, hidden: {"logits": logits, "hidden": hidden}, "logits"),
    "namedtuple": (Pair, "logits"),
    "dataclass": (Record, "logits"),
    "ModelOutput": (lambda logits, hidden: Output(logits=logits), "logits"),
    "nested, by a function": (lambda logits, hidden: {"a": [hidden, (logits,)]}, lambda out: out["a"][1][0]),
}


def predict(model, *inputs, likelihood=None, **options):
    options = {"num_samples": 10, "seed": 0, **options}
    return mcdrop.predict(model, *inputs, likelihood=likelihood or mcdrop.Categorical(), **options)


@pytest.mark.parametrize("name", MAKERS)
def test_outputs_of_any_structure(name) -> None:
    make, output = MAKERS[name]
    plain = Talker(lambda logits, hidden: logits)
    talker = Talker(make)
    talker.load_state_dict(plain.state_dict())
    expected = predict(plain, X).probs
    torch.testing.assert_close(predict(talker, X, output=output).probs, expected)
    draws = mcdrop.MCDropout(talker, likelihood=mcdrop.Identity(), num_samples=10, seed=0).sample(X)
    assert type(draws) is type(talker(X))
    whole = predict(talker, X, likelihood=mcdrop.Identity())
    assert type(whole.mean) is type(talker(X))


@pytest.mark.parametrize("name", ["tuple", "dict", "dataclass"])
def test_a_tree_where_a_tensor_is_needed_names_its_parts(name) -> None:
    with pytest.raises(OutputError, match="output="):
        predict(Talker(MAKERS[name][0]), X)


def test_an_output_that_does_not_exist_is_refused_by_name() -> None:
    message = re.escape("output='logit' was given; the model returns a dict with logits: float32 (5, 3), hidden")
    with pytest.raises(OutputError, match=message):
        predict(Talker(MAKERS["dict"][0]), X, output="logit")


def test_positional_and_keyword_inputs() -> None:
    model = Talker(lambda logits, hidden: logits)
    shift = torch.ones(5, 6)
    first = predict(model, X, shift, scale=2.0).probs
    assert torch.equal(predict(model, X, shift=shift, scale=2.0).probs, first)
    assert torch.equal(predict(model, x=X, shift=shift, scale=2.0).probs, first)
    assert not torch.equal(predict(model, X, shift).probs, first)


def test_a_dict_as_the_one_input() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = MLP()

        def forward(self, batch):
            return self.net(batch["x"])

    assert predict(Reader(), {"x": X, "name": "rows"}).probs.shape == (5, 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_types_and_modes(dtype, mode) -> None:
    torch.manual_seed(0)
    model = MLP().to(dtype)
    with mode():
        prediction = predict(model, X.to(dtype), num_samples=200)
    exact = predict(model.double(), X.double(), num_samples=200)
    assert prediction.probs.dtype == torch.float64
    assert not prediction.probs.requires_grad
    assert prediction.provenance.execution == "vectorised"
    assert (prediction.probs - exact.probs).abs().max() < 20 * torch.finfo(dtype).eps


def test_gradients_flow_when_asked() -> None:
    model = MLP()
    x = X.clone().requires_grad_()
    mcdrop.predict(model, x, likelihood=mcdrop.Categorical(), num_samples=10, seed=0, grad=True).probs[
        :, 0
    ].sum().backward()
    assert x.grad.abs().min() > 0
    assert model.first.weight.grad.abs().sum() > 0
    for execution in ("loop", "vectorised"):
        model.zero_grad()
        plan = mcdrop.Plan(execution=execution)
        predict(model, X, likelihood=mcdrop.Gaussian(1.0), grad=True, plan=plan).mean.sum().backward()
        if execution == "loop":
            looped = model.first.weight.grad
    torch.testing.assert_close(model.first.weight.grad, looped)


def test_one_draw_has_a_mean_and_nothing_else() -> None:
    prediction = predict(MLP(), X, num_samples=1)
    assert prediction.probs.shape == (5, 3)
    with pytest.raises(UnavailableError, match="num_samples>=2"):
        prediction.epistemic  # noqa: B018


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "num_samples=0 was given; expected an integer >= 1"),
        ({"num_samples": 1.5}, "num_samples=1.5 was given; expected an integer >= 1"),
        ({"seed": -1}, "seed=-1 was given; expected an integer >= 0"),
        ({"likelihood": "categorical"}, r"likelihood='categorical' was given; expected an object such as"),
        ({"design": "iid"}, "design='iid' was given; expected a mcdrop.Design"),
        ({"plan": "loop"}, "plan='loop' was given; expected a mcdrop.Plan"),
        ({"sites": "head.*"}, r"sites='head.\*' was given; expected a mcdrop.Sites"),
        ({"batch_dim": "N"}, "batch_dim='N' was given; expected an axis"),
    ],
)
def test_options_out_of_range(options, message, without_type_checks) -> None:
    with pytest.raises(InputError, match=message):
        predict(MLP(), X, **options)


def test_no_model(without_type_checks) -> None:
    with pytest.raises(InputError, match=r"function was given as the model; expected a torch.nn.Module"):
        predict(lambda x: x, X)


def test_nothing_to_sample() -> None:
    with pytest.raises(NoSiteError, match="No stochastic site in Linear: no dropout operation runs in it"):
        predict(nn.Linear(6, 3), X)
    with pytest.raises(NoSiteError, match="No stochastic site in MLP: all of its 3 sites have p = 0"):
        predict(MLP(p=0.0), X)


def test_p_of_one() -> None:
    model = nn.Sequential(nn.Dropout(1.0), nn.Linear(6, 3))
    with pytest.raises(NoSpreadError, match=r"Every site that ran has p = 1 \(0:dropout\): it drops everything"):
        predict(model, X)


def test_no_spread_although_masks_differ() -> None:
    with pytest.raises(
        NoSpreadError, match=r"All 10 draws of all rows are bit-identical although the masks at 0:dropout"
    ):
        predict(nn.Sequential(nn.Dropout(), nn.Linear(6, 3)), torch.zeros(5, 6))


def test_rounding_by_the_place_in_a_chunk_is_no_spread() -> None:
    for seed in range(40):  # with most of them torch rounds all draws alike
        torch.manual_seed(seed)
        model, x = nn.Sequential(nn.Linear(4, 7), nn.Dropout(1.0), nn.Linear(7, 5), nn.Sigmoid()), torch.randn(5, 4)
        with pytest.raises(NoSpreadError, match="p = 1"):
            predict(model, x, num_samples=23, likelihood=mcdrop.Identity())


def test_no_spread_because_all_masks_are_equal_is_a_result() -> None:
    prediction = predict(nn.Sequential(nn.Dropout(1e-6), nn.Linear(6, 3)), X, num_samples=3)
    assert prediction.epistemic.max() < 1e-30  # equal to rounding


def test_an_empty_batch() -> None:
    with pytest.raises(InputError, match="The input has 0 rows; expected at least one"):
        predict(MLP(), X[:0])


def test_no_tensor_at_all() -> None:
    with pytest.raises(InputError, match="no tensor; expected at least one tensor"):
        predict(MLP(), [1.0, 2.0])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_inputs_that_are_not_finite(value) -> None:
    x = X.clone()
    x[2, 1] = value
    with pytest.raises(NonFiniteError, match="The input holds 1 values that are NaN or infinite"):
        predict(MLP(), x)


def test_outputs_that_are_not_finite() -> None:
    model = MLP()
    with torch.no_grad():
        model.last.bias[0] = float("nan")
    with pytest.raises(NonFiniteError, match="The input is finite"):
        predict(model, X)


@pytest.mark.parametrize(
    ("likelihood", "shape"),
    [
        (mcdrop.Categorical(), (5,)),
        (mcdrop.Binary(), (5, 2)),
        (mcdrop.HeteroscedasticGaussian(), (5, 3)),
        (mcdrop.Gaussian(torch.ones(2)), (5, 3)),
    ],
    ids=repr,
)
def test_a_likelihood_that_does_not_fit(likelihood, shape) -> None:
    with pytest.raises(OutputError):
        predict(nn.Dropout(), torch.ones(shape), likelihood=likelihood)


def test_integer_outputs() -> None:
    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = MLP()

        def forward(self, x):
            return (self.net(x) * 10).long()

    with pytest.raises(OutputError, match="int64"):
        predict(Rounded(), X)


def test_representation() -> None:
    mc = mcdrop.MCDropout(MLP(), likelihood=mcdrop.Categorical(), num_samples=7, seed=3)
    assert repr(mc).startswith("MCDropout(MLP, likelihood=Categorical(")
    assert (mc.num_samples, mc.seed) == (7, 3)


def test_the_cache_is_bounded_and_clearable() -> None:
    mc = mcdrop.MCDropout(MLP(), likelihood=mcdrop.Categorical(), num_samples=2, seed=0)
    for rows in range(2, 5):
        mc(X[:rows])
    assert len(mc._known) == 1  # another number of rows is no other kind of input
    for width in range(40):
        mc.sample(torch.ones(2, 6).expand(width + 1, 2, 6))
    assert len(mc._known) <= 32
    mc.clear()
    assert len(mc._known) == 0

"""Callables: known mixtures, any library's arrays, the face of MCDropout, and what is said when it cannot be."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

import mcdrop
from mcdrop.errors import InputError, NonFiniteError, NoSpreadError, OutputError
from tests.networks import MLP

T = 2000
X = np.random.default_rng(0).normal(size=(5, 6))


class Foreign:
    """An array of a library that torch has never heard of."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __array__(self, dtype=None) -> np.ndarray:  # as before NumPy 2
        return self._values


class Masked:
    """A linear layer under dropout p = 0.3: every input's weight is 0 or w / 0.7."""

    weights = np.random.default_rng(1).normal(size=(6, 2))

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self.calls = 0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.calls += 1
        return (x * (self._rng.random(x.shape) < 0.7) / 0.7) @ self.weights

    def many(self, x: np.ndarray) -> np.ndarray:
        """A hundred draws at once."""
        return np.stack([self(x) for _ in range(100)])


def predictor(fn, likelihood=None, **options) -> mcdrop.sampling.StochasticFunction:
    return mcdrop.from_callable(fn, likelihood=likelihood or mcdrop.Identity(), **{"num_samples": T, **options})


@pytest.mark.parametrize("many", [False, True], ids=["one draw per call", "100 draws per call"])
def test_a_bernoulli_mixture_has_its_closed_form(many) -> None:
    """Mean x w, variance p / (1 - p) x^2 w^2, each within 4 standard errors."""
    fn = Masked()
    prediction = predictor(fn.many, draws_per_call=100)(X) if many else predictor(fn)(X)
    mean, variance = X @ fn.weights, 0.3 / 0.7 * (X**2) @ fn.weights**2
    assert (abs(prediction.mean.numpy() - mean) < 4 * np.sqrt(variance / T)).all()
    # A variance from T draws of kurtosis k errs by variance sqrt((k - 1) / T); the draws say k.
    draws = prediction.samples.numpy() - mean
    error = variance * np.sqrt(((draws**4).mean(0) / variance**2 - 1) / T)
    assert (abs(prediction.variance.numpy() - variance) < 4 * error).all()
    torch.testing.assert_close(prediction.mc_error, (prediction.variance / T).sqrt())  # independent draws
    assert fn.calls == T


def test_a_torch_loop_agrees_in_law_with_mcdropout() -> None:
    """The naive recipe, train() and T passes, against the engine with masks of their own: two samples of one law."""
    torch.manual_seed(0)
    model, x = MLP(), torch.randn(5, 6)
    exact = mcdrop.MCDropout(model, likelihood=mcdrop.Categorical(), num_samples=T, seed=0, shared_masks=False)(x)
    naive = predictor(model.train(), mcdrop.Categorical())(x)
    distance = (naive.probs - exact.probs) / (naive.mc_error**2 + exact.mc_error**2).sqrt()
    assert distance.abs().max() < 4
    # By the same mc_error, the relative error of each variance is about sqrt(2 / T), more for heavy tails.
    assert (naive.epistemic / exact.epistemic - 1).abs().max() < 4 * (2 * 3 / T) ** 0.5
    assert naive.epistemic.min() > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy, Foreign])
def test_arrays_of_any_library(dtype, wrap) -> None:
    fn = Masked()
    prediction = predictor(lambda x: wrap(fn(x).astype(dtype)), num_samples=20)(X)
    expected = predictor(Masked(), num_samples=20)(X)
    torch.testing.assert_close(prediction.mean, expected.mean, rtol=1e-2, atol=5e-3)


@dataclasses.dataclass
class Record:
    value: np.ndarray
    note: str = ""


def test_trees_of_arrays() -> None:
    def fn(x):
        y = Masked()._rng.random()  # the same each time
        return {"noise": np.random.default_rng().normal(size=(5, 1)), "rest": [Record(x + y), torch.zeros(5)]}

    prediction = predictor(fn, num_samples=8)(X)
    assert isinstance(prediction.mean["rest"][0], Record)
    assert prediction.mean["rest"][0].value.shape == (5, 6)
    assert predictor(fn, num_samples=8, output="noise")(X).mean.shape == (5, 1)


def test_inputs_arrive_as_they_are_given() -> None:
    seen = []

    def fn(*args, **kwargs):
        seen.append((args, kwargs))
        return np.random.default_rng().normal(size=(1, 2))

    sentence = ["no tensor at all"]
    predictor(fn, num_samples=3)(sentence, scale=2)
    assert seen == [((sentence,), {"scale": 2})] * 3
    assert seen[0][0][0] is sentence


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("many", [False, True])
def test_a_function_may_reuse_its_memory(kind, many) -> None:
    buffer, count = (np.zeros((2, 3, 1)) if many else np.zeros((3, 1))), iter(range(100))
    shown = torch.from_numpy(buffer) if kind == "torch" else buffer

    def fn(x):
        buffer[...] = next(count)
        return shown

    samples = predictor(fn, num_samples=4, draws_per_call=2 if many else None).sample(X)
    assert samples[:, 0, 0].tolist() == ([0, 0, 1, 1] if many else [0, 1, 2, 3])


def test_the_surplus_of_the_last_call_is_not_read() -> None:
    fn = Masked()
    prediction = predictor(fn.many, num_samples=250, draws_per_call=100)(X)
    assert prediction.num_samples == len(prediction.samples) == 250
    assert fn.calls == 300


def test_provenance_says_what_is_known() -> None:
    provenance = predictor(Masked(), num_samples=3)(X).provenance
    assert (provenance.seed, provenance.block_size, provenance.shared_masks) == (None, 1, False)
    assert provenance.execution == "callable: Masked"
    many = predictor(Masked().many, num_samples=3, draws_per_call=100)(X).provenance
    assert many.execution == "callable: Masked.many, 100 draws per call"


def test_loaders_of_arrays() -> None:
    prediction = predictor(Masked(), num_samples=500).predict([X[:2], X[2:]])
    variance = 0.3 / 0.7 * (X**2) @ Masked.weights**2
    assert len(prediction) == 5
    assert (abs(prediction.mean.numpy() - X @ Masked.weights) < 4 * np.sqrt(variance / 500)).all()
    assert prediction.provenance.execution == "callable: Masked"


def test_scores_of_a_forest_of_scikit_learn() -> None:
    """Bootstrapped logistic regressions: T fresh members, accuracy against the vote counted by hand."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = (x[:, 0] + 0.5 * rng.normal(size=200) > 0).astype(int)
    drawn = []

    def member(rows):
        pick = rng.integers(0, 100, 100)
        drawn.append(LogisticRegression().fit(x[pick], y[pick]).predict_proba(rows))
        return drawn[-1]

    mc = predictor(member, mcdrop.Categorical(probs=True), num_samples=10)
    scores = mc.evaluate([(x[100:], y[100:])])
    by_hand = (np.mean(drawn, axis=0).argmax(-1) == y[100:]).mean()
    assert scores["accuracy"].value == pytest.approx(by_hand)
    assert 0.7 < by_hand < 1


def test_gradients_flow_when_asked() -> None:
    weight = torch.ones(6, 1, requires_grad=True)

    def fn(x):
        return nn.functional.dropout(x, 0.5) @ weight

    x = torch.ones(3, 6)
    assert not predictor(fn, num_samples=4)(x).mean.requires_grad
    predictor(fn, num_samples=50, grad=True)(x).mean.sum().backward()
    assert weight.grad.min() > 0


def test_draws_that_are_all_alike() -> None:
    message = (
        r"All 5 draws of .*<lambda> are bit-identical; expected a fresh draw from every call\. Turn its dropout on "
        r"\(a Keras model is called with training=True"
    )
    with pytest.raises(NoSpreadError, match=message):
        predictor(lambda x: x, num_samples=5)(X)
    with pytest.raises(NoSpreadError):
        predictor(lambda x: np.stack([x, x]), num_samples=4, draws_per_call=2).sample(X)
    assert predictor(lambda x: x, num_samples=1)(X).num_samples == 1  # one draw cannot differ


def test_one_differing_row_is_spread() -> None:
    fn, count = lambda x: x + np.eye(5, 6) * next(count), iter(range(10))
    assert (predictor(fn, num_samples=3)(X).variance > 0).sum() == 5


@pytest.mark.parametrize(
    ("result", "options", "message"),
    [
        (None, {}, "The output that is read is a NoneType with no tensor"),
        ([1.0, 2.0], {}, "The output that is read is a list with no tensor"),
        (np.array(["a", "b"]), {}, "<lambda> returned an array that holds no numbers"),
        (np.zeros((3, 5, 1)), {"draws_per_call": 4}, r"returned float64 \(3, 5, 1\) and draws_per_call=4; expected"),
        (np.float64(1.0), {"draws_per_call": 4}, r"returned float64 \(\) and draws_per_call=4"),
        (
            {"mean": np.zeros((5, 1))},
            {"output": "men"},
            "output='men' was given; the model returns a dict with mean: float64",
        ),
    ],
    ids=str,
)
def test_results_that_cannot_be_read(result, options, message) -> None:
    with pytest.raises(OutputError, match=message):
        predictor(lambda x: result, num_samples=4, **options)(X)


def test_calls_that_differ_in_shape() -> None:
    sizes = iter((5, 4))
    with pytest.raises(OutputError, match=re.escape("returned float64 (4, 1) after float64 (5, 1); expected the same")):
        predictor(lambda x: np.zeros((next(sizes), 1)), num_samples=2)(X)


def test_values_that_are_not_finite_name_the_input() -> None:
    bad = X.copy()
    bad[0, 0] = np.nan
    with pytest.raises(NonFiniteError, match="The input holds 1 values that are NaN or infinite"):
        predictor(Masked(), num_samples=4)(bad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fn": 3}, "int was given as the function; expected something that can be called"),
        ({"likelihood": "gaussian"}, "likelihood='gaussian' was given"),
        ({"num_samples": 0}, "num_samples=0 was given; expected an integer >= 1"),
        ({"draws_per_call": 0}, "draws_per_call=0 was given; expected an integer >= 1"),
        ({"draws_per_call": 2.0}, "draws_per_call=2.0 was given; expected an integer >= 1"),
        ({"draws_per_call": True}, "draws_per_call=True was given; expected an integer >= 1"),
    ],
    ids=str,
)
def test_arguments_are_checked_before_any_call(options, message, without_type_checks) -> None:
    fn = Masked()
    with pytest.raises(InputError, match=message):
        mcdrop.from_callable(**{"fn": fn, "likelihood": mcdrop.Identity(), **options})
    assert fn.calls == 0


def test_pairs_need_a_function_of_one_argument() -> None:
    targets = np.zeros((5, 2))
    assert predictor(Masked(), mcdrop.Gaussian(1.0), num_samples=5).evaluate([(X, targets)])["rmse"].value > 0
    with pytest.raises(InputError, match=r"<lambda> takes \(\*args\), so it cannot be told"):
        predictor(lambda *args: args[0], num_samples=5).predict([(X, targets)])
    with pytest.raises(InputError, match=r"takes \(\*args\)"):
        predictor(max, num_samples=5).predict([(X, targets)])  # written in C, it does not say
    prediction = predictor(lambda *args: Masked.weights * np.random.default_rng().normal(), num_samples=5)
    assert len(prediction.predict([(X, targets)], unpack=lambda batch: batch)) == 6


def test_representation() -> None:
    assert repr(predictor(Masked())) == (
        "StochasticFunction(Masked, likelihood=Identity(), num_samples=2000, draws_per_call=None)"
    )

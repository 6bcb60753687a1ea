"""A single network against its forest: the numbers, against the definitions, and the sentences, against the numbers."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.calibration import error_rate, negative_log_likelihood, rmse
from mcdrop.errors import InputError
from mcdrop.training.comparison import Comparison, compare
from tests.networks import MLP, trained_looking

G = torch.Generator().manual_seed(0)
X, X_TRAIN = torch.randn(60, 6, generator=G, dtype=torch.float64), torch.randn(90, 6, generator=G, dtype=torch.float64)
LABELS, LABELS_TRAIN = torch.randint(3, (60,), generator=G), torch.randint(3, (90,), generator=G)
MODEL = trained_looking(MLP())
T = 40


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(MODEL, (X, LABELS), train=(X_TRAIN, LABELS_TRAIN), likelihood=mcdrop.Categorical(), num_samples=T)


def test_the_forest_is_what_predict_gives(found) -> None:
    for contenders, x, y in ((found.test, X, LABELS), (found.train, X_TRAIN, LABELS_TRAIN)):
        prediction = mcdrop.predict(MODEL, x, likelihood=mcdrop.Categorical(), num_samples=T, seed=0)
        for ours, theirs in (
            (contenders["forest"].loss, negative_log_likelihood(prediction, y)),
            (contenders["forest"].error, error_rate(prediction, y)),
        ):
            assert ours.value == pytest.approx(theirs.value)
            assert ours.standard_error == pytest.approx(theirs.standard_error)
            assert ours.mc_error == pytest.approx(theirs.mc_error, rel=1e-5)


def test_the_weight_scaled_net_is_evaluation_mode(found) -> None:
    with torch.no_grad():
        logits = MODEL.eval()(X)
    losses = nn.functional.cross_entropy(logits, LABELS, reduction="none")
    scaled = found.test["weight-scaled net"]
    assert scaled.loss.value == pytest.approx(float(losses.mean()))
    assert scaled.loss.standard_error == pytest.approx(float(losses.std()) / math.sqrt(60))
    assert scaled.error.value == pytest.approx(float((logits.argmax(1) != LABELS).double().mean()))
    assert scaled.loss.mc_error is None
    assert scaled.loss_spread is None


def test_one_tree_is_the_mean_over_draws_of_what_each_scores_alone(found) -> None:
    draws = mcdrop.MCDropout(MODEL, likelihood=mcdrop.Categorical(), num_samples=T, seed=0).sample(X)
    losses = torch.stack([nn.functional.cross_entropy(draw, LABELS) for draw in draws])
    errors = torch.stack([(draw.argmax(1) != LABELS).double().mean() for draw in draws])
    tree = found.test["one tree"]
    assert tree.loss.value == pytest.approx(float(losses.mean()))
    assert tree.loss_spread == pytest.approx(float(losses.std()))
    assert tree.error.value == pytest.approx(float(errors.mean()))
    assert tree.error_spread == pytest.approx(float(errors.std()))
    # of a mean of independent draws: s / sqrt(T), up to the jackknife's own error over 10 groups of 4
    assert tree.loss.mc_error == pytest.approx(float(losses.std()) / math.sqrt(T), rel=4 / math.sqrt(2 * 9))


def test_batches_change_nothing(found) -> None:
    batches = list(zip(X.split(7), LABELS.split(7), strict=True))
    again = compare(MODEL, batches, likelihood=mcdrop.Categorical(), num_samples=T)
    for name, contender in again.test.items():
        assert contender.to_dict() == pytest.approx(found.test[name].to_dict()), name
    torch.testing.assert_close(again.curve.loss, found.curve.loss)
    assert again.train is None


def test_differences_have_the_error_of_the_rows_differences(found) -> None:
    prediction = mcdrop.predict(MODEL, X, likelihood=mcdrop.Categorical(), num_samples=T, seed=0)
    with torch.no_grad():
        scaled = nn.functional.cross_entropy(MODEL.eval()(X), LABELS, reduction="none")
    rows = -prediction.probs[torch.arange(60), LABELS].log() - scaled
    difference = found.test["forest"].loss - found.test["weight-scaled net"].loss
    assert difference.value == pytest.approx(float(rows.mean()))
    assert difference.standard_error == pytest.approx(float(rows.std()) / math.sqrt(60))
    assert difference.mc_error == found.test["forest"].loss.mc_error


def test_the_curve_falls_from_one_tree_to_the_forest(found) -> None:
    curve = found.curve
    assert curve.num_samples == (1, 2, 5, 10, 20, 40)
    assert curve.loss.shape == curve.error.shape == (6, 20)
    assert (curve.loss.mean(dim=1).diff() < 0).all()  # in expectation it must, by Jensen
    np.testing.assert_allclose(curve.loss[-1], found.test["forest"].loss.value)
    np.testing.assert_allclose(curve.error[-1], found.test["forest"].error.value)
    # the mean over 20 single trees of 40: within four standard errors of the mean over all
    error = float(curve.loss[0].std()) / math.sqrt(20)
    assert abs(float(curve.loss[0].mean()) - found.test["one tree"].loss.value) < 4 * error


def test_regression(found) -> None:
    y = torch.randn(60, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    likelihood = mcdrop.Gaussian(precision=0.05)
    comparison = compare(MODEL, (X, y), likelihood=likelihood, num_samples=T, sizes=[1, 3])
    prediction = mcdrop.predict(MODEL, X, likelihood=likelihood, num_samples=T, seed=0)
    for ours, theirs in (
        (comparison.test["forest"].loss, negative_log_likelihood(prediction, y)),
        (comparison.test["forest"].error, rmse(prediction, y)),
    ):
        assert ours.value == pytest.approx(theirs.value)
        assert ours.standard_error == pytest.approx(theirs.standard_error)
        assert ours.mc_error == pytest.approx(theirs.mc_error, rel=1e-5)
    assert comparison.error_name == "rmse"
    assert comparison.curve.num_samples == (1, 3, T)
    np.testing.assert_allclose(comparison.curve.error[-1], comparison.test["forest"].error.value)
    with torch.no_grad():
        expected = (MODEL.eval()(X) - y).square().mean().sqrt()
    assert comparison.test["weight-scaled net"].error.value == pytest.approx(float(expected))


def test_an_ensemble_has_members_their_average_and_a_forest_of_theirs() -> None:
    members = [trained_looking(MLP(), seed) for seed in range(3)]
    comparison = compare(mcdrop.Ensemble(members), (X, LABELS), likelihood=mcdrop.Categorical(), num_samples=30)
    single = [negative_log_likelihood(
        mcdrop.predict(mcdrop.Ensemble([m]), X, likelihood=mcdrop.Categorical()), LABELS) for m in members]  # fmt: skip
    values = torch.tensor([score.value for score in single], dtype=torch.float64)
    assert comparison.test["weight-scaled net"].loss.value == pytest.approx(float(values.mean()))
    assert comparison.test["weight-scaled net"].loss_spread == pytest.approx(float(values.std()))
    deep = mcdrop.predict(mcdrop.Ensemble(members), X, likelihood=mcdrop.Categorical())
    assert comparison.test["members, averaged"].loss.value == pytest.approx(negative_log_likelihood(deep, LABELS).value)
    forest = mcdrop.predict(mcdrop.Ensemble(members, dropout=True), X, likelihood=mcdrop.Categorical(), num_samples=30,
                            seed=0)  # fmt: skip
    theirs = negative_log_likelihood(forest, LABELS)
    assert comparison.test["forest"].loss.value == pytest.approx(theirs.value)
    assert comparison.test["forest"].loss.mc_error == pytest.approx(theirs.mc_error, rel=1e-5)
    assert "against the members, averaged it" in comparison.answers[1]


def test_the_record_is_json_and_the_print_a_table(found) -> None:
    again = json.loads(json.dumps(found.to_dict()))
    assert again["test"]["forest"]["loss"] == found.test["forest"].loss.value
    assert again["curve"]["num_samples"] == [1, 2, 5, 10, 20, 40]
    lines = str(found).splitlines()
    assert [line.split("  ")[0] for line in lines[1:5]] == list(found.test)
    assert lines[-3:] == list(found.answers)


def test_the_model_and_the_random_state_are_left_as_they_were(found) -> None:
    model = trained_looking(MLP()).train()
    state = torch.get_rng_state()
    compare(model, (X, LABELS), likelihood=mcdrop.Categorical(), num_samples=4)
    assert model.training
    assert torch.equal(state, torch.get_rng_state())


def test_what_does_not_fit_is_refused(without_type_checks) -> None:
    options = {"likelihood": mcdrop.Categorical()}
    with pytest.raises(InputError, match="a comparison needs at least 2 trees"):
        compare(MODEL, (X, LABELS), num_samples=1, **options)
    with pytest.raises(InputError, match="size=0 was given; expected an integer >= 1"):
        compare(MODEL, (X, LABELS), num_samples=5, sizes=[0, 3], **options)
    with pytest.raises(InputError, match=r"sizes=\[6, 3\] was given; expected integers from 1 to num_samples=5"):
        compare(MODEL, (X, LABELS), num_samples=5, sizes=[6, 3], **options)
    with pytest.raises(InputError, match="design, seeds was given; compare takes sites, output and plan of MCDropout"):
        compare(MODEL, (X, LABELS), design=mcdrop.Antithetic(), seeds=3, **options)
    with pytest.raises(InputError, match=r"60.* rows and 59 targets"):
        compare(MODEL, (X, LABELS[1:]), **options)
    with pytest.raises(InputError, match="expected a pair"):
        compare(MODEL, X, **options)
    with pytest.raises(InputError, match="can be read only once"):
        compare(MODEL, iter([(X, LABELS)]), **options)


def test_numpys_integers_are_integers(without_type_checks) -> None:
    one, two = (
        compare(
            MODEL, (X, LABELS), likelihood=mcdrop.Categorical(), num_samples=integer(6), seed=integer(3),
            sizes=[integer(2), integer(4)],
        )
        for integer in (int, np.int64)
    )  # fmt: skip
    assert one.to_dict() == two.to_dict()
    assert one.curve.num_samples == (2, 4, 6)

import math

import numpy as np
import properscoring
import pytest
import torch
import uncertainty_toolbox
from scipy import stats

from mcdrop.calibration import (
    Score,
    crps,
    interval_coverage,
    interval_score,
    interval_width,
    rmse,
    sharpness,
)
from mcdrop.errors import InputError, NonFiniteError, UnavailableError
from mcdrop.prediction import Binary, Gaussian, HeteroscedasticGaussian, Identity, Poisson, Provenance, from_draws
from tests import reference

RNG = np.random.default_rng(0)
T, N = 20, 30
MEANS, STDS, Y = RNG.normal(size=(T, N)), RNG.uniform(0.3, 1.5, size=(T, N)), RNG.normal(size=N)
COUNTS = RNG.poisson(2, size=N)


def normals(means=MEANS, stds=STDS, **options):
    return from_draws((torch.from_numpy(means), torch.from_numpy(stds)), HeteroscedasticGaussian("std"), **options)


def drawn(values, likelihood, **options):
    return from_draws(torch.from_numpy(np.asarray(values)), likelihood, **options)


PREDICTIONS = {
    "normals": (normals, Y),
    "gaussian": (lambda **options: drawn(MEANS, Gaussian(4.0), **options), Y),
    "poisson": (lambda **options: drawn(MEANS / 2, Poisson(), **options), COUNTS),
    "draws": (lambda **options: drawn(MEANS, Identity(), **options), Y),
}
SCORES = {
    "crps": crps,
    "fair": lambda p, y: crps(p, y, fair=True),
    "interval_score": lambda p, y: interval_score(p, y, coverage=0.8),
    "interval_coverage": lambda p, y: interval_coverage(p, y, coverage=0.8),
    "interval_width": lambda p, y: interval_width(p, coverage=0.8),
    "sharpness": lambda p, y: sharpness(p),
}


def test_the_crps_of_draws_is_properscorings():
    assert crps(MEANS, Y).value == pytest.approx(properscoring.crps_ensemble(Y, MEANS, axis=0).mean(), rel=1e-12)
    reversed_ = MEANS[::-1, ::-1]  # neither order nor memory layout matter
    assert crps(reversed_, Y[::-1]).value == pytest.approx(crps(MEANS, Y).value, rel=1e-12)


def test_one_normal_has_the_scores_of_properscoring_and_uncertainty_toolbox():
    mean, std = MEANS[:1], STDS[:1]
    prediction = normals(mean, std)
    metrics = uncertainty_toolbox.metrics_scoring_rule
    for expected in (
        properscoring.crps_gaussian(Y, mean[0], std[0]).mean(),
        metrics.crps_gaussian(mean[0], std[0], Y),
    ):
        assert crps(prediction, Y).value == pytest.approx(expected, rel=1e-12)
    levels = np.linspace(0.01, 0.99, 99)  # of which uncertainty-toolbox takes the average
    ours = np.mean([interval_score(prediction, Y, coverage=level).value for level in levels])
    assert ours == pytest.approx(metrics.interval_score(mean[0], std[0], Y), rel=1e-9)
    expected = uncertainty_toolbox.metrics_calibration.sharpness(std[0])
    assert sharpness(prediction).value == pytest.approx(expected, rel=1e-12)


def test_two_peaks_are_not_scored_as_one_normal():
    """Normal(-3, 1) or Normal(3, 1), target 3: E|Y - y| = (A(0, 1) + A(6, 1))/2, E|Y - Y'| = (A(0, 2) + A(6, 2))/2."""
    two = normals(np.array([[-3.0], [3.0]]), np.ones((2, 1)))
    near = (stats.foldnorm.mean(0) + stats.foldnorm.mean(6)) / 2
    mutual = (stats.foldnorm.mean(0) + stats.foldnorm.mean(6 / math.sqrt(2))) * math.sqrt(2) / 2
    assert crps(two, np.array([3.0])).value == pytest.approx(near - mutual / 2, rel=1e-9)
    matched = normals(np.zeros((1, 1)), np.full((1, 1), math.sqrt(10)))
    assert abs(crps(matched, np.array([3.0])).value - crps(two, np.array([3.0])).value) > 0.1


def test_the_interval_score_by_hand():
    """Normal(0, 1) at 80 %: ends -+1.2816; targets inside, .7184 above, 1.7184 below."""
    prediction = normals(np.zeros((1, 3)), np.ones((1, 3)))
    z = stats.norm.ppf(0.9)
    score = interval_score(prediction, np.array([0.0, 2.0, -3.0]), coverage=0.8)
    assert score.value == pytest.approx(2 * z + 10 * ((2 - z) + (3 - z)) / 3, rel=1e-9)
    assert interval_width(prediction, coverage=0.8).value == pytest.approx(2 * z, rel=1e-9)
    assert interval_coverage(prediction, np.array([0.0, 2.0, -3.0]), coverage=0.8).value == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", PREDICTIONS)
@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_intervals_are_those_of_the_prediction(name, coverage):
    make, y = PREDICTIONS[name]
    lower, upper = (end.numpy() for end in make().interval(coverage))
    inside = (lower <= y) & (y <= upper)
    assert interval_coverage(make(), y, coverage=coverage).value == pytest.approx(inside.mean(), rel=1e-12)
    assert interval_width(make(), coverage=coverage).value == pytest.approx((upper - lower).mean(), rel=1e-8)
    fine = 2 / (1 - coverage) * (np.maximum(lower - y, 0) + np.maximum(y - upper, 0))
    expected = (upper - lower + fine).mean()
    assert interval_score(make(), y, coverage=coverage).value == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("name", PREDICTIONS)
def test_sharpness_is_the_root_of_the_variance_of_the_mixture(name):
    make, _ = PREDICTIONS[name]
    noise = {"normals": STDS**2, "gaussian": 0.25, "poisson": np.exp(MEANS / 2), "draws": 0}[name]
    means = np.exp(MEANS / 2) if name == "poisson" else MEANS
    variance = (means.var(axis=0) + np.mean(np.broadcast_to(noise, means.shape), axis=0)).mean()
    assert sharpness(make()).value == pytest.approx(math.sqrt(variance), rel=1e-10)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(("name", "block_size"), [("normals", 1), ("gaussian", 3), ("poisson", 5), ("draws", 3)])
def test_monte_carlo_errors_are_the_literal_jackknife(name, score, block_size):
    make, y = PREDICTIONS[name]
    whole = make(block_size=block_size)
    groups = reference.group_counts(T, block_size)

    def value(numbers):
        kept = [int(number) for number in numbers]
        values = {
            "normals": lambda: normals(MEANS[kept], STDS[kept]),
            "gaussian": lambda: drawn(MEANS[kept], Gaussian(4.0)),
            "poisson": lambda: drawn(MEANS[kept] / 2, Poisson()),
            "draws": lambda: drawn(MEANS[kept], Identity()),
        }
        return SCORES[score](values[name](), y).value

    expected = reference.jackknife_error(np.arange(T), groups, value)
    # quantiles without a group are found to a fiftieth of their way
    precision = 2e-2 if score in ("interval_score", "interval_width") else 1e-6
    assert SCORES[score](whole, y).mc_error == pytest.approx(expected, rel=precision, abs=1e-12)


@pytest.mark.parametrize("score", ["crps", "sharpness"])
def test_standard_errors_are_the_spread_over_data_sets(score):
    """Each of 150 data sets of 50 rows is a slice of one prediction; the rows are independent."""
    sets, rows = 150, 50
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(4, sets * rows, generator=generator, dtype=torch.float64)
    stds = torch.rand(4, sets * rows, generator=generator, dtype=torch.float64) + 0.5
    y = torch.randn(sets * rows, generator=generator, dtype=torch.float64)
    prediction = from_draws((means, stds), HeteroscedasticGaussian("std"), provenance=Provenance(4, members=True))
    scores = [SCORES[score](prediction[at : at + rows], y[at : at + rows]) for at in range(0, sets * rows, rows)]
    spread = np.std([each.value for each in scores], ddof=1)
    squares = np.array([each.standard_error**2 for each in scores])
    uncertainty = math.hypot(math.sqrt(2 / sets), squares.std() / squares.mean() / math.sqrt(sets))
    assert abs(squares.mean() / spread**2 - 1) < 4 * uncertainty + 1 / rows
    assert uncertainty < 0.15  # so an error by a factor of two is seen


def test_the_fair_score_of_few_draws_is_that_of_many_on_average():
    """Draws N(0, 1), target .3: fair scores of 3 draws average to the score of the law, plain ones are higher."""
    draws, y = np.random.default_rng(1).normal(size=(3, 20_000)), np.full(20_000, 0.3)
    truth = properscoring.crps_gaussian(0.3, 0, 1)
    fair = crps(draws, y, fair=True)
    assert abs(fair.value - truth) < 4 * fair.standard_error
    assert crps(draws, y).value == pytest.approx(truth + 1 / math.sqrt(math.pi) / 3, abs=4 * fair.standard_error)
    parts = from_draws((torch.from_numpy(draws), torch.full((3, 20_000), 0.5)), HeteroscedasticGaussian("std"))
    assert crps(parts, y, fair=True).value == pytest.approx(
        properscoring.crps_gaussian(0.3, 0, math.sqrt(1.25)), abs=4 * fair.standard_error
    )


def test_the_difference_of_two_scores_is_paired():
    one, two = normals(), normals(MEANS + 0.01)
    difference = crps(two, Y) - crps(one, Y)
    assert difference.standard_error < crps(one, Y).standard_error / 10
    assert difference.mc_error < crps(one, Y).mc_error


def test_outputs_of_a_row_are_averaged_first():
    """(N, D) with equal outputs scores as (N,): the standard error counts rows. Each output may have its precision."""
    both = drawn(np.repeat(MEANS[..., None], 2, axis=2), Gaussian((4.0, 4.0)))
    single = PREDICTIONS["gaussian"][0]()
    for name, score in SCORES.items():
        two, one = score(both, np.repeat(Y[:, None], 2, axis=1)), score(single, Y)
        for field in ("value", "standard_error", "mc_error"):
            assert getattr(two, field) == pytest.approx(getattr(one, field), rel=1e-8), (name, field)
    apart = drawn(np.repeat(MEANS[..., None], 2, axis=2), Gaussian((4.0, 1.0)))
    alone = [crps(drawn(MEANS, Gaussian(tau)), Y).value for tau in (4.0, 1.0)]
    assert crps(apart, np.repeat(Y[:, None], 2, axis=1)).value == pytest.approx(np.mean(alone), rel=1e-12)


@pytest.mark.parametrize("name", PREDICTIONS)
def test_rows_in_pieces_give_the_same(name, monkeypatch):
    make, y = PREDICTIONS[name]
    whole = {key: score(make(), y) for key, score in SCORES.items()}
    monkeypatch.setattr("mcdrop.calibration.number_rows._PIECE", 7 * T)
    for key, score in SCORES.items():
        for field in ("value", "standard_error", "mc_error"):
            assert getattr(score(make(), y), field) == pytest.approx(getattr(whole[key], field), rel=1e-8), key


def test_columns_of_targets_stand_for_flat_ones_and_precision_for_both():
    column = drawn(MEANS[..., None].astype(np.float32), Gaussian(4.0))
    assert crps(column, Y).value == pytest.approx(crps(PREDICTIONS["gaussian"][0](), Y).value, rel=1e-6)


def test_draws_may_be_counts():
    draws = RNG.poisson(3, size=(T, N))
    expected = properscoring.crps_ensemble(COUNTS, draws, axis=0).mean()
    assert crps(draws, COUNTS).value == pytest.approx(expected, rel=1e-12)
    assert crps(torch.from_numpy(draws), COUNTS).value == pytest.approx(expected, rel=1e-12)


def test_constant_predictions_are_scored():
    same = drawn(np.full((T, N), 1.0), Gaussian(4.0))
    assert crps(same, Y).value == pytest.approx(properscoring.crps_gaussian(Y, 1.0, 0.5).mean(), rel=1e-12)
    assert crps(same, Y).mc_error == pytest.approx(0, abs=1e-15)
    point = np.full((T, N), 1.0)
    assert crps(point, Y).value == pytest.approx(np.abs(Y - 1).mean(), rel=1e-12)
    assert crps(point, Y, fair=True).value == pytest.approx(np.abs(Y - 1).mean(), rel=1e-12)
    assert interval_width(point) == Score(0.0, 0.0, None)
    assert sharpness(point) == Score(0.0, 0.0, None)
    assert interval_coverage(point, np.ones(N)).value == 1


def test_what_there_is_no_error_for():
    assert crps(MEANS, Y).mc_error is None  # an array may be all there is
    assert crps(normals(MEANS[:, :1], STDS[:, :1]), Y[:1]).standard_error is None  # one row
    assert crps(normals(MEANS[:1], STDS[:1]), Y).mc_error is None  # one draw
    assert crps(normals(provenance=Provenance(T, members=True)), Y).mc_error is None  # an ensemble
    assert crps(normals(MEANS[:2], STDS[:2]), Y, fair=True).mc_error is None  # no pair is left without a draw
    assert crps(normals(MEANS[:3], STDS[:3]), Y, fair=True).mc_error is not None


def test_gradients_do_not_disturb():
    prediction = from_draws(torch.from_numpy(MEANS).requires_grad_(), Gaussian(4.0))
    for score in SCORES.values():
        assert not score(prediction, Y).influence.requires_grad


def test_rmse_equals_sharpness_under_the_predicted_law():
    generator = torch.Generator().manual_seed(0)
    means = 3 * torch.randn(8, 20_000, generator=generator, dtype=torch.float64)
    which = torch.randint(8, (1, 20_000), generator=generator)
    y = means.gather(0, which)[0] + 0.5 * torch.randn(20_000, generator=generator, dtype=torch.float64)
    prediction = from_draws(means, Gaussian(4.0))
    error, predicted = rmse(prediction, y), sharpness(prediction)
    assert abs(error.value - predicted.value) < 4 * (error - predicted).standard_error


def test_what_does_not_fit():
    classes = drawn(MEANS, Binary())
    two = from_draws({"a": torch.zeros(2, 3), "b": torch.zeros(2, 3)}, Identity())
    nan = np.where(np.arange(N) == 3, np.nan, Y)
    for match, call in (
        (r"A prediction of Binary.* given, expected one of numbers: Gaussian", lambda: crps(classes, Y)),
        (r"A prediction of Identity\(\) given, expected one of numbers", lambda: crps(two, np.zeros(3))),
        (r"Targets of shape \(31,\) given for predictions of 30 rows", lambda: crps(MEANS, np.zeros(31))),
        (r"Targets of shape \(\) given for", lambda: crps(MEANS, np.array(1.0))),
        (r"Targets of shape \(30, 2\) given, predictions need \(30,\)", lambda: crps(MEANS, np.zeros((30, 2)))),
        ("1 targets are NaN or infinite", lambda: crps(normals(), nan)),
        ("Negative or fractional targets given", lambda: crps(PREDICTIONS["poisson"][0](), Y)),
        ("0 rows given, a score needs at least one", lambda: crps(MEANS[:, :0], Y[:0])),
        (r"An array of shape \(30,\) given, expected T >= 1 draws of y for each of N rows", lambda: crps(Y, Y)),
        (r"An array of shape \(0, 30\) given, expected T >= 1 draws", lambda: crps(MEANS[:0], Y)),
        ("pairs of different draws, and 1 draw given: at least 2", lambda: crps(MEANS[:1], Y, fair=True)),
        (r"coverage=95 given.*between 0 and 1", lambda: interval_score(MEANS, Y, coverage=95)),
        (r"coverage=1.0 given", lambda: interval_coverage(MEANS, Y, coverage=1.0)),
        (r"coverage=0.0 given", lambda: interval_width(MEANS, coverage=0.0)),
    ):
        with pytest.raises(InputError, match=match):
            call()
    with pytest.raises(NonFiniteError, match="are NaN or infinite in 20 of 20 draws"):
        crps(np.where(np.arange(N) == 3, np.nan, MEANS), Y)
    with pytest.raises(UnavailableError, match=r"needs every draw.*predict with keep_samples=True"):
        crps(normals(keep_samples=False), Y)

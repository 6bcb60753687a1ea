import math

import numpy as np
import pytest
import torch

from mcdrop.calibration import error_against_uncertainty, sparsification_error
from mcdrop.errors import InputError
from mcdrop.prediction import Gaussian, HeteroscedasticGaussian, Provenance, from_draws
from tests import reference

RNG = np.random.default_rng(0)
MEANS, STDS = RNG.normal(size=(12, 60)), RNG.uniform(0.3, 2, size=(12, 60)) * RNG.uniform(0.2, 3, size=60)
Y = MEANS.mean(axis=0) + STDS.mean(axis=0) * RNG.normal(size=60)
VARIANCE = (STDS**2 + (MEANS - MEANS.mean(axis=0)) ** 2).mean(axis=0)
ERROR = (MEANS.mean(axis=0) - Y) ** 2


def predicted(means=MEANS, stds=STDS, **options):
    return from_draws((torch.from_numpy(means), torch.from_numpy(stds)), HeteroscedasticGaussian("std"), **options)


def literal(error, key):
    """The mean squared error of the k rows of least key, averaged over k."""
    ordered = error[np.argsort(key)]
    return np.mean([ordered[: k + 1].mean() for k in range(len(ordered))])


def test_bins_hold_the_means_of_their_rows():
    binned = error_against_uncertainty(predicted(), Y, bins=4)
    assert binned.counts == (15, 15, 15, 15)
    for place, rows in enumerate(np.argsort(VARIANCE).reshape(4, 15)):
        assert binned.predicted[place].value == pytest.approx(VARIANCE[rows].mean(), rel=1e-9)
        assert binned.error[place].value == pytest.approx(ERROR[rows].mean(), rel=1e-9)
        expected = ERROR[rows].std(ddof=0) / math.sqrt(15)
        assert binned.error[place].standard_error == pytest.approx(expected, rel=0.02)  # 59/60 and the share of rows


def test_the_bins_agree_under_the_predicted_law():
    rows = 20_000
    generator = torch.Generator().manual_seed(0)
    stds = torch.rand(1, rows, generator=generator, dtype=torch.float64) * 3 + 0.1
    y = stds[0] * torch.randn(rows, generator=generator, dtype=torch.float64)
    binned = error_against_uncertainty(from_draws((torch.zeros_like(stds), stds), HeteroscedasticGaussian("std")), y)
    assert len(binned.counts) == 10
    for score, error in zip(binned.predicted, binned.error, strict=True):
        assert abs((error - score).value) < 4 * (error - score).standard_error


def test_rows_of_one_variance_share_a_bin():
    same = from_draws(torch.zeros(3, 60), Gaussian(1.0))
    assert error_against_uncertainty(same, Y).counts == (60,)
    stds = np.repeat([[1.0, 2.0]], 30, axis=1).repeat(12, axis=0)[:, :60]
    binned = error_against_uncertainty(predicted(np.zeros((12, 60)), stds), Y, bins=5)
    assert [score.value for score in binned.predicted] == pytest.approx([1.0, 4.0])
    assert binned.counts == (30, 30)


def test_sparsification_is_the_literal_average():
    expected = literal(ERROR, VARIANCE) - literal(ERROR, ERROR)
    assert sparsification_error(predicted(), Y).value == pytest.approx(expected, rel=1e-9)


def test_errors_that_rise_with_the_variance_score_zero():
    stds = np.linspace(1, 2, 60)[None]
    score = sparsification_error(predicted(np.zeros((1, 60)), stds), stds[0] * np.where(np.arange(60) % 2, 1, -1))
    assert score.value == pytest.approx(0, abs=1e-12)
    assert score.standard_error == pytest.approx(0, abs=1e-12)


def test_a_constant_variance_scores_as_a_random_order_on_average():
    constant = sparsification_error(from_draws(torch.zeros(2, 60), Gaussian(1.0)), Y)
    generator = np.random.default_rng(3)
    orders = [literal(Y**2, generator.random(60)) - literal(Y**2, Y**2) for _ in range(2000)]
    assert abs(constant.value - np.mean(orders)) < 4 * np.std(orders) / math.sqrt(2000)
    backwards = predicted(np.zeros((1, 60)), 10 / (0.1 + np.abs(Y))[None])
    assert sparsification_error(backwards, Y).value > constant.value > 0


def test_monte_carlo_errors_are_the_literal_jackknife():
    groups = reference.group_counts(12, 5)

    def value(numbers):
        kept = [int(number) for number in numbers]
        return sparsification_error(predicted(MEANS[kept], STDS[kept]), Y).value

    score = sparsification_error(predicted(block_size=5), Y)
    assert score.mc_error == pytest.approx(reference.jackknife_error(np.arange(12), groups, value), rel=1e-6)
    binned = error_against_uncertainty(predicted(block_size=5), Y, bins=3)
    inside = np.argsort(VARIANCE)[:20]  # the bins stay those of all draws
    expected = reference.jackknife_error(MEANS, groups, lambda m: ((m.mean(axis=0) - Y) ** 2)[inside].mean())
    assert binned.error[0].mc_error == pytest.approx(expected, rel=1e-6)


def test_influence_is_what_leaving_a_row_out_does():
    """To first order: N (value - value without the row), for 400 rows."""
    generator = np.random.default_rng(4)
    stds = generator.uniform(0.5, 2, size=(1, 400))
    y = stds[0] * generator.normal(size=400)
    whole = predicted(np.zeros((1, 400)), stds)
    score = sparsification_error(whole, y)
    kept = [np.delete(np.arange(400), row) for row in range(0, 400, 8)]
    literal_ = [400 * (score.value - sparsification_error(whole[rows], y[rows]).value) for rows in kept]
    found = score.influence[::8].numpy()
    assert np.corrcoef(literal_, found)[0, 1] > 0.999
    np.testing.assert_allclose(literal_ - np.mean(literal_), found - found.mean(), atol=0.05 * found.std())


@pytest.mark.parametrize("constant", [True, False])
def test_standard_errors_are_the_spread_over_data_sets(constant):
    sets, rows = 150, 100
    generator = np.random.default_rng(5)
    stds = generator.uniform(0.3, 2, size=(1, sets * rows))
    y = stds[0] * generator.normal(size=sets * rows)
    said = np.ones_like(stds) if constant else stds
    whole = predicted(np.zeros_like(stds), said, provenance=Provenance(1, members=True))
    scores = [sparsification_error(whole[at : at + rows], y[at : at + rows]) for at in range(0, len(y), rows)]
    spread = np.std([score.value for score in scores], ddof=1)
    squares = np.array([score.standard_error**2 for score in scores])
    uncertainty = math.hypot(math.sqrt(2 / sets), squares.std() / squares.mean() / math.sqrt(sets))
    assert abs(squares.mean() / spread**2 - 1) < 4 * uncertainty + 5 / rows


def test_one_row():
    one = predicted()[:1]
    assert sparsification_error(one, Y[:1]).value == 0
    assert error_against_uncertainty(one, Y[:1]).counts == (1,)


def test_what_does_not_fit():
    with pytest.raises(InputError, match="bins=0 given, at least 1"):
        error_against_uncertainty(predicted(), Y, bins=0)

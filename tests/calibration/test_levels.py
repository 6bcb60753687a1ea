import math

import numpy as np
import pytest
import torch
import uncertainty_toolbox
from scipy import stats

from mcdrop.calibration import (
    coverage_curve,
    interval_calibration_error,
    interval_coverage,
    interval_width,
    quantile_calibration_error,
    quantile_curve,
)
from mcdrop.calibration.levels import LEVELS
from mcdrop.errors import InputError
from mcdrop.prediction import Gaussian, HeteroscedasticGaussian, Identity, Poisson, Provenance, from_draws
from tests import reference

RNG = np.random.default_rng(0)
MEAN, STD = RNG.normal(size=300), RNG.uniform(0.5, 2, size=300)
Y = MEAN + STD * (1.6 * RNG.standard_exponential(size=300) - 1)  # skewed and wide
ONE = from_draws((torch.from_numpy(MEAN)[None], torch.from_numpy(STD)[None]), HeteroscedasticGaussian("std"))
DRAWS = torch.from_numpy(RNG.normal(size=(20, 300)))


def test_coverage_of_the_predicted_law_is_the_level():
    """N rows: binomial, four standard errors about each level."""
    rows = 5000
    generator = torch.Generator().manual_seed(0)
    means = 2 * torch.randn(6, rows, generator=generator, dtype=torch.float64)
    which = torch.randint(6, (1, rows), generator=generator)
    y = means.gather(0, which)[0] + torch.randn(rows, generator=generator, dtype=torch.float64)
    prediction = from_draws(means, Gaussian(1.0))
    for level, covered in zip(LEVELS, coverage_curve(prediction, y, widths=False).coverage, strict=True):
        assert abs(covered.value - level) < 4 * math.sqrt(level * (1 - level) / rows)
    for level, share in zip(LEVELS, quantile_curve(prediction, y).observed, strict=True):
        assert abs(share.value - level) < 4 * math.sqrt(level * (1 - level) / rows)
    floor = np.mean([level * (1 - level) for level in LEVELS]) / rows
    assert quantile_calibration_error(prediction, y).value < 10 * floor
    assert interval_calibration_error(prediction, y).value < 10 * floor


@pytest.mark.parametrize("likelihood", [Gaussian(1.0), Identity(), Poisson()])
def test_the_curve_holds_the_scores_of_single_levels(likelihood):
    y = np.abs(Y).round() if isinstance(likelihood, Poisson) else Y
    prediction = from_draws(DRAWS, likelihood)
    curve = coverage_curve(prediction, y, levels=(0.9, 0.3))
    for level, covered, width in zip(curve.levels, curve.coverage, curve.width, strict=True):
        for found, expected in (
            (covered, interval_coverage(prediction, y, coverage=level)),
            (width, interval_width(prediction, coverage=level)),
        ):
            for field in ("value", "standard_error", "mc_error"):
                assert getattr(found, field) == pytest.approx(getattr(expected, field), rel=1e-9)
    assert coverage_curve(prediction, y, levels=(0.5,), widths=False).width == ()


@pytest.mark.parametrize(
    ("error", "kind"), [(quantile_calibration_error, "quantile"), (interval_calibration_error, "interval")]
)
def test_errors_are_those_of_uncertainty_toolbox_but_for_its_trivial_levels(error, kind):
    """Its 100 levels include 0 and 1, where nothing can be off: its mean is ours over the other 98, times 98/100."""
    metrics, levels = uncertainty_toolbox.metrics_calibration, np.linspace(0, 1, 100)[1:-1]
    absolute = metrics.mean_absolute_calibration_error(MEAN, STD, Y, prop_type=kind)
    root = metrics.root_mean_squared_calibration_error(MEAN, STD, Y, prop_type=kind)
    assert error(ONE, Y, levels=levels, absolute=True).value * 0.98 == pytest.approx(absolute, rel=1e-9)
    assert error(ONE, Y, levels=levels).value * 0.98 == pytest.approx(root**2, rel=1e-9)


def test_the_quantile_curve_of_uncertainty_toolbox_is_mirrored():
    """It standardises prediction minus target. All targets far above their predictions: none is below a quantile of .9
    or less, and it reports that all are."""
    y = MEAN + 10 * STD
    levels, mirrored = uncertainty_toolbox.metrics_calibration.get_proportion_lists_vectorized(
        MEAN, STD, y, num_bins=11, prop_type="quantile"
    )
    assert mirrored[1:-1].tolist() == [1] * 9
    ours = quantile_curve(ONE, y, levels=levels[1:-1])
    assert [share.value for share in ours.observed] == [0] * 9


def test_the_quantile_curve_counts_targets_below_quantiles():
    levels = (0.1, 0.5, 0.8)
    for level, share in zip(levels, quantile_curve(ONE, Y, levels=levels).observed, strict=True):
        assert share.value == (stats.norm.ppf(level, MEAN, STD) >= Y).mean()


@pytest.mark.parametrize("error", [quantile_calibration_error, interval_calibration_error])
@pytest.mark.parametrize("absolute", [True, False])
def test_monte_carlo_errors_are_the_literal_jackknife(error, absolute):
    score = error(from_draws(DRAWS, Gaussian(1.0), block_size=3), Y, absolute=absolute)

    def value(numbers):
        kept = [int(number) for number in numbers]
        return error(from_draws(DRAWS[kept], Gaussian(1.0)), Y, absolute=absolute).value

    expected = reference.jackknife_error(np.arange(20), reference.group_counts(20, 3), value)
    assert score.mc_error == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("error", [quantile_calibration_error, interval_calibration_error])
@pytest.mark.parametrize("absolute", [True, False])
def test_standard_errors_are_the_spread_over_data_sets(error, absolute):
    """Predictions that are too wide; 100 data sets of 200 rows."""
    sets, rows = 100, 200
    y = np.random.default_rng(2).normal(size=sets * rows)
    whole = from_draws(torch.zeros(1, sets * rows), Gaussian(0.2), provenance=Provenance(1, members=True))
    scores = [error(whole[at : at + rows], y[at : at + rows], absolute=absolute) for at in range(0, len(y), rows)]
    spread = np.std([score.value for score in scores], ddof=1)
    squares = np.array([score.standard_error**2 for score in scores])
    uncertainty = math.hypot(math.sqrt(2 / sets), squares.std() / squares.mean() / math.sqrt(sets))
    assert abs(squares.mean() / spread**2 - 1) < 4 * uncertainty + 2 / math.sqrt(rows)


def test_one_row_has_a_value_and_no_standard_error():
    score = quantile_calibration_error(ONE[:1], Y[:1])
    assert score.value > 0
    assert score.standard_error is None


def test_what_does_not_fit():
    for levels in ((), (0.5, 1.0), (0.0,), (50,)):
        with pytest.raises(InputError, match=r"levels=\(.*given, expected at least one, each between 0 and 1"):
            coverage_curve(ONE, Y, levels=levels)
        with pytest.raises(InputError, match="each between 0 and 1"):
            quantile_calibration_error(ONE, Y, levels=levels)

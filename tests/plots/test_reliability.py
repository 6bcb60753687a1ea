from dataclasses import replace

import numpy as np
import pytest
import torch

from mcdrop.calibration import binned_reliability, corp_reliability
from mcdrop.errors import InputError
from mcdrop.plots.reliability import reliability_bars, reliability_curve

PROBS, Y = torch.tensor([0.1, 0.15, 0.4, 0.45, 0.48, 0.9]), torch.tensor([0, 1, 0, 1, 1, 1])


@pytest.fixture
def binned():
    return binned_reliability(PROBS, Y, event=1, num_bins=4)  # 2 in the first bin, 3 in the second, 1 in the last


@pytest.fixture
def corp():
    return corp_reliability(PROBS, Y, event=1, num_resamples=20)


def test_bars_points_and_errors_are_those_of_the_filled_bins(binned, ax) -> None:
    assert reliability_bars(binned, ax) is ax
    bars, points = ax.containers
    assert [bar.get_x() for bar in bars] == [0.0, 0.25, 0.75]
    assert [bar.get_width() for bar in bars] == [0.25, 0.25, 0.25]
    assert [bar.get_height() for bar in bars] == pytest.approx([0.5, 2 / 3, 1])
    np.testing.assert_allclose(points[0].get_xydata(), [[0.125, 0.5], [1.33 / 3, 2 / 3], [0.9, 1]], rtol=1e-6)
    ends = np.array(points[2][0].get_segments()[:2])[..., 1]
    first, second = (2 * np.sqrt(f * (1 - f) / (n - 1)) for f, n in ((1 / 2, 2), (2 / 3, 3)))
    assert (first, 2 / 3 + second) == pytest.approx((1, 4 / 3))  # ends outside 0 and 1 are cut
    np.testing.assert_allclose(ends, [[0, 1], [2 / 3 - second, 1]], atol=1e-12)


def test_counts_of_all_bins_stand_above(binned, ax) -> None:
    reliability_bars(binned, ax)
    (strip,) = ax.child_axes
    assert [bar.get_height() for bar in strip.patches] == [2, 3, 0, 1]
    assert strip.get_ylabel() == "count"
    reached = ax.transAxes.inverted().transform(ax.transData.transform((0, 1)))[1]
    assert strip.get_position().y0 > reached * ax.get_position().y1
    ax.set_title("top label")
    ax.figure.canvas.draw()
    assert ax.title.get_window_extent().y0 > strip.get_window_extent().y1


def test_axes_are_labelled(binned, corp, ax) -> None:
    assert reliability_bars(binned, ax).get_ylabel() == "frequency, ± 2 errors"
    assert reliability_curve(corp, ax).get_ylabel() == "observed frequency"
    assert (ax.get_xlabel(), ax.get_xlim()) == ("forecast probability", (0, 1))


def test_bins_without_forecasts_are_refused(binned, ax) -> None:
    with pytest.raises(InputError, match="No bin has a forecast"):
        reliability_bars(replace(binned, counts=torch.zeros(4)), ax)


def test_bins_that_do_not_fit_are_refused(binned, ax, without_type_checks) -> None:
    with pytest.raises(InputError, match="4 counts, 2 bins, 4 frequencies"):
        reliability_bars(replace(binned, borders=torch.tensor([0.5])), ax)


def test_curve_and_band_are_those_of_the_record(corp, ax) -> None:
    assert reliability_curve(corp, ax) is ax
    curve = ax.get_lines()[-1]
    np.testing.assert_array_equal(curve.get_xdata(), corp.forecast)
    np.testing.assert_array_equal(curve.get_ydata(), corp.frequency)
    (band,) = ax.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
    for bound in (corp.lower, corp.upper):
        assert set(zip(corp.forecast.tolist(), bound.tolist(), strict=True)) <= corners
    assert ax.get_legend_handles_labels()[1] == ["90 % if calibrated", "calibrated", "observed"]


def test_the_parts_of_the_brier_score_are_written(corp, ax) -> None:
    reliability_curve(corp, ax)
    brier = corp.brier
    assert ax.texts[0].get_text().splitlines() == [
        f"Brier score {brier.score.value:.3f}",
        f"miscalibration {brier.miscalibration.value:.3f}",
        f"discrimination {brier.discrimination.value:.3f}",
        f"uncertainty {brier.uncertainty.value:.3f}",
    ]


def test_a_curve_of_nothing_or_of_nan_is_refused(corp, ax) -> None:
    none = torch.zeros(0, dtype=torch.float64)
    with pytest.raises(InputError, match="forecast: no values were given"):
        reliability_curve(replace(corp, forecast=none, frequency=none, lower=none, upper=none), ax)
    with pytest.raises(InputError, match="upper: 6 of 6 values are NaN or infinite"):
        reliability_curve(replace(corp, upper=corp.upper * torch.nan), ax)

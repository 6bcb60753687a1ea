import numpy as np
import pytest
from matplotlib.figure import Figure

from mcdrop.calibration import CoverageCurve, PitHistogram, QuantileCurve, Score
from mcdrop.errors import InputError
from mcdrop.plots.coverage import coverage_against_nominal, pit_bars, quantiles_against_nominal, width_against_nominal

SHARES = (Score(0.4, 0.03, 0.04), Score(0.8, 0.05, None))
CURVE = CoverageCurve((0.5, 0.9), SHARES, (Score(2.0, 0.1, None), Score(5.0, 0.2, None)))


@pytest.mark.parametrize(
    ("draw", "curve", "labels"),
    [
        (coverage_against_nominal, CURVE, ("coverage promised", "share inside, ± 2 errors")),
        (
            quantiles_against_nominal,
            QuantileCurve((0.5, 0.9), SHARES),
            ("level of the quantile", "share below, ± 2 errors"),
        ),
    ],
)
def test_points_are_shares_with_two_errors(draw, curve, labels, ax) -> None:
    assert draw(curve, ax) is ax
    points = ax.containers[0]
    np.testing.assert_array_equal(points[0].get_xydata(), [[0.5, 0.4], [0.9, 0.8]])
    np.testing.assert_allclose(np.array(points[2][0].get_segments())[..., 1], [[0.3, 0.5], [0.7, 0.9]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == labels
    assert ax.get_legend_handles_labels()[1] == ["calibrated"]


def test_two_predictors_share_the_line_and_differ_in_colour(ax) -> None:
    for label in ("one", "other"):
        coverage_against_nominal(CURVE, ax, label=label)
    assert ax.get_legend_handles_labels()[1] == ["calibrated", "one", "other"]
    assert len({container[0].get_color() for container in ax.containers}) == 2


def test_widths_are_drawn_in_their_unit_and_all_are_seen(ax) -> None:
    wider = CoverageCurve((0.5,), SHARES[:1], (Score(50.0, 0.1, None),))
    assert width_against_nominal(CURVE, ax, label="one", unit="kWh") is ax
    width_against_nominal(wider, ax, label="other", unit="kWh")
    np.testing.assert_array_equal(ax.containers[0][0].get_xydata(), [[0.5, 2], [0.9, 5]])
    ax.figure.canvas.draw()
    assert ax.get_ylim()[1] > 50
    assert ax.get_ylabel() == "mean width (kWh), ± 2 errors"


def test_a_curve_without_widths_is_refused(ax) -> None:
    with pytest.raises(InputError, match="widths: no values were given"):
        width_against_nominal(CoverageCurve((0.5, 0.9), SHARES), ax)


def test_a_curve_without_levels_or_with_others_is_refused(ax) -> None:
    with pytest.raises(InputError, match="levels: no values were given"):
        coverage_against_nominal(CoverageCurve((), ()), ax)
    with pytest.raises(InputError, match="1 levels, 2 shares were given"):
        quantiles_against_nominal(QuantileCurve((0.5,), SHARES), ax)
    with pytest.raises(InputError, match="shares: 1 of 1 values are NaN"):
        coverage_against_nominal(CoverageCurve((0.5,), (Score(float("nan"), None, None),)), ax)


def test_pit_bars_stand_on_their_edges_beside_the_flat_line(ax) -> None:
    shares = (Score(0.5, 0.03, 0.04), Score(0.3, 0.1, None), Score(0.2, None, None), Score(0.0, None, None))
    assert pit_bars(PitHistogram((0.0, 0.25, 0.5, 0.75, 1.0), shares), ax) is ax
    bars, errors = ax.containers
    assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in bars] == [
        (0.0, 0.25, 0.5),
        (0.25, 0.25, 0.3),
        (0.5, 0.25, 0.2),
        (0.75, 0.25, 0.0),
    ]
    segments = np.array(errors[2][0].get_segments()[:2])
    np.testing.assert_allclose(segments, [[[0.125, 0.4], [0.125, 0.6]], [[0.375, 0.1], [0.375, 0.5]]])
    flat = next(patch for patch in ax.patches if patch.get_label() == "calibrated").get_data()
    assert flat.values.tolist() == [0.25] * 4
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("F(y): place of the target in its prediction", "share of targets")


def test_histograms_on_one_scale_are_all_seen() -> None:
    axes = Figure().subplots(1, 2, sharey=True)
    for ax, high in zip(axes, (0.9, 0.6), strict=True):
        pit_bars(PitHistogram((0.0, 0.5, 1.0), (Score(high, 0.01, None), Score(1 - high, 0.01, None))), ax)
    low, top = axes[0].get_ylim()
    assert low == 0
    assert 0.92 < top < 1.1


def test_edges_that_do_not_fit_are_refused(ax) -> None:
    with pytest.raises(InputError, match="1 bins, 2 shares were given"):
        pit_bars(PitHistogram((0.0, 1.0), SHARES), ax)

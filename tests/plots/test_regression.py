from io import BytesIO

import numpy as np
import pytest
import torch
from scipy import stats

from mcdrop.calibration import VarianceScaling
from mcdrop.errors import InputError, UnavailableError
from mcdrop.plots.regression import bands, functions, predicted_against_target
from mcdrop.prediction import Gaussian, from_draws

ONE = from_draws(torch.tensor([[1.0, 3.0, 2.0]]), Gaussian(precision=0.25))  # one draw: normal laws of sd 2


def _edges(collection) -> set[tuple[float, float]]:
    return {(x, y) for x, y in collection.get_paths()[0].vertices.round(6).tolist()}


def test_bands_are_the_intervals_of_the_rows_in_the_order_of_x(ax) -> None:
    assert bands([0.0, 2.0, 1.0], ONE, ax, coverages=(0.5, 0.95)) is ax
    for band, coverage in zip(ax.collections, (0.95, 0.5), strict=True):
        reach = 2 * stats.norm.ppf((1 + coverage) / 2)
        expected = {(x, round(m + s * reach, 6)) for x, m in ((0, 1), (1, 2), (2, 3)) for s in (-1, 1)}
        assert expected <= _edges(band)
    np.testing.assert_allclose(ax.get_lines()[0].get_xydata(), [[0, 1], [1, 2], [2, 3]])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["95 %", "50 %", "mean"]


def test_data_are_drawn_with_the_bands(ax) -> None:
    bands(torch.arange(3.0)[:, None], ONE, ax, data=(torch.tensor([[0.5]]), np.array([7.0])))
    assert ax.get_lines()[1].get_xydata().tolist() == [[0.5, 7]]


def test_recalibrated_predictions_have_bands(ax) -> None:
    drawn = from_draws(torch.tensor([[0.0, 2.0, 1.0], [2.0, 4.0, 3.0]]), Gaussian(precision=0.25))
    scaled = VarianceScaling.fit(drawn, torch.tensor([2.0, 7.0, -1.0]))(drawn)
    bands([0.0, 1.0, 2.0], scaled, ax, coverages=(0.9,))
    assert (0, round(scaled.interval(0.9)[1][0].item(), 6)) in _edges(ax.collections[0])


def test_bands_need_one_output_one_x_a_row_and_draws(ax) -> None:
    with pytest.raises(InputError, match="2 x, 3 predicted rows were given"):
        bands([0.0, 1.0], ONE, ax)
    with pytest.raises(InputError, match=r"mean of shape \(3, 2\) was given; expected one number for each row"):
        bands([0.0, 1.0, 2.0], from_draws(torch.randn(4, 3, 2), Gaussian(1.0)), ax)
    with pytest.raises(InputError, match=r"coverages=\(\) was given"):
        bands([0.0, 1.0, 2.0], ONE, ax, coverages=())
    with pytest.raises(InputError, match="x: 1 of 3 values are NaN"):
        bands([0.0, float("nan"), 2.0], ONE, ax)
    moments_only = from_draws(torch.randn(4, 3), Gaussian(1.0), keep_samples=False)
    with pytest.raises(UnavailableError, match="keep_samples=True"):
        bands([0.0, 1.0, 2.0], moments_only, ax)


def test_functions_are_the_first_draws_in_the_order_of_x(ax) -> None:
    draws = torch.arange(15.0).view(5, 3, 1)
    assert functions([0.0, 2.0, 1.0], draws, ax, how_many=2) is ax
    lines = [line.get_xydata().tolist() for line in ax.get_lines()]
    assert lines == [[[0, 0], [1, 2], [2, 1]], [[0, 3], [1, 5], [2, 4]]]
    assert ax.get_legend_handles_labels()[1] == ["2 of 5 draws"]


def test_functions_that_do_not_fit_are_refused(ax) -> None:
    with pytest.raises(InputError, match=r"draws of shape \(5, 3, 2\) were given for 3 x; expected \(T, 3\)"):
        functions([0.0, 1.0, 2.0], torch.randn(5, 3, 2), ax)
    with pytest.raises(InputError, match="how_many=0 was given"):
        functions([0.0, 1.0, 2.0], torch.randn(5, 3), ax, how_many=0)
    with pytest.raises(InputError, match="draws: no values"):
        functions([0.0, 1.0, 2.0], torch.zeros(0, 3), ax)


def test_targets_inside_and_outside_are_told_apart(ax) -> None:
    reach = 2 * stats.norm.ppf(0.95)
    targets = torch.tensor([1 + reach - 0.01, 3 + reach + 0.01, 2.0])
    assert predicted_against_target(ONE, targets, ax, unit="m") is ax
    inside, _, outside, _, _ = ax.get_lines()
    np.testing.assert_allclose(inside.get_xydata(), [[targets[0], 1], [2, 2]], rtol=1e-6)
    np.testing.assert_allclose(outside.get_xydata(), [[targets[1], 3]], rtol=1e-6)
    np.testing.assert_allclose(ax.collections[1].get_segments()[0][:, 1], [3 - reach, 3 + reach])
    assert ax.get_legend_handles_labels()[1] == ["inside 90 %: 2", "outside: 1", "equal"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("target (m)", "predicted mean (m)")


def test_targets_that_do_not_fit_are_refused(ax) -> None:
    with pytest.raises(InputError, match="3 predicted numbers, 2 targets"):
        predicted_against_target(ONE, torch.zeros(2), ax)
    with pytest.raises(InputError, match="targets: 3 of 3 values are NaN"):
        predicted_against_target(ONE, torch.full((3,), torch.nan), ax)


def test_many_rows_make_a_small_file(ax) -> None:
    rows = torch.randn(1, 20_000)
    predicted_against_target(from_draws(rows, Gaussian(1.0)), rows[0] + torch.randn(20_000), ax)
    file = BytesIO()
    ax.figure.savefig(file, format="svg")
    assert len(file.getvalue()) < 300_000

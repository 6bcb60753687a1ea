import numpy as np
import pytest
import torch

from mcdrop.calibration.binning import bin_borders, bin_of, bin_sums
from mcdrop.calibration.forecasts import forecasts

RNG = np.random.default_rng(0)


def test_a_border_belongs_to_the_bin_above_it_whatever_rounding_does():
    """29 of 100 times .29 is 28.999999999999996: a product rounded down would put the border below itself."""
    borders = bin_borders(torch.zeros(1, 1, dtype=torch.float64), "equal_width", 100)
    exact = torch.arange(101, dtype=torch.float64) / 100
    assert bin_of(exact[:, None], borders).flatten().tolist() == [*range(100), 99]


def test_bins_of_equal_mass_hold_equally_many_if_forecasts_differ():
    p = torch.from_numpy(RNG.random((100, 2)))
    borders = bin_borders(p, "equal_mass", 10)
    for column in bin_of(p, borders).T:
        assert column.bincount().tolist() == [10] * 10


def test_equal_forecasts_share_a_bin():
    p = torch.tensor([0.1] * 7 + [0.5, 0.6, 0.7], dtype=torch.float64)[:, None]
    borders = bin_borders(p, "equal_mass", 5)
    assert borders.tolist() == [[0.1, 0.1, 0.1, 0.6]]  # at ranks 2, 4, 6 and 8
    assert bin_of(p, borders).flatten().tolist() == [3] * 8 + [4] * 2
    assert bin_borders(p[:2], "equal_mass", 5).shape == (1, 4)  # fewer forecasts than bins


def test_sums_of_parts_are_those_of_the_whole():
    p, y = RNG.random(50), RNG.integers(2, size=50)
    borders = bin_borders(torch.zeros(1, 1, dtype=torch.float64), "equal_width", 7)
    whole = bin_sums(forecasts(p, y, "classwise"), borders)
    parts = bin_sums(forecasts(p[:20], y[:20], "classwise"), borders)
    parts = parts + bin_sums(forecasts(p[20:], y[20:], "classwise"), borders)
    for name in ("counts", "probs", "happened", "squares"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))
    assert float(whole.squares.sum()) == pytest.approx(((p - y) ** 2).sum())

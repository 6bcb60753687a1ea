import numpy as np
import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.plots.weights import layer_law, weight_law
from mcdrop.posterior import EffectiveWeights

LAW = EffectiveWeights(torch.tensor([[2.0, -1.0, 0.0]], dtype=torch.float64), p_in=0.5, p_out=0.2)  # q = .4


def test_the_law_of_a_weight_has_two_points_and_its_mean(ax) -> None:
    assert weight_law(LAW, (0, 1), ax) is ax
    np.testing.assert_allclose(ax.containers[0].markerline.get_xydata(), [[0, 0.6], [-2.5, 0.4]])
    mean = next(line for line in ax.get_lines() if line.get_label() == "mean: w = -1")
    assert mean.get_xydata().tolist() == [[-1, 0]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("effective weight; kept with q = 0.4", "probability")


def test_what_is_drawn_is_what_draws_give(ax) -> None:
    weight_law(LAW, (0, 0), ax)
    drawn = LAW.sample(20_000, torch.Generator().manual_seed(0))[:, 0, 0]
    for value, probability in ax.containers[0].markerline.get_xydata():
        share = torch.isclose(drawn, torch.tensor(value, dtype=drawn.dtype)).double().mean().item()
        assert share == pytest.approx(probability, abs=4 * (probability * (1 - probability) / 20_000) ** 0.5)


def test_a_weight_that_is_none_or_0_is_refused(ax) -> None:
    with pytest.raises(InputError, match=r"entry=\(1, 0\) was given; expected a place in a weight of shape \(1, 3\)"):
        weight_law(LAW, (1, 0), ax)
    with pytest.raises(InputError, match=r"entry=\(0,\) was given"):
        weight_law(LAW, (0,), ax)
    with pytest.raises(InputError, match=r"The weight at \(0, 2\) is 0"):
        weight_law(LAW, (0, 2), ax)


def test_the_law_of_a_layer_has_all_its_probability(ax) -> None:
    weights = torch.randn(20, 30, generator=torch.Generator().manual_seed(0))
    assert layer_law(EffectiveWeights(weights, p_in=0.5, p_out=0.2), ax) is ax
    kept, scaled = (patch.get_data() for patch in ax.patches)
    ((_, bottom), (_, top)) = ax.collections[0].get_segments()[0]
    assert (kept.values.sum(), scaled.values.sum(), top - bottom) == pytest.approx((0.4, 1, 0.6))
    centres = (kept.edges[1:] + kept.edges[:-1]) / 2
    mean, bin_width = weights.mean().item(), np.diff(kept.edges)[0]
    assert kept.values @ centres == pytest.approx(mean, abs=0.4 * bin_width / 2)  # E[w'] = w, the weight-scaled layer
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("effective weight; kept with q = 0.4", "probability in the bin")


def test_a_layer_with_nan_is_refused(ax) -> None:
    with pytest.raises(InputError, match="weight: 1 of 2 values are NaN"):
        layer_law(EffectiveWeights(torch.tensor([[1.0, torch.nan]]), p_in=0.5), ax)

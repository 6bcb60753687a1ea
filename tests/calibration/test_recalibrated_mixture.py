import numpy as np
import pytest
import torch

from mcdrop.calibration import crps, interval_coverage, interval_score, interval_width, pit_values, sharpness
from mcdrop.errors import InputError
from mcdrop.prediction import Gaussian, HeteroscedasticGaussian, from_draws
from mcdrop.prediction.laws import CdfMap, Stretch
from mcdrop.prediction.recalibrated import recalibrated, without_groups

GENERATOR = torch.Generator().manual_seed(0)
MEANS = torch.randn(12, 40, generator=GENERATOR, dtype=torch.float64)
Y = torch.randn(40, generator=GENERATOR, dtype=torch.float64)
DRAWN = from_draws(MEANS, Gaussian(4.0), block_size=3)
SCORES = {
    "crps": crps,
    "interval_score": interval_score,
    "interval_coverage": interval_coverage,
    "interval_width": lambda prediction, _: interval_width(prediction),
    "sharpness": lambda prediction, _: sharpness(prediction),
}


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    "law", [Stretch((1.0,)), CdfMap(((0.0, 0.3, 1.0),), ((0.0, 0.3, 1.0),))], ids=["stretch", "cdf"]
)
def test_a_law_that_changes_nothing_changes_no_score(law, score):
    same, expected = SCORES[score](recalibrated(DRAWN, (law,), DRAWN.provenance), Y), SCORES[score](DRAWN, Y)
    integrated = isinstance(law, CdfMap) and score in ("crps", "sharpness")
    tolerance = 2e-3 if integrated else 1e-8
    assert same.value == pytest.approx(expected.value, rel=tolerance)
    assert same.standard_error == pytest.approx(expected.standard_error, rel=2 * tolerance)
    # quantiles without a group of draws are found to a fiftieth of their way from those of all
    assert same.mc_error == pytest.approx(expected.mc_error, rel=max(20 * tolerance, 1e-3))


def test_a_stretched_normal_is_a_wider_normal():
    one = from_draws((MEANS[:1], torch.full((1, 40), 0.5)), HeteroscedasticGaussian("std"))
    wide = from_draws((MEANS[:1], torch.full((1, 40), 1.5)), HeteroscedasticGaussian("std"))
    stretched = recalibrated(one, (Stretch((3.0,)),), one.provenance)
    assert crps(stretched, Y).value == pytest.approx(crps(wide, Y).value, rel=1e-8)
    assert interval_score(stretched, Y).value == pytest.approx(interval_score(wide, Y).value, rel=1e-8)
    np.testing.assert_allclose(pit_values(stretched, Y), pit_values(wide, Y), rtol=1e-8)


def test_scores_of_a_stretched_mixture_are_exact_where_an_integral_over_256_cells_is_far_off():
    means = torch.zeros(20, 4, dtype=torch.float64)
    means[0] = 1000.0  # one draw far out, so that a cell is wider than the others together
    drawn = from_draws(means, Gaussian(1.0))
    y = torch.tensor([0.0, 1.0, -1.0, 1000.0], dtype=torch.float64)
    same = recalibrated(drawn, (Stretch((2.0,)), Stretch((0.5,))), drawn.provenance)
    np.testing.assert_allclose(crps(same, y).influence, crps(drawn, y).influence, rtol=1e-9)
    assert sharpness(same).value == pytest.approx(sharpness(drawn).value, rel=1e-12)
    assert sharpness(same).mc_error == pytest.approx(sharpness(drawn).mc_error, rel=1e-9)
    several = from_draws(MEANS[..., None] * torch.tensor([1.0, 3.0]), Gaussian((4.0, 1.0)))
    factors = torch.tensor([2.0, 0.25])
    stretched = recalibrated(several, (Stretch((2.0, 0.25)),), several.provenance)
    spread = several.moments["mean"].mean_square_deviation + several.aleatoric
    assert sharpness(stretched).value == pytest.approx(float((spread * factors.square()).mean().sqrt()))


def test_recalibrated_scores_without_a_group_are_those_of_the_others():
    stretched = recalibrated(DRAWN, (Stretch((2.0,)),), DRAWN.provenance)
    for score in (crps, interval_score):
        deleted = [score(others, Y).value for others in without_groups(stretched)]
        np.testing.assert_allclose(score(stretched, Y).deleted, deleted, rtol=1e-9)


def test_a_recalibrated_prediction_is_no_average_over_draws():
    with pytest.raises(InputError, match="fair=True asked of a recalibrated prediction, which is no average"):
        crps(recalibrated(DRAWN, (Stretch((2.0,)),), DRAWN.provenance), Y, fair=True)

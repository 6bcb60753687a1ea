from itertools import combinations

import numpy as np
import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.noise.fixed_masks import draw_masks

FEATURES, MASKS, SCALES = (2, 7, 12, 64, 500), (2, 4, 7), (1.0, 1.3, 2.0, 4.0, 100.0)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("num_masks", MASKS)
@pytest.mark.parametrize("num_features", FEATURES)
def test_masks_are_alike_in_size_and_use_every_feature(num_features: int, num_masks: int, scale: float) -> None:
    masks = draw_masks(num_features, num_masks, scale, seed=0)
    assert masks.shape == (num_masks, num_features)
    assert masks.dtype == torch.bool
    assert masks.any(dim=0).all()
    kept = num_features / (scale * (1 - (1 - 1 / scale) ** num_masks))
    assert all(abs(size - kept) < 1 for size in masks.sum(dim=1).tolist())


@pytest.mark.parametrize("scale", [1.3, 2.0, 4.0])
def test_the_scale_sets_the_overlap(scale: float) -> None:
    """Two random subsets of m among m s positions share m / s, of 2 m - m / s that either has: 1 / (2 s - 1)."""
    ratios = []
    for seed in range(40):
        for a, b in combinations(draw_masks(300, 3, scale, seed), 2):
            ratios.append(((a & b).sum() / (a | b).sum()).item())
    by_set = np.array(ratios).reshape(40, 3).mean(1)
    assert abs(by_set.mean() - 1 / (2 * scale - 1)) <= 4 * by_set.std(ddof=1) / np.sqrt(40) + 0.005  # m is an integer


def test_the_ends_of_the_scale() -> None:
    assert draw_masks(20, 4, 1.0, seed=0).all()
    masks = draw_masks(20, 4, 100.0, seed=0)
    assert masks.sum() <= 21  # disjoint, but for one feature at most


def test_positions_are_alike() -> None:
    """Over many sets each feature is kept as often as any other, and by as many masks as the law of a set says."""
    counts = torch.stack([draw_masks(12, 3, 2.0, seed).sum(dim=0) for seed in range(3000)]).double()
    error = counts.std(dim=0) / 3000**0.5
    assert ((counts.mean(dim=0) - counts.mean()).abs() <= 4 * error).all()


def test_a_seed_gives_the_same_masks() -> None:
    assert torch.equal(draw_masks(64, 4, 2.0, seed=3), draw_masks(64, 4, 2.0, seed=3))
    assert not torch.equal(draw_masks(64, 4, 2.0, seed=3), draw_masks(64, 4, 2.0, seed=4))


@pytest.mark.usefixtures("without_type_checks")
def test_refuses_other_arguments() -> None:
    for arguments, words in (
        ((1, 4, 2.0, 0), "num_features=1 was given; expected an integer >= 2"),
        ((8, 1, 2.0, 0), "num_masks=1 was given; expected an integer >= 2"),
        ((8, 2.5, 2.0, 0), r"num_masks=2\.5 was given; expected an integer >= 2"),
        ((8, 4, 2.0, -1), "seed=-1 was given; expected an integer >= 0"),
        ((8, 4, 0.5, 0), r"scale=0\.5 was given; expected a number from 1 \(equal masks\) to 100"),
        ((8, 4, float("nan"), 0), "scale=nan was given"),
    ):
        with pytest.raises(InputError, match=words):
            draw_masks(*arguments)

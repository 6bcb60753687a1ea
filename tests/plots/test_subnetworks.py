import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from mcdrop.errors import InputError
from mcdrop.plots.subnetworks import subnetwork_gallery
from mcdrop.posterior import Dropout, Mask, Units

MASK = Mask({"a": torch.tensor([True, False, True]), "b": torch.tensor([False, True])}, {"a": 0.5, "b": 0.5})


@pytest.fixture
def axes() -> np.ndarray:
    return Figure(layout="constrained").subplots(1, 2)


def test_kept_units_are_filled_and_dropped_ones_rings(axes) -> None:
    assert subnetwork_gallery([MASK], axes) is axes
    kept_a, dropped_a, kept_b, dropped_b = axes[0].get_lines()
    assert kept_a.get_xydata().tolist() == [[0, 1], [0, -1]]
    assert dropped_a.get_xydata().tolist() == [[0, 0]]
    assert kept_b.get_xydata().tolist() == [[1, -0.5]]
    assert dropped_b.get_xydata().tolist() == [[1, 0.5]]
    assert [line.get_markerfacecolor() for line in (dropped_a, dropped_b)] == ["none", "none"]
    assert axes[0].get_title() == "3 of 5 kept"
    assert not axes[1].axison


def test_kept_units_of_neighbouring_sites_are_joined(axes) -> None:
    subnetwork_gallery([MASK], axes)
    (lines,) = axes[0].collections
    assert [line.tolist() for line in lines.get_segments()] == [[[0, 1], [1, -0.5]], [[0, -1], [1, -0.5]]]


def test_every_unit_of_a_large_site_has_a_place_of_its_own(axes) -> None:
    mask = Dropout(seed=0).draw({"a": Units((5,), 0.5), "wide": Units((10, 10), 0.5)}, 0)
    subnetwork_gallery([mask], axes)
    places = np.concatenate([line.get_xydata() for line in axes[0].get_lines()])
    assert len(np.unique(places, axis=0)) == 105
    assert sum(len(line.get_xydata()) for line in axes[0].get_lines()[::2]) == mask.num_kept
    assert not axes[0].collections


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([], "No masks were given"),
        ([MASK] * 3, "3 masks were given for 2 axes"),
        (
            [Mask({"u": torch.rand(3, dtype=torch.float64)}, {"u": None})],
            "expected one with a site whose units are kept",
        ),
    ],
)
def test_masks_that_cannot_be_drawn_are_refused(masks, message, axes) -> None:
    with pytest.raises(InputError, match=message):
        subnetwork_gallery(masks, axes)

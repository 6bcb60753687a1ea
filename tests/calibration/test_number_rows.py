import numpy as np
import pytest
import torch

from mcdrop.calibration.number_rows import group_sizes, number_rows
from mcdrop.prediction import Gaussian, Provenance, from_draws

DRAWS = torch.arange(24.0, dtype=torch.float64).reshape(3, 4, 2)


def test_pieces_go_through_all_rows_in_order(monkeypatch):
    monkeypatch.setattr("mcdrop.calibration.number_rows._PIECE", 3 * 2 * 3)
    rows = number_rows(from_draws(DRAWS, Gaussian(1.0)), np.arange(8.0).reshape(4, 2))
    pieces = list(rows.pieces())
    assert [y.tolist() for _, y in pieces] == [[0, 1, 2, 3, 4, 5], [6, 7]]
    assert torch.equal(torch.cat([predictive.mean()[0] for predictive, _ in pieces]), DRAWS.mean(dim=0).flatten())


def test_elements_are_averaged_in_their_rows():
    rows = number_rows(DRAWS, torch.zeros(4, 2))
    assert rows.by_row(torch.tensor([[1.0, 3.0, 5.0, 9.0]])).tolist() == [[2.0, 7.0]]


def test_scores_of_several_losses_are_those_of_each():
    rows = number_rows(from_draws(DRAWS, Gaussian(1.0)), torch.zeros(4, 2))
    both = rows.scores(lambda predictive, y: torch.stack([predictive.mean(), predictive.mean().square()]))
    alone = rows.score(lambda predictive, y: predictive.mean().square())
    assert both[0].value == DRAWS.mean()
    assert both[1] == alone
    assert both[1].value == pytest.approx(DRAWS.mean(dim=0).square().mean().item())
    np.testing.assert_allclose(alone.influence, DRAWS.mean(dim=0).square().mean(dim=1) - alone.value)


def test_arrays_are_copied_and_have_no_monte_carlo_error():
    array = np.arange(6.0).reshape(2, 3)
    array.setflags(write=False)
    rows = number_rows(array[:, ::-1], np.zeros(3))
    assert rows.shape == (3,)
    assert rows.counts == (2,)
    assert rows.jackknife_counts == ()


def test_the_members_of_an_ensemble_are_one_group():
    members = from_draws(DRAWS, Gaussian(1.0), provenance=Provenance(3, members=True))
    assert group_sizes(members) == (3,)
    assert group_sizes(from_draws(DRAWS, Gaussian(1.0), block_size=2)) == (2, 1)

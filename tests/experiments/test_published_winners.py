"""The winners of the published search: the highest score of each split, from either source."""

import numpy as np
import pytest

from examples.experiments import published_winners
from mcdrop.data import uci


@pytest.fixture
def scores() -> str:
    """Validation scores in which split s is best at tau = s + 1, and so is a later point that has the same score."""
    lines = [
        f"Dropout_Rate: {p} Tau: {float(tau)} :: {-abs(tau - split - 1) - 2.5}"
        for split in range(uci.NUM_SPLITS)
        for p in (0.005, 0.1)
        for tau in range(1, 25)
    ]
    return "\n".join(lines) + "\n"


def test_the_first_of_the_highest_wins(scores) -> None:
    assert published_winners.highest(scores).tolist() == [[0.005, split + 1.0] for split in range(uci.NUM_SPLITS)]


def test_winners_are_read_beside_the_scores(data_dir) -> None:
    found = published_winners.winners("boston")
    split = uci.load("boston", split=0)
    assert found.shape == (uci.NUM_SPLITS, 2)
    assert set(found[:, 0]) <= set(split.dropout_rates)
    assert set(found[:, 1]) <= set(split.precisions)
    assert len(np.unique(found, axis=0)) > 1


def test_winners_are_fetched_where_they_are_not(scores, tmp_path, monkeypatch) -> None:
    asked = []

    def fetch(url, path, *, sha256):
        asked.append((url, sha256[:8]))
        path.write_text(scores)
        return path

    monkeypatch.setenv("MCDROP_DATA", str(tmp_path))
    monkeypatch.setattr(published_winners, "fetch", fetch)
    assert published_winners.winners("wine")[7].tolist() == [0.005, 8.0]
    results = "results/validation_ll_100_xepochs_1_hidden_layers.txt"
    assert asked == [(f"{uci.PUBLISHER}/wine-quality-red/{results}", "b8d503ca")]
    assert not list(tmp_path.iterdir())

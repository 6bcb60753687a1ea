"""Published scores: read where they are, made from the publisher's texts where not, and compared split by split."""

import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from examples.experiments import published
from mcdrop.data import uci
from mcdrop.errors import DownloadError, InputError

OF_2016, OF_2018 = "a6259f1db8f5d3e2d743f88ecbde425a07b12445", "6eb4497628d12b0f300f4b4f6bdc386bebad565c"
SETS = {
    "boston": "bostonHousing", "energy": "energy", "yacht": "yacht", "wine": "wine-quality-red", "kin8nm": "kin8nm",
}  # fmt: skip


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def publisher(data_dir, tmp_path, monkeypatch) -> Iterator[Path]:
    """A server on this machine with the publisher's texts, in a folder, and a folder of data sets that is not there."""
    files = tmp_path / "publisher"
    for name, run in product(SETS, published.RUNS):
        for score, values in zip(("MC_rmse", "ll"), published.scores(name, run).T, strict=True):
            path = files / {
                "400 epochs": f"{OF_2016}/{SETS[name]}/net/results/test_{score}.txt",
                "4000 epochs": f"{OF_2016}/{SETS[name]}/net/results_10x_epochs/test_{score}.txt",
                "two layers": f"{OF_2016}/{SETS[name]}/net/results_2_layers/test_{score}.txt",
                "grid search":
                    f"{OF_2018}/UCI_Datasets/{SETS[name]}/results/test_{score}_100_xepochs_1_hidden_layers.txt",
            }[run]  # fmt: skip
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{value!r}\n" for value in values.tolist()))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("MCDROP_DATA", str(tmp_path / "data"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=files)) as server:
        monkeypatch.setattr(published, "PUBLISHER", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield files
        server.shutdown()
        thread.join()


def test_scores_are_those_of_the_published_tables(data_dir) -> None:
    """Table 1 of 2016 and the readmes of the repository."""
    tables = {
        ("boston", "400 epochs"): (2.97, -2.46), ("energy", "400 epochs"): (1.66, -1.99),
        ("wine", "400 epochs"): (0.62, -0.93), ("yacht", "400 epochs"): (1.11, -1.55),
        ("kin8nm", "400 epochs"): (0.10, 0.95), ("boston", "4000 epochs"): (2.80, -2.39),
        ("energy", "two layers"): (0.47, -1.48), ("boston", "grid search"): (2.90, -2.40),
        ("yacht", "grid search"): (0.67, -1.25),
    }  # fmt: skip
    for (name, run), means in tables.items():
        found = published.scores(name, run)
        assert found.shape == (20, 2)
        np.testing.assert_allclose(found.mean(axis=0), means, atol=0.0051)


def test_what_is_not_there_is_made_from_the_publishers_texts_once(publisher, data_dir, monkeypatch) -> None:
    made = {(name, run): published.scores(name, run) for name, run in product(SETS, published.RUNS)}
    monkeypatch.setattr(published, "PUBLISHER", "http://127.0.0.1:1")
    np.testing.assert_array_equal(published.scores("wine", "two layers"), made["wine", "two layers"])
    folder = publisher.parent / "data"
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["PUBLISHED_PER_SPLIT.json"]
    monkeypatch.setenv("MCDROP_DATA", str(data_dir))
    for (name, run), values in made.items():
        np.testing.assert_array_equal(values, published.scores(name, run))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.0\n" * 20, "other scores arrived than those published. Nothing is kept: run again"),
        ("<html>", r"net/results/test_ll.txt is no column of numbers.*Nothing is kept"),
        (None, r"net/results/test_ll.txt: the server answers 404"),
    ],
)
def test_what_arrives_otherwise_is_not_kept(publisher, text, message) -> None:
    file = publisher / OF_2016 / "yacht/net/results/test_ll.txt"
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(DownloadError, match=message):
        published.scores("boston", "400 epochs")
    assert not (publisher.parent / "data").exists()


@pytest.mark.parametrize("change", ["one score", "a set", "all"])
def test_a_file_of_something_else_is_refused(data_dir, tmp_path, monkeypatch, change) -> None:
    found = json.loads((data_dir / "uci" / "PUBLISHED_PER_SPLIT.json").read_text())
    if change == "one score":
        found["wine"]["ll"][3] += 1e-9
    elif change == "a set":
        del found["kin8nm"]
    path = tmp_path / "uci" / "PUBLISHED_PER_SPLIT.json"
    path.parent.mkdir()
    path.write_text("<html>" if change == "all" else json.dumps(found))
    monkeypatch.setenv("MCDROP_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"PUBLISHED_PER_SPLIT.json holds other scores.*Move it away"):
        published.scores("boston", "400 epochs")


@pytest.mark.parametrize(("name", "run"), [("mars", "400 epochs"), ("boston", "40 epochs")])
def test_an_unknown_set_or_run_is_named(name, run) -> None:
    with pytest.raises(InputError, match=f"'{name}', '{run}': one of boston, .* and one of 400 epochs, .* are needed"):
        published.scores(name, run)


def test_all_sets_have_published_scores() -> None:
    assert set(SETS) == set(uci.NAMES)


def test_differences_are_paired_split_by_split() -> None:
    theirs = np.array([[1.0, -2.0], [5.0, -1.0], [3.0, -3.0], [7.0, -4.0]])
    ours = theirs + np.array([[0.0, 0.1], [2.0, 0.3], [0.0, 0.1], [2.0, 0.3]])
    rmse, log_likelihood = published.paired(ours, theirs)
    assert rmse.difference == pytest.approx(1.0)
    assert rmse.error == pytest.approx((4 / 3) ** 0.5 / 2)  # four deviations of 1, divisor 3, four splits
    assert rmse.z == pytest.approx(3**0.5)
    assert log_likelihood.difference == pytest.approx(0.2)
    assert log_likelihood.error == pytest.approx((0.04 / 3) ** 0.5 / 2)


def test_errors_are_not_less_than_a_hundredth() -> None:
    theirs = np.array([[1.0, -2.0], [5.0, -1.0]])
    rmse, log_likelihood = published.paired(theirs + 0.02, theirs)
    assert (rmse.error, log_likelihood.error) == pytest.approx((0.03, 0.01))

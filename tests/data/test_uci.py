import io
import json

import numpy as np
import pytest
import torch

from mcdrop.data import archive, uci
from mcdrop.errors import DownloadError, InputError

SHAPES = {"boston": (506, 13), "energy": (768, 8), "yacht": (308, 6), "wine": (1599, 11), "kin8nm": (8192, 8)}


@pytest.mark.parametrize("name", uci.NAMES)
@pytest.mark.parametrize("split", [0, 19])
def test_the_two_parts_together_are_the_set(data_dir, name, split):
    rows, columns = SHAPES[name]
    read = uci.load(name, split=split)
    num_train = round(0.9 * rows)
    assert read.train_x.shape == (num_train, columns)
    assert read.test_x.shape == (rows - num_train, columns)
    assert read.train_y.shape == (num_train, 1)
    assert read.test_y.shape == (rows - num_train, 1)
    with np.load(data_dir / "uci" / f"{name}.npz") as file:
        both = np.column_stack([file["X"], file["y"]])
    parts = torch.cat([torch.cat([read.train_x, read.test_x]), torch.cat([read.train_y, read.test_y])], dim=1).numpy()
    np.testing.assert_array_equal(parts[np.lexsort(parts.T)], both[np.lexsort(both.T)])


@pytest.mark.parametrize("name", uci.NAMES)
def test_moments_and_grid_are_those_of_the_manifest(data_dir, name):
    known = json.loads((data_dir / "uci" / "MANIFEST.json").read_text())[name]
    read = uci.load(name, split=7)
    targets = torch.cat([read.train_y, read.test_y])
    assert targets.dtype == read.train_x.dtype == torch.float64
    assert targets.mean().item() == pytest.approx(known["y_mean"], rel=1e-12)
    assert targets.std(correction=0).item() == pytest.approx(known["y_std"], rel=1e-12)
    assert list(read.dropout_rates) == known["dropout_rates"]
    assert list(read.precisions) == known["tau_values"]


def test_rows_stand_in_the_order_of_the_publishers_index(data_dir):
    read = uci.load("boston", split=0)
    with np.load(data_dir / "uci" / "boston.npz") as file:
        assert file["train_0"][:3].tolist() == [307, 343, 47]
        np.testing.assert_array_equal(read.train_x[:3], file["X"][[307, 343, 47]])
        np.testing.assert_array_equal(read.train_y[:3, 0], file["y"][[307, 343, 47]])
        assert file["test_0"][:2].tolist() == [431, 115]
        np.testing.assert_array_equal(read.test_y[:2, 0], file["y"][[431, 115]])


def test_the_20_splits_of_a_set_are_20(data_dir):
    held_out = {tuple(uci.load("yacht", split=split).test_y.flatten().tolist()) for split in range(uci.NUM_SPLITS)}
    assert len(held_out) == 20


def test_the_examples_print_what_they_say(run_examples):
    run_examples(uci)


def _publish(publisher, monkeypatch, folder, arrays):
    """The arrays as the text files that the publisher of the splits has."""
    num_features = arrays["X"].shape[1]  # here the columns stand the other way round, which index_features tells
    files = {
        "data": np.column_stack([arrays["y"], arrays["X"][:, ::-1]]),
        "index_features": np.arange(num_features, 0, -1),
        "index_target": np.array([0]),
    }
    files |= {grid: arrays[grid] for grid in ("dropout_rates", "tau_values")}
    files |= {f"index_{index}": arrays[index] for index in uci._INDICES}
    for name, array in files.items():
        text = io.BytesIO()
        np.savetxt(text, array, fmt="%d" if name.startswith("index") else "%.17g")
        publisher.files[f"/{folder}/data/{name}.txt"] = text.getvalue()
    monkeypatch.setattr(uci, "PUBLISHER", publisher.address)


@pytest.fixture
def small(monkeypatch, publisher):
    """A set of ten rows in the place of yacht's, at the local publisher; its arrays."""
    generator = np.random.default_rng(0)
    arrays = {"X": generator.normal(size=(10, 2)), "y": generator.normal(size=10)}
    arrays |= {"dropout_rates": np.array([0.1, 0.2]), "tau_values": np.array([1.0, 2.0])}
    for split in range(20):
        order = generator.permutation(10).astype(np.int32)
        arrays |= {f"train_{split}": order[:9], f"test_{split}": order[9:]}
    _publish(publisher, monkeypatch, "yacht", arrays)
    monkeypatch.setitem(uci._SOURCES, "yacht", ("yacht", archive.checksum(arrays)))
    return arrays


def test_a_set_that_is_not_there_is_made_from_the_publishers_texts(small, empty_folder, publisher):
    read = uci.load("yacht", split=4)
    np.testing.assert_array_equal(read.train_x, small["X"][small["train_4"]])
    np.testing.assert_array_equal(read.test_y[:, 0], small["y"][small["test_4"]])
    assert (read.dropout_rates, read.precisions) == ((0.1, 0.2), (1.0, 2.0))
    assert len(publisher.asked) == 45
    uci.load("yacht", split=5)
    assert len(publisher.asked) == 45
    assert [file.name for file in empty_folder.rglob("*") if file.is_file()] == ["yacht.npz"]


@pytest.mark.parametrize("name", uci.NAMES)
def test_texts_and_archive_hold_the_same(data_dir, empty_folder, publisher, monkeypatch, name):
    with np.load(data_dir / "uci" / f"{name}.npz") as file:
        _publish(publisher, monkeypatch, uci._SOURCES[name][0], file)
    downloaded = uci.load(name, split=2)
    monkeypatch.setenv("MCDROP_DATA", str(data_dir))
    shared = uci.load(name, split=2)
    assert torch.equal(downloaded.train_x, shared.train_x)
    assert torch.equal(downloaded.test_y, shared.test_y)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("data", b"<html>", r"data.txt is no table of numbers"),
        ("data", b"1 2\n3 4", r"yacht/data: the columns that index_features.txt names are not in data.txt"),
        ("tau_values", b"1\n2.000001", r"yacht/data: the files arrived with other values.*Nothing is kept"),
        ("index_test_19", b"3", r"other values|no table"),
    ],
)
def test_what_arrives_otherwise_is_not_kept(small, empty_folder, publisher, file, text, message):
    publisher.files[f"/yacht/data/{file}.txt"] = text
    with pytest.raises(DownloadError, match=message):
        uci.load("yacht", split=0)
    assert not empty_folder.exists()


def test_a_publisher_that_lacks_a_file_is_quoted(small, empty_folder, publisher):
    del publisher.files["/yacht/data/index_train_3.txt"]
    with pytest.raises(DownloadError, match=r"index_train_3.txt: the server answers 404"):
        uci.load("yacht", split=0)
    assert not empty_folder.exists()


def test_a_file_with_other_values_is_refused(small, empty_folder):
    archive.write(empty_folder / "uci" / "yacht.npz", small | {"y": small["y"] + 1})
    with pytest.raises(InputError, match=r"yacht.npz holds other values than its publisher gives"):
        uci.load("yacht", split=0)


def test_a_set_that_is_not_known_is_refused(empty_folder):
    with pytest.raises(InputError, match="name='enrgy': one of boston, energy, yacht, wine, kin8nm is needed"):
        uci.load("enrgy", split=0)
    assert not empty_folder.exists()


@pytest.mark.parametrize("split", [-1, 20, 1.5, True])
def test_a_split_that_does_not_exist_is_refused(empty_folder, split, without_type_checks):
    with pytest.raises(InputError, match=rf"split={split}: an integer from 0 to 19 is needed"):
        uci.load("energy", split=split)
    assert not empty_folder.exists()

import zlib

import numpy as np
import pytest
import torch

from mcdrop.data import co2
from mcdrop.errors import DownloadError, InputError


def test_the_training_part_is_standardised_and_the_test_times_follow_it(data_dir):
    read = co2.load()
    assert read.train_x.shape == read.train_y.shape == (272, 1)
    assert read.test_x.shape == (1000, 1)
    assert read.train_x.dtype == read.train_y.dtype == read.test_x.dtype == torch.float32
    for column in (read.train_x, read.train_y):
        assert column.double().mean().item() == pytest.approx(0, abs=1e-6)
        assert column.double().std(correction=0).item() == pytest.approx(1, abs=1e-6)
    # Times evenly spaced with variance 1: their ends are at sqrt(3 (N - 1) / (N + 1)).
    assert read.train_x.max().item() == pytest.approx((3 * 271 / 273) ** 0.5, rel=1e-6)
    torch.testing.assert_close(
        read.train_x.diff(dim=0), torch.full((271, 1), 2 * (3 / 271 / 273) ** 0.5), rtol=1e-4, atol=0
    )
    assert read.test_x.min() == read.train_x.max()
    assert (read.test_x.diff(dim=0) > 0).all()


def test_the_concentration_has_no_linear_trend_and_a_wave_of_twelve_steps(data_dir):
    read = co2.load()
    x, y = read.train_x[:, 0].double(), read.train_y[:, 0].double()
    assert (x * y).mean().item() == pytest.approx(0, abs=1e-6)
    alike = {lag: (y[lag:] * y[:-lag]).mean().item() for lag in range(3, 20)}
    assert max(alike, key=alike.__getitem__) == 12


def test_the_examples_print_what_they_say(run_examples):
    run_examples(co2)


@pytest.fixture
def packed(data_dir, publisher, monkeypatch, sha256):
    """The publisher's two files as far as they are read: the arrays, deflated, where the layout has them."""
    contents = {"train.h5": bytearray(b"\x89HDF" * 3000), "test.h5": bytearray(b"\x89HDF" * 3000)}
    with np.load(data_dir / "co2" / "gal_co2.npz") as arrays:
        for name, (file, begin, dtype) in co2._STREAMS.items():
            stream = zlib.compress(arrays[name].astype(dtype).tobytes(), 4)
            contents[file][begin : begin + len(stream)] = stream
    publisher.files = {f"/{file}": bytes(content) for file, content in contents.items()}
    monkeypatch.setattr(co2, "PUBLISHER", publisher.address)
    monkeypatch.setattr(co2, "_SHA256", {file: sha256(bytes(content)) for file, content in contents.items()})


def test_what_is_not_there_is_made_from_the_publishers_files(packed, data_dir, empty_folder, publisher, monkeypatch):
    downloaded = co2.load()
    co2.load()
    assert len(publisher.asked) == 2
    assert [file.name for file in empty_folder.rglob("*") if file.is_file()] == ["gal_co2.npz"]
    monkeypatch.setenv("MCDROP_DATA", str(data_dir))
    shared = co2.load()
    assert torch.equal(downloaded.train_x, shared.train_x)
    assert torch.equal(downloaded.train_y, shared.train_y)
    assert torch.equal(downloaded.test_x, shared.test_x)


def test_what_arrives_corrupted_is_not_kept(packed, empty_folder, publisher):
    publisher.flip = 5000
    with pytest.raises(DownloadError, match=r"train.h5 arrived corrupted"):
        co2.load()
    assert not empty_folder.exists()


def test_a_file_of_something_else_is_refused(empty_folder):
    (empty_folder / "co2").mkdir(parents=True)
    np.savez(empty_folder / "co2" / "gal_co2.npz", x_train=np.zeros(3), y_train=np.zeros(3), x_test=np.zeros(3))
    with pytest.raises(InputError, match=r"gal_co2.npz holds other values"):
        co2.load()

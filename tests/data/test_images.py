import gzip
from dataclasses import replace

import numpy as np
import pytest
import torch

from mcdrop.data import idx, images
from mcdrop.errors import DownloadError, InputError


@pytest.mark.parametrize(
    ("name", "part", "rows", "mean", "std"),
    [
        # Means and standard deviations that everybody normalises these sets by.
        pytest.param("mnist", "train", 60_000, 0.1307, 0.3081, marks=pytest.mark.slow),
        pytest.param("fashion-mnist", "train", 60_000, 0.2860, 0.3530, marks=pytest.mark.slow),
        ("mnist", "test", 10_000, 0.1325, 0.3105),
        ("fashion-mnist", "test", 10_000, 0.2868, 0.3524),
        ("notmnist", "test", 10_000, None, None),
    ],
)
def test_each_part_is_that_of_its_publisher(data_dir, name, part, rows, mean, std):
    read = images.load(name, part=part)
    assert read.images.shape == (rows, 28, 28)
    assert read.images.dtype == torch.float32
    assert (read.images.min(), read.images.max()) == (0, 1)
    assert read.labels.unique().tolist() == list(range(10)) == list(range(len(images.CLASS_NAMES[name])))
    if mean is not None:
        assert read.images.mean().item() == pytest.approx(mean, abs=5e-5)
        assert read.images.double().std().item() == pytest.approx(std, abs=5e-5)
    if name != "mnist":
        assert (read.labels.bincount() == rows / 10).all()


def test_the_first_rows_of_mnist(data_dir):
    read = images.load("mnist", part="test")
    assert read.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert read.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    ink = read.images[0].nonzero()  # the bar of the 7 is on top, its foot below
    assert ink[:, 0].min() == 7
    assert ink[:, 0].max() == 26


def test_the_examples_print_what_they_say(run_examples):
    run_examples(images)


@pytest.fixture
def small(monkeypatch, publisher, sha256):
    """A set of two images in the place of MNIST's test part, at the local publisher."""
    contents = {
        "t10k-images-idx3-ubyte": bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 255]),
        "t10k-labels-idx1-ubyte": bytes([0, 0, 8, 1, 0, 0, 0, 2, 4, 9]),
    }
    publisher.files = {f"/{name}.gz": gzip.compress(content) for name, content in contents.items()}
    pixels, labels = map(sha256, contents.values())
    parts = {"test": replace(images._PARTS["mnist"]["test"], images=pixels, labels=labels)}
    monkeypatch.setitem(images._PARTS, "mnist", parts)
    monkeypatch.setitem(images.PUBLISHERS, "mnist", publisher.address)
    return contents


def test_what_is_not_there_is_downloaded_once(small, empty_folder, publisher):
    first, again = images.load("mnist", part="test"), images.load("mnist", part="test")
    assert first.images.flatten().tolist() == again.images.flatten().tolist() == [0, 1]
    assert first.labels.tolist() == [4, 9]
    assert len(publisher.asked) == 2
    np.testing.assert_array_equal(idx.read(empty_folder / "mnist" / "t10k-labels-idx1-ubyte.gz"), [4, 9])


def test_a_file_packed_by_another_is_as_good(small, empty_folder, publisher):
    (empty_folder / "mnist").mkdir(parents=True)
    for name, content in small.items():
        (empty_folder / "mnist" / f"{name}.gz").write_bytes(gzip.compress(content, 1, mtime=1))
    assert images.load("mnist", part="test").labels.tolist() == [4, 9]
    assert publisher.asked == []


def test_a_publisher_that_fails_leaves_nothing(small, empty_folder, publisher):
    publisher.status = 503
    with pytest.raises(DownloadError, match="503 Service Unavailable"):
        images.load("mnist", part="test")
    assert [file.name for file in empty_folder.rglob("*.gz*")] == []


def test_a_file_of_something_else_is_refused(small, empty_folder):
    images.load("mnist", part="test")
    (empty_folder / "mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"others"))
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte.gz is not the file of http.*Move it away"):
        images.load("mnist", part="test")


def test_a_set_that_is_not_known_is_refused(empty_folder):
    with pytest.raises(InputError, match="name='cifar': one of mnist, fashion-mnist, notmnist is needed"):
        images.load("cifar", part="test")
    assert not empty_folder.exists()


def test_a_part_that_a_set_has_not_is_refused(empty_folder, without_type_checks):
    with pytest.raises(InputError, match="part='train': notmnist has 'test'"):
        images.load("notmnist", part="train")
    with pytest.raises(InputError, match="part='validation': mnist has 'train' and 'test'"):
        images.load("mnist", part="validation")
    assert not empty_folder.exists()

"""MNIST and two sets of its form: 28 x 28 grey images of ten classes.

MNIST: digits by LeCun, Cortes and Burges (1998). Fashion-MNIST: clothes by Xiao, Rasul and Vollgraf (2017), licensed
MIT by Zalando. notMNIST: the letters A to J in many typefaces, by Bulatov (2011), here a sample of 10,000 images that
Flanagan drew, licensed MIT; it has no training part, and serves as input that a network trained on MNIST has never
seen.
"""

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from mcdrop.data.download import fetch
from mcdrop.data.idx import LabelledImages, read_images
from mcdrop.data.location import data_folder
from mcdrop.errors import InputError


@dataclass(frozen=True)
class _Part:
    """One part of a set: what its files' names begin with, and the SHA-256 of what the two gzip files unpack to."""

    prefix: str
    images: str
    labels: str


# For MNIST the copy that PyTorch keeps: the publisher's own address often refuses programs.
PUBLISHERS = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist",
    "fashion-mnist": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion"
    ),
    "notmnist": (
        "https://raw.githubusercontent.com/davidflanagan/notMNIST-to-MNIST/17823f4d4a3acd8317c07866702d2eb2ac79c7a0"
    ),
}

_PARTS = {
    "mnist": {
        "train": _Part(
            "train",
            images="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            labels="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        "test": _Part(
            "t10k",
            images="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            labels="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    },
    "fashion-mnist": {
        "train": _Part(
            "train",
            images="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            labels="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        "test": _Part(
            "t10k",
            images="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            labels="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    },
    "notmnist": {
        "test": _Part(
            "t10k",
            images="8e7f38ae95cc8f48e0986175ffc9137e5007ebcf3d8fdf6656c904eb9dab198b",
            labels="5f8e6012f2ce730700d8d05fca098bc47f71d25b890e4bec7ac5ebfd614a4001",
        ),
    },
}
NAMES = tuple(_PARTS)

CLASS_NAMES = MappingProxyType(
    {
        "mnist": tuple("0123456789"),
        "fashion-mnist": (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        "notmnist": tuple("ABCDEFGHIJ"),
    }
)
"""What the labels 0 to 9 of each set stand for."""


def load(name: str, *, part: Literal["train", "test"]) -> LabelledImages:
    """The training part or the test part of a set.

    Reads `<name>/train-images-idx3-ubyte.gz` and its like in the folder `MCDROP_DATA` (see `mcdrop.data.location`),
    which are downloaded if they are not there (3 to 30 MB a set). Their content is checked each time.

    Args:
        name: One of `NAMES`.
        part: Which part: one at a time, for the training images alone fill 190 MB. notMNIST has a test part only.

    Returns:
        28 x 28 images as float32 in [0, 1] (0 is background) and labels 0 to 9 as int64, on the CPU: 60,000 of the
        training parts, 10,000 of the test parts, in the order of the files.

    Raises:
        InputError: There is no such set or part, or a file holds something else than the publisher's.
        DownloadError: A file is neither there nor can it be downloaded and written.

    Example:
        >>> test = load("fashion-mnist", part="test")  # doctest: +SKIP
        >>> test.images.shape, CLASS_NAMES["fashion-mnist"][test.labels[0]]  # doctest: +SKIP
        (torch.Size([10000, 28, 28]), 'Ankle boot')

    Source:
        Xiao, Rasul and Vollgraf (2017), Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
        Algorithms, https://arxiv.org/abs/1708.07747; LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning
        applied to document recognition, https://doi.org/10.1109/5.726791; Bulatov (2011), notMNIST dataset,
        http://yaroslavvb.blogspot.com/2011/09/notmnist-dataset.html.
    """
    if name not in _PARTS:
        raise InputError(f"name={name!r}: one of {', '.join(NAMES)} is needed.")
    if part not in _PARTS[name]:
        raise InputError(f"part={part!r}: {name} has {' and '.join(map(repr, _PARTS[name]))}.")
    chosen, folder = _PARTS[name][part], data_folder() / name

    def file(kind: str, sha256: str) -> Path:
        full = f"{chosen.prefix}-{kind}-ubyte.gz"
        return fetch(f"{PUBLISHERS[name]}/{full}", folder / full, sha256=sha256, unpacked=True)

    return read_images(file("images-idx3", chosen.images), file("labels-idx1", chosen.labels))

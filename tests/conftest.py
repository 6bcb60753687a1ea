"""What all tests share: one thread, no screen, and the fixtures that more than one room needs."""

import os
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch

os.environ["MPLBACKEND"] = "Agg"  # also for the processes that tests start
torch.set_num_threads(1)  # the order of a sum depends on the number of threads, and so do its last bits


def _torchvision_schemas() -> torch.library.Library | None:
    """Makes `import torchvision` work beside a CPU build of torch: transformers and timm import it.

    PyPI's torchvision is compiled for CUDA: its library of operators does not load there, and the import fails at the
    registration of fake kernels for two of them. With the two schemas defined it goes through; everything but these
    operators works.
    """
    if torch.cuda.is_available() or torch._C._dispatch_has_kernel("torchvision::nms"):
        return None
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


TORCHVISION = _torchvision_schemas()  # at import, before test modules are; held, for its schemas die with it


def pytest_make_collect_report() -> None:
    """What a module draws while it is imported is the same in every process; torch's own first seed is not."""
    torch.manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """So is what a test draws without a seed of its own, whichever tests ran before it."""
    torch.manual_seed(0)


@pytest.fixture
def without_type_checks() -> Iterator[None]:
    """Call mcdrop as its users do: jaxtyping and beartype, on in every test, would refuse a wrong shape first."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of data sets that the environment variable MCDROP_DATA names; skips where it is absent."""
    folder = os.environ.get("MCDROP_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("MCDROP_DATA names no folder with the data sets")
    return Path(folder)


@pytest.fixture(scope="session")
def torchvision_schemas() -> torch.library.Library | None:
    """For tests that import torchvision, or what imports it: the library of its schemas, where one is needed."""
    return TORCHVISION

import pytest

from tests.benchmarks import import_time


@pytest.mark.slow
def test_import_mcdrop_adds_less_than_0_3_seconds_to_import_torch():
    torch_seconds, mcdrop_seconds = import_time.measure()
    assert 0 < mcdrop_seconds < 0.3, f"import torch took {torch_seconds:.2f} s"

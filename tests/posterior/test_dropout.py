import subprocess
import sys

import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.posterior import Dropout, Stratified


def test_a_mask_depends_on_seed_site_draw_shape_and_p_alone() -> None:
    posterior = Dropout(5)
    whole = posterior.keep("a:dropout", (2, 3), 0.3, 0, 20)
    assert torch.equal(posterior.keep("a:dropout", (2, 3), 0.3, 11, 14), whole[11:14])
    assert not torch.equal(posterior.keep("b:dropout", (2, 3), 0.3, 0, 20), whole)
    assert not torch.equal(Dropout(6).keep("a:dropout", (2, 3), 0.3, 0, 20), whole)


def test_rows_of_their_own_differ_from_batch_to_batch() -> None:
    first, second = Dropout(0, rows_from=0), Dropout(0, rows_from=64)
    assert not torch.equal(first.keep("a", (64, 3), 0.5, 0, 1), second.keep("a", (64, 3), 0.5, 0, 1))


def test_the_same_bits_in_another_process() -> None:
    code = (
        "from mcdrop.posterior import *; "
        "print(Dropout(7, Stratified(4)).keep('x:dropout', (9,), .4, 2, 9).int().tolist())"
    )
    here = Dropout(7, Stratified(4)).keep("x:dropout", (9,), 0.4, 2, 9).int().tolist()
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert there.strip() == str(here)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_refuses_what_is_no_seed(seed: object, without_type_checks) -> None:
    with pytest.raises(InputError, match="expected an integer >= 0, or None"):
        Dropout(seed)  # type: ignore[arg-type]


def test_refuses_what_is_no_design(without_type_checks) -> None:
    with pytest.raises(InputError, match=r"expected mcdrop.Independent\(\) or another design"):
        Dropout(0, "iid")  # type: ignore[arg-type]

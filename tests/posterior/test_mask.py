import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.posterior import Dropout, Mask, Replay, Units, check_same

UNITS = {"a:dropout": Units((3, 4), 0.5), "b:dropout": Units((7,), 0.2), "b:rand": Units((2,), None)}


@pytest.fixture
def mask() -> Mask:
    return Dropout(seed=4).draw(UNITS, t=5)


def test_a_draw_is_what_the_posterior_supplies(mask) -> None:
    posterior = Dropout(seed=4)
    assert torch.equal(mask.values["a:dropout"], posterior.keep("a:dropout", (3, 4), 0.5, 0, 9)[5])
    assert torch.equal(mask.values["b:rand"], posterior.uniform("b:rand", (2,), 5, 6)[0])
    assert mask.units == UNITS


def test_counts_and_log_probability() -> None:
    values = {
        "a": torch.tensor([True, True, False]),
        "b": torch.tensor([[True], [False]]),
        "c": torch.zeros(2).double(),
    }
    mask = Mask(values, {"a": 0.5, "b": 0.25, "c": None})
    assert (mask.num_units, mask.num_kept) == (5, 3)
    assert mask.log_prob == pytest.approx(3 * math.log(0.5) + math.log(0.75) + math.log(0.25))
    assert repr(mask) == "Mask(a: 2 of 3, b: 1 of 2, c: 2 numbers)"
    assert Mask({"a": torch.tensor([True])}, {"a": 1.0}).log_prob == -math.inf


def test_overlap_of_independent_masks_is_as_expected(mask) -> None:
    assert mask.overlap(mask) == 1
    n, p = 200_000, 0.3
    first, second = (Dropout(seed=seed).draw({"a": Units((n,), p)}, t=0) for seed in (0, 1))
    # kept by both over kept by either: two binomials of n units, the error by the delta method
    both, either = (1 - p) ** 2, 1 - p**2
    error = both / either * math.sqrt((1 / both - 1 / either) / n)
    assert abs(first.overlap(second) - (1 - p) / (1 + p)) < 4 * error
    with pytest.raises(InputError, match="Masks of two models were given"):
        first.overlap(mask)


def test_a_mask_does_not_change() -> None:
    values = {"a": torch.tensor([True, False])}
    mask = Mask(values, {"a": 0.5})
    values["a"][0] = False
    assert mask.values["a"].tolist() == [True, False]
    with pytest.raises(TypeError):
        mask.values["a"] = torch.tensor([True])  # type: ignore[index]
    with pytest.raises(AttributeError):
        mask.p = {}  # type: ignore[misc]


def test_saved_and_loaded_in_another_process(mask, tmp_path) -> None:
    mask.save(tmp_path / "mask")
    assert Mask.load(tmp_path / "mask") == mask
    assert [path.name for path in tmp_path.iterdir()] == ["mask"]
    code = (
        "import sys; from mcdrop.posterior import *; "
        "print({k: v.tolist() for k, v in Mask.load(sys.argv[1]).values.items()})"
    )
    there = subprocess.run([sys.executable, "-c", code, tmp_path / "mask"], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == str({name: value.tolist() for name, value in mask.values.items()})


def test_equality_sees_values_shapes_and_p(mask) -> None:
    assert mask == Dropout(seed=4).draw(UNITS, t=5)
    assert mask != Dropout(seed=4).draw(UNITS, t=6)
    other_p = Mask(mask.values, {**mask.p, "a:dropout": 0.25})
    assert mask != other_p
    assert mask != "mask"


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04cut"])
def test_refuses_files_that_are_no_mask(content: bytes, tmp_path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match=r"holds no mask of mcdrop .*: give a file of `mask.save`"):
        Mask.load(tmp_path / "file")


def test_refuses_damaged_newer_and_foreign_files(mask, tmp_path) -> None:
    mask.save(tmp_path / "mask")
    with np.load(tmp_path / "mask") as archive:
        arrays = dict(archive)
    text = str(arrays["metadata"])
    for changed, reason in [
        ({"metadata": np.array(text.replace('"version": 1', '"version": 2'))}, "version 2 is newer than 1"),
        ({"metadata": np.array(text.replace("mcdrop.mask", "another"))}, "its format is another"),
        ({"site_0": arrays["site_0"][:-1]}, "1 bytes for 12 units"),
    ]:
        np.savez(tmp_path / "changed.npz", **{**arrays, **changed})
        with pytest.raises(InputError, match=reason):
            Mask.load(tmp_path / "changed.npz")
    with pytest.raises(FileNotFoundError):
        Mask.load(tmp_path / "absent")


def test_refuses_p_outside_0_1_by_name() -> None:
    with pytest.raises(InputError, match=r"Site a: p = 1.5 was given; expected a probability of zeroing in \[0, 1\]"):
        Mask({"a": torch.tensor([True])}, {"a": 1.5})
    with pytest.raises(InputError, match=r"values given for \['a'\] and p for \['b'\]; expected the same sites"):
        Mask({"a": torch.tensor([True])}, {"b": 0.5})
    with pytest.raises(InputError, match=r"Site a: torch.float64 given; expected torch.bool for p = 0.5"):
        Mask({"a": torch.ones(2).double()}, {"a": 0.5})


def test_refuses_a_mask_of_another_model_by_name(mask) -> None:
    replay = Replay((mask,))
    with pytest.raises(InputError, match=r"of another model: it lacks the site c:dropout. Its sites: a:dropout, b:"):
        replay.keep("c:dropout", (3,), 0.5, 0, 1)
    with pytest.raises(InputError, match=r"at site a:dropout it has shape \(3, 4\), and the model asks for \(4,\)"):
        replay.keep("a:dropout", (4,), 0.5, 0, 1)
    with pytest.raises(InputError, match=r"at site a:dropout it was drawn with p = 0.5, and the model has p = 0.4"):
        replay.keep("a:dropout", (3, 4), 0.4, 0, 1)
    with pytest.raises(InputError, match=r"Draws 1 to 2 were asked of 1 masks"):
        replay.keep("a:dropout", (3, 4), 0.5, 1, 2)
    check_same(mask.units, UNITS)
    with pytest.raises(InputError, match="it holds the site b:dropout, which the model does not have"):
        check_same(mask.units, {"a:dropout": UNITS["a:dropout"]})
    with pytest.raises(InputError, match="it lacks the model's site c:dropout"):
        check_same(mask.units, {**UNITS, "c:dropout": Units((1,), 0.5)})


def test_replay_takes_masks_of_one_model(mask) -> None:
    other = Dropout(seed=4).draw(UNITS, t=6)
    both = Replay((mask, other)).keep("b:dropout", (7,), 0.2, 0, 2)
    assert torch.equal(both, Dropout(seed=4).keep("b:dropout", (7,), 0.2, 5, 7))
    assert Replay((mask,)).uniform("b:rand", (2,), 0, 0).shape == (0, 2)
    with pytest.raises(InputError, match="No mask was given"):
        Replay(())
    with pytest.raises(InputError, match="Masks of different models were given"):
        Replay((mask, Dropout(seed=4).draw({"a:dropout": UNITS["a:dropout"]}, t=0)))


@pytest.mark.parametrize("t", [-1, 1.5, True])
def test_refuses_what_is_no_draw(t: object, without_type_checks) -> None:
    with pytest.raises(InputError, match="expected the number of a draw, an integer >= 0"):
        Dropout(0).draw(UNITS, t)  # type: ignore[arg-type]

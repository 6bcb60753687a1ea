from pathlib import Path

import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.training.checkpoint import Checkpoint

RUN = {"seed": "0", "data": "22 rows"}


class Unsaveable:
    def __reduce__(self):
        raise RuntimeError("the disk is full")


def test_gives_back_what_was_saved_and_leaves_one_file(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run", RUN)
    assert checkpoint.load() is None
    for number in range(2):
        checkpoint.save({"weights": {"w": torch.full((3,), float(number))}, "epochs": number, "best": None})
    state = checkpoint.load()
    assert state is not None
    assert state["weights"]["w"].tolist() == [1, 1, 1]
    assert (state["epochs"], state["best"]) == (1, None)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_failure_while_writing_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run", RUN)
    checkpoint.save({"epochs": 1})
    with pytest.raises(RuntimeError, match="the disk is full"):
        checkpoint.save({"epochs": 2, "bad": Unsaveable()})
    assert checkpoint.load() == {"epochs": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_another_run_is_refused_by_what_differs(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "run", RUN).save({})
    with pytest.raises(InputError, match=r"checkpoint of another run \(data: 22 rows there, 23 rows here\)"):
        Checkpoint(tmp_path / "run", RUN | {"data": "23 rows"}).load()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 broken"])
def test_what_is_no_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run").write_bytes(content)
    with pytest.raises(InputError, match="run is no checkpoint that can be read; give another path, or delete it"):
        Checkpoint(tmp_path / "run", RUN).load()
    assert (tmp_path / "run").read_bytes() == content


def test_files_of_torch_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    for content in ([1, 2], {"weights": torch.zeros(2)}, {"format": 0, "run": RUN, "state": {}}):
        torch.save(content, tmp_path / "run")
        with pytest.raises(InputError, match="is no checkpoint that can be read"):
            Checkpoint(tmp_path / "run", RUN).load()


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run", RUN)
    checkpoint.save({"w": torch.zeros(1000)})
    (tmp_path / "run").write_bytes((tmp_path / "run").read_bytes()[:1500])
    with pytest.raises(InputError, match="is no checkpoint that can be read"):
        checkpoint.load()


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file in a folder that exists"):
        Checkpoint(tmp_path, RUN)


def test_a_folder_that_cannot_be_written_to_is_refused_at_once(tmp_path: Path, monkeypatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(InputError, match="whose folder cannot be written to"):
        Checkpoint(tmp_path / "run", RUN)
    assert not list(tmp_path.iterdir())

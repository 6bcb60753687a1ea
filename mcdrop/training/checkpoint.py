"""A training run on disk, so that it can go on after it was killed."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mcdrop.errors import InputError

_FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A file with the state of one training run, replaced as a whole or not at all.

    Args:
        path: The file.
        run: What makes the run this one and no other, in words by name.

    Raises:
        InputError: There is no folder to write to, it cannot be written to, or the path is one.
    """

    path: Path
    run: dict[str, str]

    def __post_init__(self) -> None:
        if self.path.is_dir() or not self.path.parent.is_dir():
            raise InputError(f"checkpoint={str(self.path)!r} was given; expected a file in a folder that exists.")
        try:
            self._partial.touch()  # now, rather than after the first epoch
            self._partial.unlink()
        except OSError as error:
            raise InputError(f"checkpoint={str(self.path)!r} was given, whose folder cannot be written to.") from error

    def save(self, state: dict[str, Any]) -> None:
        """Writes beside the file, then renames: whoever is killed in between leaves the old one."""
        try:
            with self._partial.open("wb") as file:
                torch.save({"format": _FORMAT, "run": self.run, "state": state}, file)
                file.flush()
                os.fsync(file.fileno())
            self._partial.replace(self.path)
        except BaseException:
            self._partial.unlink(missing_ok=True)
            raise

    @property
    def _partial(self) -> Path:
        return self.path.with_name(f"{self.path.name}.partial")

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last; None where there is no file yet.

        Raises:
            InputError: The file is no such checkpoint, or one of another run.
        """
        if not self.path.exists():
            return None
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            if content["format"] != _FORMAT:
                raise KeyError("format")
            run, state = content["run"], content["state"]
        except OSError:
            raise
        except Exception as error:  # torch's unpickler fails on other files in any way
            raise InputError(
                f"{self.path} is no checkpoint that can be read; give another path, or delete it to begin anew."
            ) from error
        differing = [name for name in self.run if run.get(name) != self.run[name]]
        if differing:
            words = "; ".join(f"{name}: {run.get(name)} there, {self.run[name]} here" for name in differing)
            raise InputError(
                f"{self.path} is the checkpoint of another run ({words}). Give the same arguments to go on with it, "
                "another path, or delete it to begin anew."
            )
        return state

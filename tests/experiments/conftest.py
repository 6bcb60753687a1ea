"""Running an experiment quickly, and reading what its full run left."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from examples.experiments.experiment import numbers_of
from examples.experiments.page import fill

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "experiments"


@pytest.fixture(scope="session")
def quick_run(tmp_path_factory, data_dir) -> Callable[[str], dict[str, Any]]:
    """The numbers of `--quick`, by part; run once as a user does, with warnings as errors."""
    done: dict[str, dict[str, Any]] = {}

    def run(name: str) -> dict[str, Any]:
        if name not in done:
            out = tmp_path_factory.mktemp(name)
            environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-W", "error", "-m", f"examples.experiments.{name}", "--quick", "--out", out]
            process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            assert process.returncode == 0, process.stderr
            assert not list(out.glob("*.part"))
            assert list(out.glob(f"{name}_*.png"))
            done[name] = numbers_of(json.loads((out / f"{name}.json").read_text()))
        return done[name]

    return run


@pytest.fixture(scope="session")
def full_run() -> Callable[[str], dict[str, Any]]:
    """The stored numbers of a full run, by part; docs/experiments.md must show them, with pictures that exist."""

    def read(name: str) -> dict[str, Any]:
        measured = json.loads((DOCS / f"{name}.json").read_text())
        assert not measured["quick"]
        experiment = import_module(f"examples.experiments.{name}").EXPERIMENT
        texts = experiment.texts(measured, DOCS.name)
        page = DOCS.with_suffix(".md").read_text()
        assert fill(page, texts) == page
        assert page.count(f"python -m examples.experiments.{name} --out docs/experiments\n") == 1
        for picture in experiment.pictures(numbers_of(measured)):
            assert (DOCS / f"{name}_{picture}.png").read_bytes().startswith(b"\x89PNG")
        return numbers_of(measured)

    return read

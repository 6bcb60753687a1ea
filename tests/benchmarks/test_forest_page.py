"""The pictures and measured numbers of docs/forest.md come from the commands that stand above them."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "forest.md").read_text()
FOUND = re.findall(
    r"^```bash\n(.*?)\n```\n.*?^!\[.*?\]\((.*?)\)\n\n```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL
)
NUMBER = re.compile(r"-?\d+\.?\d*")


def test_every_picture_has_a_command_and_its_output() -> None:
    assert len(FOUND) == PAGE.count("\n![") == 4
    for _, picture, _ in FOUND:
        assert (ROOT / "docs" / picture).read_bytes().startswith(b"\x89PNG")
        assert (ROOT / "docs" / picture).stat().st_size < 300_000


@pytest.mark.slow
@pytest.mark.parametrize(("command", "picture", "output"), FOUND[:-1], ids=[Path(f[1]).stem for f in FOUND[:-1]])
def test_the_command_makes_the_picture_and_the_numbers(command: str, picture: str, output: str, tmp_path) -> None:
    """Training differs between machines in the last bits, so numbers are compared within a tenth."""
    words = [str(tmp_path) if word == "docs/forest" else word for word in shlex.split(command)[1:]]
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-W", "error", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert (tmp_path / Path(picture).name).read_bytes().startswith(b"\x89PNG")
    assert NUMBER.sub("#", process.stdout) == NUMBER.sub("#", output)
    printed, shown = ([float(n) for n in NUMBER.findall(text)] for text in (process.stdout, output))
    np.testing.assert_allclose(printed, shown, rtol=0.1, atol=0.05)

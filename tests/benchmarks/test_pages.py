"""The pictures and measured numbers of pages come from the commands that stand above them."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```bash\n(.*?)\n```\n.*?^!\[.*?\]\((.*?)\)\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURES = {"forest": 4, "scores": 12}
PAGES = {page: (ROOT / "docs" / f"{page}.md").read_text() for page in PICTURES}
FOUND = {page: BLOCK.findall(text) for page, text in PAGES.items()}
# The last of the forest takes too long; tests/benchmarks/test_designs.py holds what it shows.
RUN = [(page, *block) for page, blocks in FOUND.items() for block in (blocks[:-1] if page == "forest" else blocks)]
NUMBER = re.compile(r"-?\d+\.?\d*")


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_has_a_command_and_its_output(page: str) -> None:
    assert len(FOUND[page]) == PAGES[page].count("\n![") == PICTURES[page]
    for _, picture, _ in FOUND[page]:
        assert (ROOT / "docs" / picture).read_bytes().startswith(b"\x89PNG")
        assert (ROOT / "docs" / picture).stat().st_size < 300_000


@pytest.mark.slow
@pytest.mark.parametrize(("page", "command", "picture", "output"), RUN, ids=[Path(block[2]).stem for block in RUN])
def test_the_command_makes_the_picture_and_the_numbers(page, command, picture, output, tmp_path) -> None:
    """Training differs between machines in the last bits, so numbers are compared within a tenth."""
    words = [str(tmp_path) if word == f"docs/{page}" else word for word in shlex.split(command)[1:]]
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-W", "error", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert (tmp_path / Path(picture).name).read_bytes().startswith(b"\x89PNG")
    assert NUMBER.sub("#", process.stdout) == NUMBER.sub("#", output)
    printed, shown = ([float(n) for n in NUMBER.findall(text)] for text in (process.stdout, output))
    np.testing.assert_allclose(printed, shown, rtol=0.1, atol=0.05)

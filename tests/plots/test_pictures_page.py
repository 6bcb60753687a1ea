"""The page docs/pictures.md: every function of mcdrop.plots is drawn on it, by the code that it shows."""

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "plots" / "draw.py"
PAGE = (ROOT / "docs" / "pictures.md").read_text()


def _drawing_functions() -> Iterator[tuple[str, str]]:
    """Module and name of each public function that returns the axis, or axes, it was given."""
    of_all = {"given", "palette", "calibrated", "legends"}
    for path in sorted((ROOT / "mcdrop" / "plots").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_") or path.stem in of_all:
                continue
            if {argument.arg for argument in node.args.args} & {"ax", "axes"}:
                yield path.stem, node.name


FUNCTIONS = list(_drawing_functions())


def test_every_function_has_its_picture_and_its_line_on_the_page() -> None:
    assert len(FUNCTIONS) >= 25
    for module, name in FUNCTIONS:
        assert f"(plots/{name}.svg)" in PAGE
        assert f"{module}.{name}(" in PAGE
    pictures = set(re.findall(r"\(plots/(\w+)\.svg\)", PAGE))
    assert pictures == {name for _, name in FUNCTIONS} == {path.stem for path in SCRIPT.parent.glob("*.svg")}


def test_every_module_is_on_the_page_of_the_api() -> None:
    api = (ROOT / "docs" / "api" / "plots.md").read_text()
    for module, _ in FUNCTIONS:
        assert f"::: mcdrop.plots.{module}\n" in api


def test_the_lines_on_the_page_are_those_of_the_script() -> None:
    of_script = {line.strip() for line in SCRIPT.read_text().splitlines()}
    first, *blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert "figure.savefig" in first  # of the reader's own figure
    assert len(blocks) >= 14
    for line in "".join(blocks).splitlines():
        assert line in of_script


@pytest.mark.parametrize("path", sorted(SCRIPT.parent.glob("*.svg")), ids=lambda path: path.stem)
def test_pictures_take_the_colour_of_text_from_the_screen(path) -> None:
    text = path.read_text()
    ET.fromstring(text)
    assert "currentColor" in text
    assert "prefers-color-scheme: dark" in text
    assert float(re.search(r'width="([\d.]+)pt"', text)[1]) == pytest.approx(340 * 0.75)


@pytest.mark.slow
def test_the_script_draws_all_pictures(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--out", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.svg" for _, name in FUNCTIONS}

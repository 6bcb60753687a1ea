"""Makes a page of every numbered script in examples/: its docstring, its picture, what it prints, its code.

The scripts run while the pages are built, two at a time, so that a page cannot show what its code does not do.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
_RUNS: dict[str, tuple[str, bytes]] = {}
"""What a script printed and drew, by its text: `mkdocs serve` builds again at every change of a page."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by MkDocs with the pages that it found; adds those of the examples."""
    scripts = sorted((ROOT / "examples").glob("[0-9]*.py"))
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(_run, scripts))
    for script, (printed, picture), after in zip(scripts, runs, [*scripts[1:], None], strict=True):
        files.append(File.generated(config, f"examples/{script.stem}.md", content=page(script, printed, after)))
        files.append(File.generated(config, f"examples/{script.stem}.png", content=picture))
    return files


def page(script: Path, printed: str, after: Path | None) -> str:
    """The page of one script, in Markdown.

    Args:
        script: The script; its docstring begins with the title and indents formulas by four spaces.
        printed: What it prints.
        after: The script that follows, or None.
    """
    text = script.read_text()
    tree = ast.parse(text)
    title, _, words = (ast.get_docstring(tree) or "").partition("\n")
    code = "\n".join(text.splitlines()[tree.body[0].end_lineno :]).strip()
    parts = [
        f"# {title.rstrip('.')}",
        "\n".join(map(_escaped, words.strip("\n").splitlines())),
        f"![The picture that the script draws]({script.stem}.png)",
        f"## What it prints\n\n```text\n{printed.rstrip()}\n```",
        f"## The code\n\n`python examples/{script.name} --out pictures` prints this and draws the picture.",
        f"```python\n{code}\n```",
    ]
    if after is not None:
        parts.append(f"Next: [{_title(after)}]({after.stem}.md)")
    return "\n\n".join(parts) + "\n"


def _title(script: Path) -> str:
    return (ast.get_docstring(ast.parse(script.read_text())) or "").partition("\n")[0].rstrip(".")


def _escaped(line: str) -> str:
    """A line of prose whose signs mean themselves; formulas stand in indented blocks, where they do anyway."""
    return line if line.startswith("    ") else re.sub(r"([\\`*_<\[\]])", r"\\\1", line)


def _run(script: Path) -> tuple[str, bytes]:
    text = script.read_text()
    if text not in _RUNS:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, script, "--out", folder],
                env={**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise PluginError(f"{script.name} failed:\n{done.stderr}")
            _RUNS[text] = done.stdout, (Path(folder) / f"{script.stem}.png").read_bytes()
    return _RUNS[text]

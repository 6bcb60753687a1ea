"""Holds the walls of docs/architecture.md: which room may import which, and what no file may be or be called.

Each rule is a function from a package's folder to the list of its breaches. It must find none in mcdrop, and it must
find the one that is planted in a small package made for it, so that no rule can pass by looking at nothing.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mcdrop"

LEAVES = {"errors", "types", "tree"}  # may be imported by all, and import nothing of mcdrop themselves
BY_NAME = {"report", "plots", "data", "scratch", "distributed", "integrations", "cli"}  # never imported by the root
MAY_IMPORT: dict[str, set[str]] = {
    "noise": set(),
    "prediction": set(),
    "data": set(),
    "scratch": set(),
    "sites": {"noise"},
    "posterior": {"noise", "sites"},
    "calibration": {"prediction"},
    "sampling": {"sites", "posterior", "prediction", "calibration"},
    "training": {"noise", "posterior", "sampling", "prediction", "calibration"},
    "distributed": {"posterior", "sampling", "prediction"},
    "plots": {"prediction", "calibration", "posterior", "training"},
    "report": {"plots", "calibration", "prediction", "sites", "sampling", "training"},
    "integrations": {"training", "sampling", "posterior", "prediction", "calibration"},
}
MAY_IMPORT["cli"] = set(MAY_IMPORT) - {"integrations"}
MAY_IMPORT["__main__"] = {"cli"}
MAY_IMPORT["__init__"] = set(MAY_IMPORT) - BY_NAME - {"__main__"}

NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core", "manager", "handler"}
MOST_LINES = 400
MOST_ROOT_NAMES = 24
HEAVY = {"scipy", "sklearn", "matplotlib", "tqdm", "jinja2", "pandas"}


def _files(package: Path) -> Iterator[tuple[str, Path]]:
    """Every Python file with the path that messages show."""
    for path in sorted(package.rglob("*.py")):
        yield path.relative_to(package.parent).as_posix(), path


def _room(package: Path, path: Path) -> str:
    first = path.relative_to(package).parts[0]
    return first.removesuffix(".py")


def _imported_rooms(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Line and room of every import of the package, wherever it stands: in a function and under TYPE_CHECKING too."""
    root = package.name
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            in_root = path == package / "__init__.py" and node.level == 1 and node.module
            yield node.lineno, node.module.split(".")[0] if in_root else "relative import"
        elif isinstance(node, ast.ImportFrom) and node.module == root:
            for alias in node.names:
                inside = (package / alias.name).is_dir() or (package / f"{alias.name}.py").is_file()
                yield node.lineno, alias.name if inside else "root"
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{root}."):
            yield node.lineno, node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == root:
                    yield node.lineno, parts[1] if len(parts) > 1 else "root"


def forbidden_imports(package: Path) -> list[str]:
    breaches = []
    for shown, path in _files(package):
        room = _room(package, path)
        if room not in MAY_IMPORT and room not in LEAVES:
            breaches.append(f"{shown}: the room {room} has no line in MAY_IMPORT")
            continue
        allowed = set() if room in LEAVES else MAY_IMPORT[room] | LEAVES | {room}
        for line, imported in _imported_rooms(path, package):
            if imported not in allowed:
                breaches.append(f"{shown}:{line}: {room} imports {imported}")
    return breaches


def dynamic_imports(package: Path) -> list[str]:
    """Imports that `forbidden_imports` cannot see."""
    breaches = []
    for shown, path in _files(package):
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
            if name in {"import_module", "__import__"}:
                breaches.append(f"{shown}:{node.lineno}: {name}")
    return breaches


def _bound_names(init: Path) -> Iterator[tuple[str, str]]:
    """Each public name that an `__init__.py` binds, with the module that it comes from ("." is the package itself)."""
    for node in ast.parse(init.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, "." * node.level + (node.module or "")
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, ""


def functions_named_as_modules(package: Path) -> list[str]:
    breaches = []
    for shown, path in _files(package):
        if path.name != "__init__.py":
            continue
        folder = path.parent
        dotted = ".".join(folder.relative_to(package.parent).parts)
        modules = {child.stem for child in folder.iterdir() if child.suffix == ".py" or child.is_dir()}
        for name, origin in _bound_names(path):
            if name in modules and origin not in {dotted, "."}:
                breaches.append(f"{shown}: {name} is a public name and a module of {dotted}")
    return breaches


def root_that_is_no_list(package: Path) -> list[str]:
    """The root holds a docstring and lines `from .x import y as y`, no more, and about 20 names."""
    init = package / "__init__.py"
    breaches, names = [], []
    for position, node in enumerate(ast.parse(init.read_text()).body):
        if position == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if not isinstance(node, ast.ImportFrom):
            breaches.append(f"__init__.py:{node.lineno}: only `from .x import y as y` may stand here")
            continue
        for alias in node.names:
            names.append(alias.asname)
            if alias.asname != alias.name:
                breaches.append(f"__init__.py:{node.lineno}: {alias.name} is not imported `as {alias.name}`")
    if len(names) > MOST_ROOT_NAMES:
        breaches.append(f"__init__.py: {len(names)} names, at most {MOST_ROOT_NAMES}")
    return breaches


def long_files(package: Path) -> list[str]:
    lengths = ((shown, len(path.read_text().splitlines())) for shown, path in _files(package))
    return [f"{shown}: {length} lines, at most {MOST_LINES}" for shown, length in lengths if length > MOST_LINES]


def names_that_say_nothing(package: Path) -> list[str]:
    breaches = []
    for shown, path in _files(package):
        parts = path.relative_to(package).with_suffix("").parts
        breaches += [f"{shown}: {part} says nothing" for part in parts if part.strip("_") in NAMES_THAT_SAY_NOTHING]
    return breaches


RULES = [
    forbidden_imports,
    dynamic_imports,
    functions_named_as_modules,
    root_that_is_no_list,
    long_files,
    names_that_say_nothing,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_mcdrop_keeps(rule):
    assert rule(PACKAGE) == []


PLANTED = [
    (forbidden_imports, "noise/a.py", "from mcdrop.sites import find", "noise imports sites"),
    (forbidden_imports, "noise/a.py", "import mcdrop.sites.find", "noise imports sites"),
    (forbidden_imports, "noise/a.py", "from mcdrop import sites", "noise imports sites"),
    (forbidden_imports, "noise/a.py", "from mcdrop import predict", "noise imports root"),
    (forbidden_imports, "cli/a.py", "import mcdrop", "cli imports root"),
    (forbidden_imports, "cli/a.py", "import mcdrop.integrations", "cli imports integrations"),
    (forbidden_imports, "noise/a.py", "from . import b", "noise imports relative import"),
    (forbidden_imports, "noise/a.py", "from ..sites import find", "noise imports relative import"),
    (forbidden_imports, "noise/a.py", "def f():\n    from mcdrop.sites import find", "a.py:2: noise imports sites"),
    (
        forbidden_imports,
        "noise/a.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mcdrop.sites import Site",
        "a.py:3: noise imports sites",
    ),
    (forbidden_imports, "errors.py", "import mcdrop.tree", "errors imports tree"),
    (forbidden_imports, "__init__.py", "from mcdrop.plots import p as p", "__init__ imports plots"),
    (forbidden_imports, "attic/a.py", "", "the room attic has no line"),
    (dynamic_imports, "noise/a.py", "import importlib\nimportlib.import_module('a')", "a.py:2: import_module"),
    (functions_named_as_modules, "noise/__init__.py", "from mcdrop.noise.draw import draw as draw", "draw is a public"),
    (functions_named_as_modules, "__init__.py", "from mcdrop.sampling import noise as noise", "noise is a public"),
    (root_that_is_no_list, "__init__.py", "import torch", "only `from"),
    (root_that_is_no_list, "__init__.py", "def __getattr__(name): ...", "only `from"),
    (root_that_is_no_list, "__init__.py", "from mcdrop.noise import draw", "draw is not imported `as draw`"),
    (root_that_is_no_list, "__init__.py", "from mcdrop.noise import draw as d", "draw is not imported `as draw`"),
    (
        root_that_is_no_list,
        "__init__.py",
        "\n".join(f"from mcdrop.noise import n{i} as n{i}" for i in range(25)),
        "25 names, at most 24",
    ),
    (long_files, "noise/a.py", "\n" * 401, "401 lines"),
    (names_that_say_nothing, "noise/utils.py", "", "utils says nothing"),
    (names_that_say_nothing, "noise/_common.py", "", "_common says nothing"),
    (names_that_say_nothing, "core/a.py", "", "core says nothing"),
]


@pytest.mark.parametrize(("rule", "file", "text", "breach"), PLANTED)
def test_the_rule_finds_a_planted_breach(tmp_path, rule, file, text, breach):
    package = tmp_path / "mcdrop"
    for name in ["__init__", "errors", "tree", "noise/__init__", "noise/draw", "sites/__init__", "sites/find"]:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / f"{name}.py").write_text("")
    assert rule(package) == []
    (package / file).parent.mkdir(exist_ok=True)
    (package / file).write_text(text)
    found = rule(package)
    assert len(found) == 1, found
    assert breach in found[0]


def test_what_is_allowed_is_seen_and_passes(tmp_path):
    package = tmp_path / "mcdrop"
    texts = {
        "__init__": '"""Doc."""\nfrom .sites.find import find_sites as find_sites\nfrom mcdrop import noise as noise\n',
        "noise/__init__": "",
        "sites/__init__": "from mcdrop.sites import find as find\n",
        "sites/find": "from mcdrop.noise.x import a\nimport mcdrop.errors\nimport torch\n",
    }
    for name, text in texts.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / f"{name}.py").write_text(text)
    assert list(_imported_rooms(package / "__init__.py", package)) == [(2, "sites"), (3, "noise")]
    assert list(_imported_rooms(package / "sites/find.py", package)) == [(1, "noise"), (2, "errors")]
    assert [rule(package) for rule in RULES] == [[]] * len(RULES)


def test_the_arrows_point_one_way():
    """No room can reach itself, so the rooms can be read in one order."""

    def reachable(room: str) -> set[str]:
        direct = MAY_IMPORT[room]
        return direct.union(*(reachable(other) for other in direct)) if direct else set()

    try:
        assert not [room for room in MAY_IMPORT if room in reachable(room)]
    except RecursionError:
        pytest.fail("MAY_IMPORT has a cycle")


def test_the_page_on_architecture_shows_these_rooms_and_arrows():
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    shown = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", text, re.MULTILINE))
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(shown) == rooms
    assert shown.pop("cli") == "all rooms but integrations"
    for room, arrows in shown.items():
        assert set(arrows.split(", ")) - {"-"} == MAY_IMPORT[room] & rooms, room


def test_every_room_has_its_page_of_the_api():
    pages = {path.stem for path in (PACKAGE.parent / "docs" / "api").glob("*.md")}
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert pages == (rooms | {"errors"}) - {"cli"}  # a command, not an interface


def test_annotations_are_checked_in_every_room_but_sites():
    """pyproject.toml must list the rooms by name, because sites cannot be among them."""
    options = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    (checked,) = re.findall(r"--jaxtyping-packages=(\S+)", options)
    rooms = {f"mcdrop.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")}
    assert set(checked.split(",")[:-1]) == rooms - {"mcdrop.sites"}


def _modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    return set(done.stdout.split())


def test_importing_mcdrop_loads_nothing_heavy():
    added = _modules_after("import mcdrop") - _modules_after("import torch")
    assert "mcdrop" in added
    assert not added & HEAVY
    assert "scipy" in _modules_after("import torch, scipy")  # the probe would see it

"""What a measuring command leaves on a page: its tables between their markers, and the machine that made them."""

import datetime
import os
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, whose columns but the first are numbers or short words."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))


def fill(page: str, tables: Mapping[str, str]) -> str:
    """The page with each table between its markers, `<!-- name -->` and `<!-- /name -->`.

    Raises:
        ValueError: A marker is missing.
    """
    for name, text in tables.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        page, count = between.subn(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", page)
        if count != 1:
            raise ValueError(f"<!-- {name} --> stands {count} times on the page; expected once, with its end.")
    return page


def machine() -> str:
    """The machine, the software and the date, in a line."""
    threads = torch.get_num_threads()
    return (
        f"{_processor()}, {os.cpu_count()} cores, {threads} thread{'s' if threads > 1 else ''}, "
        f"torch {torch.__version__}, Python {platform.python_version()}, {datetime.date.today()}"
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    found = next((line.split(":")[1] for line in lines if line.startswith("model name")), platform.processor())
    return " ".join(found.replace("(R)", "").split())

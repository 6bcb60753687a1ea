"""The audit: a table of every random site of a model, for people and for programs."""

import json
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from torch import nn

from mcdrop.sites.discovery import discover
from mcdrop.sites.site import Site


@dataclass(frozen=True)
class Audit:
    """What `audit` found.

    Args:
        model: Class of the model.
        sites: Its dropout sites in order of execution.
        off: What stays off and why, in words.
        uncontrolled: What cannot be controlled, in words.
    """

    model: str
    sites: tuple[Site, ...]
    off: tuple[str, ...]
    uncontrolled: tuple[str, ...]

    def rows(self) -> list[dict[str, str]]:
        """The table, one dictionary of texts for each site."""
        return [
            {
                "site": site.name,
                "source": site.source,
                "p": "-" if site.p is None else f"{site.p:g}",
                "law": site.law,
                "rows on": str(site.row) if site.row else "-",
                "in eval": "fires" if site.always_on else "off",
                "established by": site.established,
            }
            for site in self.sites
        ]

    def to_json(self) -> str:
        """Everything as JSON."""
        return json.dumps(asdict(self), indent=2)

    def __str__(self) -> str:
        lines = [f"{self.model}: {len(self.sites)} dropout {'site' if len(self.sites) == 1 else 'sites'}"]
        rows = self.rows()
        # What is a sentence stands below the table once, with a number: many sites are known by one line of code.
        notes = list(dict.fromkeys(row["established by"] for row in rows if " " in row["established by"]))
        for row in rows:
            if row["established by"] in notes:
                row["established by"] = f"[{notes.index(row['established by']) + 1}]"
        if not any(site.always_on for site in self.sites):
            rows = [{key: text for key, text in row.items() if key != "in eval"} for row in rows]
        if rows:
            widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
            lines.append("  " + "  ".join(key.ljust(width) for key, width in widths.items()).rstrip())
            lines += ["  " + "  ".join(row[key].ljust(w) for key, w in widths.items()).rstrip() for row in rows]
        lines += [f"  [{number}] {text}" for number, text in enumerate(notes, 1)]
        lines += [f"  off: {text}" for text in self.off]
        lines += [f"  NOT CONTROLLED: {text}" for text in self.uncontrolled]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = self.rows()
        head = "".join(f"<th>{escape(key)}</th>" for key in (rows[0] if rows else ()))
        body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row.values()) + "</tr>" for row in rows)
        notes = [f"off: {text}" for text in self.off] + [f"not controlled: {text}" for text in self.uncontrolled]
        listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
        return f"<p>{escape(self.model)}</p><table><tr>{head}</tr>{body}</table><ul>{listed}</ul>"


def audit(model: nn.Module, *args: Any, batch_dim: int | None = 0, **kwargs: Any) -> Audit:
    """Finds every dropout site that an input reaches, and says how each is known.

    The model runs a few times in evaluation mode on a skeleton of itself, with dropout replaced by the identity; it is
    left as it was.

    Args:
        model: The network.
        *args: Its positional inputs.
        batch_dim: Axis of the inputs that holds the rows; None where the whole input is one row.
        **kwargs: Its keyword inputs.

    Returns:
        A table that prints itself.

    Raises:
        RowAxisError: It cannot be told where the rows lie; the remedy is in the message.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.1), nn.Linear(4, 2))
        >>> print(audit(model, torch.zeros(5, 3)))
        Sequential: 1 dropout site
          site       source  p    law                  rows on  established by
          2:dropout          0.1  Bernoulli(keep 0.9)  axis 0   Dropout
    """
    found = discover(model, args, kwargs, batch_dim=batch_dim)
    return Audit(type(model).__name__, found.sites, found.off, tuple(map(str, found.uncontrolled)))

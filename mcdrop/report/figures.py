"""Pictures as SVG that stands in a page: colours that follow light and dark, no name twice, nothing from outside."""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from mcdrop.report.record import Picture

_WIDTH = 5.2
_INK = "#010203"
"""Stands for the colour of the page's text, which is light on dark screens; no palette has it."""

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, to be read aloud and searched
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "legend.framealpha": 0.0,
}


def svg(picture: Picture) -> str:
    """The picture as an `svg` element for HTML; its words for who cannot see it belong to the element around it."""
    # from the defaults, so that the reader sees the same whatever the writer's own style
    settings: list[Any] = ["default", {**_SETTINGS, "svg.hashsalt": picture.name}]
    with style.context(settings), warnings.catch_warnings():
        # the reader's browser has fonts of its own
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure = Figure(figsize=(_WIDTH, picture.height), layout="constrained")
        picture.draw(figure.subplots())
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_page(file.getvalue(), picture.name)


def _for_page(text: str, prefix: str) -> str:
    """The drawing without what belongs to a file of its own, its names made unique by the prefix."""
    root = ET.fromstring(text)
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("}metadata"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key, value in list(element.attrib.items()):
            del element.attrib[key]
            name = key.rpartition("}")[2]
            if name == "id" and value not in used:
                continue
            element.attrib[name] = _renamed(value, name, prefix)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib.update({"aria-hidden": "true", "focusable": "false"})
    return ET.tostring(root, encoding="unicode")


def _renamed(value: str, name: str, prefix: str) -> str:
    """A value with references to this picture alone and with the page's colour of text."""
    if name == "id":
        return f"{prefix}-{value}"
    value = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", value)
    if name == "href":
        value = re.sub(r"^#", f"#{prefix}-", value)
    return value.replace(_INK, "currentColor")

"""The report as one HTML file that asks nothing of any other."""

import base64
import math
import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mcdrop.report.figures import svg
from mcdrop.report.record import Picture, Report
from mcdrop.report.wording import DASH, MINUS


def html(report: Report) -> str:
    """The page. Every word in it is escaped, but for the drawings, which are built as trees of elements.

    Args:
        report: What it says.
    """
    environment = Environment(
        loader=PackageLoader("mcdrop.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"svg": _markup, "data_uri": _data_uri, "short": _short, "tied": _tied, "broken": _broken}
    return environment.get_template("report.html").render(report=report)


def _markup(picture: Picture) -> Markup:
    return Markup(svg(picture))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _short(value: float) -> str:
    """A number of the table under a picture."""
    return DASH if math.isnan(value) else f"{value:.4g}".replace("-", MINUS)


def _tied(text: str) -> str:
    """A sentence that is not broken between a number and its unit or error."""
    return re.sub(r"(?<=\d) (?=%|nats|points)| (?=± )|(?<=±) ", "\u00a0", text)


def _broken(name: str) -> Markup:
    """The name of a function, which may be broken after its dots and underscores."""
    return Markup("<wbr>").join(re.split(r"(?<=[._])", name))

"""Colours that remain apart for colour-blind readers and in print.

Source: Okabe & Ito 2008, "Color universal design", https://jfly.uni-koeln.de/color/.
"""

from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes

ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#7F7F7F"

MAP = "cividis"
"""The colour map of values: its lightness rises evenly, and colour-blind readers see what others see."""


@dataclass(frozen=True)
class Style:
    """How one of several series is told from the others, by colour, line and marker at once."""

    colour: str
    line: str
    marker: str


SERIES = (Style(BLUE, "-", "o"), Style(VERMILION, "--", "s"), Style(GREEN, "-.", "^"), Style(PURPLE, ":", "D"))


def ink() -> str:
    """The colour of text, `rcParams["text.color"]`: for lines that shall be read on dark as on light surroundings.

    Example:
        >>> with matplotlib.rc_context({"text.color": "white"}):
        ...     ink()
        'white'
    """
    return str(matplotlib.rcParams["text.color"])


def next_style(ax: Axes) -> Style:
    """The first style of `SERIES` whose colour no line on the axis has; the last one again when all are taken.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().subplots()
        >>> first = next_style(ax)
        >>> line = ax.plot([0, 1], color=first.colour)
        >>> first.colour, next_style(ax).colour
        ('#0072B2', '#D55E00')
    """
    taken = {line.get_color() for line in ax.get_lines()}
    return next((style for style in SERIES if style.colour not in taken), SERIES[-1])

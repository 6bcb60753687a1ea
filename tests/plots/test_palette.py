import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mcdrop.plots.palette import SERIES, ink, next_style

# Viénot, Brettel & Mollon 1999, on linear RGB: what is seen without one kind of cones.
WITHOUT = {
    "green": np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]),
    "red": np.array([[0.10889, 0.89111, 0.0], [0.10889, 0.89111, 0.0], [0.00447, -0.00447, 1.0]]),
    "none": np.eye(3),
}


def _linear(colour: str) -> np.ndarray:
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _lab(linear: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB, white D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ linear.clip(0, 1) / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("cones", WITHOUT)
def test_series_stay_apart_for_every_eye(cones) -> None:
    seen = [_lab(WITHOUT[cones] @ _linear(style.colour)) for style in SERIES]
    distances = [np.linalg.norm(one - two) for place, one in enumerate(seen) for two in seen[:place]]
    assert min(distances) > 15  # 2.3 is just noticeable


@pytest.mark.parametrize("ground", ["white", "#16181d"])
def test_series_are_seen_on_light_and_on_dark(ground) -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    light = [weights @ _linear(style.colour) + 0.05 for style in SERIES]
    below = weights @ _linear(ground) + 0.05
    assert min(max(each, below) / min(each, below) for each in light) > 2.9  # WCAG 2.1, 1.4.11 asks for 3 in graphics


def test_series_differ_in_line_and_marker_too() -> None:
    assert len({style.line for style in SERIES}) == len({style.marker for style in SERIES}) == len(SERIES)


def test_each_series_takes_the_next_style_and_then_the_last(ax) -> None:
    for style in (*SERIES, SERIES[-1]):
        assert next_style(ax) == style
        ax.plot([0, 1], color=style.colour)


def test_ink_is_the_colour_of_text() -> None:
    with matplotlib.rc_context({"text.color": "#e6e6e6"}):
        assert ink() == "#e6e6e6"

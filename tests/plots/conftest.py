"""An axis of a figure that pyplot does not know, and the promise that every test of this folder holds."""

from collections.abc import Iterator

import matplotlib
import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure


@pytest.fixture(autouse=True)
def _nothing_global_changed() -> Iterator[None]:
    """Whatever a test draws: no figure becomes pyplot's, and no setting is another one afterwards."""
    settings, figures = dict(matplotlib.rcParams), plt.get_fignums()
    yield
    assert dict(matplotlib.rcParams) == settings
    assert plt.get_fignums() == figures


@pytest.fixture
def ax() -> Iterator[Axes]:
    """Drawn in full after the test, as a reader would see it: what cannot be drawn is an error."""
    figure = Figure(figsize=(3.4, 2.7), layout="constrained")
    yield figure.subplots()
    figure.canvas.draw()

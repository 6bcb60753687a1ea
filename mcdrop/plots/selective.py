"""What remains wrong when the most uncertain labels are declined."""

from matplotlib.axes import Axes

from mcdrop.calibration import RiskCoverage
from mcdrop.plots.given import check_same_length, finite
from mcdrop.plots.palette import next_style


def risk_against_coverage(curve: RiskCoverage, ax: Axes, *, label: str | None = None) -> Axes:
    """The error rate of what is kept against the share that is kept; the right end is the error rate of all.

    A curve that rises to the right says that uncertainty finds errors; a flat one, that it does not. The rates of the
    first few labels jump, so that the y axis ends above what is reached from a coverage of 5 % on.

    Args:
        curve: Of `mcdrop.calibration.risk_coverage_curve`.
        ax: To draw on; a further curve on it takes another colour and line.
        label: In the legend, for several curves.

    Returns:
        `ax`.

    Raises:
        InputError: A field is empty, NaN or infinite, or the fields do not fit each other.

    Example:
        >>> import torch
        >>> from matplotlib.figure import Figure
        >>> from mcdrop.calibration import risk_coverage_curve
        >>> curve = risk_coverage_curve(torch.tensor([0.9, 0.6, 0.8, 0.7]), torch.tensor([1, 0, 1, 1]))
        >>> ax = risk_against_coverage(curve, Figure().subplots())
        >>> ax.get_lines()[0].get_ydata()
        array([0.  , 0.  , 0.  , 0.25])
    """
    coverage, risk = finite(curve.coverage, "coverage"), finite(curve.risk, "risk")
    check_same_length(coverages=coverage, risks=risk)
    first = not ax.get_lines()
    style = next_style(ax)
    ax.plot(coverage, risk, color=style.colour, linestyle=style.line, label=label)
    top = 1.1 * max(risk[coverage >= 0.05].max(initial=risk[-1]), 0.01)
    ax.set(xlim=(0, 1), ylim=(0, top if first else max(top, ax.get_ylim()[1])))
    ax.set(xlabel="coverage: share of labels kept", ylabel="error rate of those kept")
    if label is not None:
        ax.legend(frameon=False)
    return ax

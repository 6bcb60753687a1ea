"""How a number settles as more sub-networks are drawn."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, StrMethodFormatter

from mcdrop.errors import InputError
from mcdrop.plots.given import Numbers, check_same_length, finite, real
from mcdrop.plots.palette import SERIES, next_style


def value_against_draws(
    num_draws: Numbers,
    values: Numbers,
    errors: Numbers,
    ax: Axes,
    *,
    name: str,
    unit: str = "",
    label: str | None = None,
) -> Axes:
    """A score, or a mean, against the number of draws it was made of, with a band of two Monte Carlo errors.

    Where the band is narrow beside what one wants to tell apart, there are draws enough.

    Args:
        num_draws: T, above 0; the axis is logarithmic.
        values: One for each T.
        errors: The Monte Carlo standard error of each; NaN where it is not known, as at T = 1.
        ax: To draw on; a further curve on it takes another colour, line and marker.
        name: Of the number.
        unit: Of the number.
        label: In the legend, for several curves.

    Returns:
        `ax`.

    Raises:
        InputError: Nothing is given, lengths differ, a value is NaN or infinite, a T is not above 0, an error below 0.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().subplots()
        >>> ax = value_against_draws([1, 10], [0.5, 0.4], [float("nan"), 0.01], ax, name="NLL", unit="nats")
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('draws, T', 'NLL (nats)')
    """
    draws, at, reach = finite(num_draws, "num_draws"), finite(values, "values"), 2 * real(errors, "errors")
    check_same_length(num_draws=draws, values=at, errors=reach)
    if (draws <= 0).any():
        raise InputError(f"num_draws from {draws.min():g} on were given; expected numbers above 0.")
    if (reach < 0).any():
        raise InputError("An error below 0 was given; expected standard errors.")
    style = next_style(ax)
    order = np.argsort(draws)
    draws, at, reach = draws[order], at[order], reach[order]
    band = "± 2 Monte Carlo errors" if style is SERIES[0] else None
    ax.fill_between(draws, at - reach, at + reach, color=style.colour, alpha=0.3, linewidth=0, label=band)
    ax.plot(draws, at, color=style.colour, linestyle=style.line, marker=style.marker, markersize=3.5, label=label)
    ax.set_xscale("log")
    subs = (1, 2, 5) if draws[-1] <= 200 * draws[0] else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.minorticks_off()
    ax.set(xlabel="draws, T", ylabel=f"{name} ({unit})" if unit else name)
    ax.legend(frameon=False)
    return ax

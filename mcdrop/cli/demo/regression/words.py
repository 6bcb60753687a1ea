"""The regression demo's table, and the sentences that its numbers allow."""

import math
import textwrap

from mcdrop.cli.demo.regression.measurements import COVERAGE, Band, Measurements
from mcdrop.cli.demo.regression.networks import GAP, HIGH, LOW, NOISE

SURE = 2.0
"""How many standard errors a difference must have to be called one."""

_LABEL_WIDTH, _COLUMN_WIDTH, _WIDTH = 29, 17, 80


def table(found: Measurements) -> str:
    """Both ways to predict in the three regions."""
    lines = [_row("", "at the data", "in the gap", "beyond the ends")]
    for title, band in ((_forest(found), found.forest), (apart(found), found.members)):
        regions = (band.at_data, band.in_gap, band.beyond)
        lines += [
            title,
            _row("  differ by", *(f"{region.std:.3f}" for region in regions)),
            _row("  inside 95 % intervals", *(f"{100 * region.held.value:.0f} %" for region in regions)),
        ]
    return "\n".join(lines)


def say_the_setting(*, num_points: int, epochs: int) -> str:
    """What is learnt, and by which network."""
    return (
        f"{num_points} points of sin(pi x / 3) with noise of standard deviation {NOISE:g}, from {LOW:g} to {HIGH:g} "
        f"but none from {GAP[0]:g} to {GAP[1]:g}. A 1-200-200-1 network with dropout p = 0.2 before its last layer, "
        f"{epochs} {'epoch' if epochs == 1 else 'epochs'}."
    )


def say_whether_it_opens(found: Measurements) -> str:
    """Whether the sub-networks differ more in the gap than at the data.

    A standard deviation of T draws has a relative error of about 1 / sqrt(2 (T - 1)), and the ratio of two sqrt(2)
    times as much.
    """
    band = found.forest
    opens = band.opening > 1 + SURE / math.sqrt(found.num_samples - 1)
    verdict = "the band opens" if opens else "the band does not open"
    return (
        f"In the gap the {found.num_samples} sub-networks differ by {band.in_gap.std:.3f}, {band.opening:.1f} times as "
        f"much as at the data ({band.at_data.std:.3f}): {verdict}."
    )


def say_whether_it_is_enough(found: Measurements) -> str:
    """Whether the intervals hold what they promise in the gap."""
    return f"{_says_held(found.forest, 'Its')}."


def say_what_networks_trained_apart_do(found: Measurements) -> str:
    """The same of the networks."""
    band = found.members
    return (
        f"The {found.num_members} networks that were trained apart, dropout off, differ by {band.in_gap.std:.3f} "
        f"there, {band.opening:.1f} times as much as at the data ({band.at_data.std:.3f}). {_says_held(band, 'Their')}."
    )


def _says_held(band: Band, whose: str) -> str:
    at_data, in_gap = band.at_data.held, band.in_gap.held
    # of a predictor that keeps its promise: where all points are inside, their own error is 0
    points = len(in_gap.influence) if in_gap.influence is not None else 1
    error = math.sqrt(COVERAGE * (1 - COVERAGE) / points)
    verdict = (
        "that is too little, they are too narrow there" if in_gap.value < COVERAGE - SURE * error else "that is enough"
    )
    return (
        f"{whose} {100 * COVERAGE:.0f} % intervals hold {100 * at_data.value:.0f} % of new points at the data and "
        f"{100 * in_gap.value:.0f} % in the gap: {verdict}"
    )


def tell(found: Measurements, *, num_points: int, epochs: int) -> str:
    """The whole text of the demo."""
    sentences = (say_whether_it_opens, say_whether_it_is_enough, say_what_networks_trained_apart_do)
    notes = (
        "Differ by: the standard deviation of what the sub-networks, or networks, say of the curve, averaged over the "
        f"region. T = {found.num_samples} draws leave it an error of about {_percent_error(found.num_samples)} %, "
        f"{found.num_members} networks one of {_percent_error(found.num_members)} %. Inside: new points of the curve "
        "with its noise."
    )
    return "\n\n".join(
        [
            _filled(say_the_setting(num_points=num_points, epochs=epochs)),
            table(found),
            _filled(notes),
            *(_filled(say(found)) for say in sentences),
        ]
    )


def _filled(text: str) -> str:
    """Lines of the text, none of which ends between a number and its per cent sign."""
    return textwrap.fill(text.replace(" %", "\u00a0%"), _WIDTH).replace("\u00a0", " ")


def _percent_error(draws: int) -> str:
    return f"{100 / math.sqrt(2 * (draws - 1)):.0f}"


def _forest(found: Measurements) -> str:
    return f"MC dropout, T = {found.num_samples}"


def apart(found: Measurements) -> str:
    """The name of the other way to predict."""
    return f"{found.num_members} networks trained apart"


def _row(label: str, *cells: str) -> str:
    return (label.ljust(_LABEL_WIDTH) + "".join(cell.rjust(_COLUMN_WIDTH) for cell in cells)).rstrip()

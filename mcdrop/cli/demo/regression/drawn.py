"""The page of the regression demo."""

from functools import partial
from pathlib import Path

from matplotlib.axes import Axes

from mcdrop.cli.demo.regression import words
from mcdrop.cli.demo.regression.measurements import Band, Measurements
from mcdrop.cli.demo.regression.networks import GAP, NOISE, Points, curve
from mcdrop.plots import regression
from mcdrop.plots.palette import GREY, VERMILION
from mcdrop.report.record import Picture, Report, Section, Sentence, Table
from mcdrop.report.series import floats
from mcdrop.report.writing import store

_STD = "mcdrop.prediction.RegressionPrediction.epistemic"
_HELD = "mcdrop.calibration.interval_coverage"
_HEIGHT = 4.2


def write(page: Path, points: Points, found: Measurements, *, seed: int, epochs: int) -> None:
    """Writes the page, and its numbers as JSON beside it.

    Args:
        page: The path of the page.
        points: What the networks learnt.
        found: What was measured of them.
        seed: That decided everything.
        epochs: Of the training.
    """
    store(
        Report(
            title="A curve with a gap",
            subject=words.say_the_setting(num_points=len(points.x), epochs=epochs),
            notes=(),
            verdict=(
                Sentence("Does the band open where nothing was measured?", words.say_whether_it_opens(found), _STD),
                Sentence("Is that enough?", words.say_whether_it_is_enough(found), _HELD),
                Sentence("And several networks?", words.say_what_networks_trained_apart_do(found), f"{_STD}; {_HELD}"),
            ),
            sections=(_forest(points, found), _members(points, found), _regions(found)),
            metadata={
                "command": f"mcdrop demo regression --seed {seed} --num-samples {found.num_samples} --epochs {epochs}"
            },
            provenance=found.forest.prediction.provenance.to_dict(),
        ),
        page,
    )


def _forest(points: Points, found: Measurements) -> Section:
    samples = found.forest.prediction.samples
    return Section(
        "forest",
        "What do the sub-networks of one network say?",
        (
            "One network was trained with dropout. Every mask leaves one sub-network of it, and each of them is a "
            "curve. Where there are points they agree, because they had to; in the gap nothing held them together.",
            "The bands add the noise of the points to what the sub-networks differ by. A new point should lie inside "
            "the wide one in 95 % of all cases, in the gap as elsewhere.",
        ),
        pictures=(
            _band_picture("forest_band", points, found, found.forest, f"{found.num_samples} sub-networks"),
            Picture(
                "forest_functions",
                partial(_functions, found),
                "Some of the sub-networks, a line each; the shaded part is the gap.",
                "Lines of single sub-networks over x. They lie close together at the data, with a standard deviation "
                f"of {found.forest.at_data.std:.3f}, and {found.forest.opening:.1f} times as far apart in the gap.",
                "mcdrop.MCDropout.sample, mcdrop.plots.regression.functions",
                {"x": floats(found.x[:, 0]), "first draw": floats(samples[0, :, 0])},
                height=_HEIGHT,
            ),
        ),
    )


def _members(points: Points, found: Measurements) -> Section:
    return Section(
        "members",
        "What do networks say that were trained apart?",
        (
            f"{found.num_members} networks with the same layers were trained on the same points, each from a start of "
            "its own, and are asked with their dropout off. They cost as many trainings; what they differ by is the "
            "choice of the start, which MC dropout does not see.",
        ),
        pictures=(_band_picture("members_band", points, found, found.members, f"{found.num_members} networks"),),
    )


def _regions(found: Measurements) -> Section:
    rows = []
    for name, band in ((f"MC dropout, T = {found.num_samples}", found.forest), (words.apart(found), found.members)):
        for place, region in (("at the data", band.at_data), ("in the gap", band.in_gap), ("beyond", band.beyond)):
            rows.append((name, place, f"{region.std:.3f}", f"{100 * region.held.value:.0f} %"))
    return Section(
        "regions",
        "How much in numbers?",
        ("Averages over the points of the axis in each region; beyond is outside of the ends of the data.",),
        tables=(
            Table(
                "Standard deviation of what the draws say of the curve, and share of new points, with noise "
                f"{NOISE:g}, inside the 95 % intervals.",
                ("asked", "where", "differ by", "inside"),
                tuple(rows),
                f"{_STD}; {_HELD}",
            ),
        ),
    )


def _band_picture(name: str, points: Points, found: Measurements, band: Band, who: str) -> Picture:
    low, high = band.prediction.interval(0.95)
    return Picture(
        name,
        partial(_bands, points, found, band),
        f"Mean of {who} with the intervals of 50 % and 95 %; dots are the points of the training, the dashed line is "
        "the curve that they scatter about, and the shaded part is the gap.",
        f"A band over x. In the gap the standard deviation is {band.opening:.1f} times that at the data, and "
        f"{100 * band.in_gap.held.value:.0f} % of new points lie inside the 95 % intervals there.",
        "mcdrop.prediction.RegressionPrediction.interval, mcdrop.plots.regression.bands",
        {
            "x": floats(found.x[:, 0]),
            "mean": floats(band.prediction.mean[:, 0]),
            "2.5 %": floats(low[:, 0]),
            "97.5 %": floats(high[:, 0]),
        },
        height=_HEIGHT,
    )


def _bands(points: Points, found: Measurements, band: Band, ax: Axes) -> None:
    regression.bands(found.x, band.prediction, ax, data=(points.x, points.y))
    _mark(found, ax)


def _functions(found: Measurements, ax: Axes) -> None:
    regression.functions(found.x, found.forest.prediction.samples, ax)
    _mark(found, ax)


def _mark(found: Measurements, ax: Axes) -> None:
    """The curve, and the gap."""
    ax.axvspan(*GAP, color=GREY, alpha=0.15, linewidth=0)
    ax.plot(found.x, curve(found.x), color=VERMILION, linestyle="--", linewidth=1)
    ax.set_ylim(-2, 2)

"""The demo's tables, and the two sentences that its numbers allow."""

import math
import textwrap
from collections.abc import Mapping

from mcdrop.calibration import Score
from mcdrop.cli.demo.digits.measurements import Measurements, Uncertainty

SURE = 2.0
"""How many standard errors a difference must have to be called one."""

_COLUMNS = {"error": ("error, %", 100, 2), "nll": ("NLL, nats", 1, 4), "brier": ("Brier score", 1, 4)}
_LABEL_WIDTH, _COLUMN_WIDTH, _WIDTH = 29, 17, 80


def _row(label: str, cells: list[str]) -> str:
    return (label.ljust(_LABEL_WIDTH) + "".join(cell.rjust(_COLUMN_WIDTH) for cell in cells)).rstrip()


def _cell(score: Score | None, unit: float, decimals: int) -> str:
    if score is None:
        return "-"
    value = f"{score.value * unit:.{decimals}f}"
    return value if score.standard_error is None else f"{value} ± {score.standard_error * unit:.{decimals}f}"


def _bare_cell(value: float | None, unit: float, decimals: int) -> str:
    """A number without an error, below the values of other rows."""
    return "-" if value is None else f"{value * unit:.{decimals}f}" + " " * len(f" ± 0.{'0' * decimals}")


def _total_error(*scores: Score) -> float:
    """Standard error of a sum or difference of scores whose errors are independent."""
    errors = (error for score in scores for error in (score.standard_error, score.mc_error))
    return math.hypot(*(error for error in errors if error is not None))


def score_table(found: Measurements) -> str:
    """Three readings of one network, with the sampling error of the rows; under a reading, what its draws add."""

    def scores(by_name: dict[str, Score]) -> list[str]:
        return [_cell(by_name[name], unit, decimals) for name, (_, unit, decimals) in _COLUMNS.items()]

    def numbers(by_name: Mapping[str, float | None]) -> list[str]:
        return [_bare_cell(by_name[name], unit, decimals) for name, (_, unit, decimals) in _COLUMNS.items()]

    return "\n".join(
        [
            _row(f"{found.num_rows} held-out digits", [title for title, _, _ in _COLUMNS.values()]),
            _row("weight-scaled network", scores(found.weight_scaled)),
            _row("a single sub-network, mean", scores(found.sub_networks)),
            _row("  spread over sub-networks", numbers(found.spread)),
            _row(f"MC dropout, T = {found.num_samples}", scores(found.mc_dropout)),
            _row("  Monte Carlo error", numbers({name: score.mc_error for name, score in found.mc_dropout.items()})),
        ]
    )


def uncertainty_table(found: Measurements) -> str:
    """Mean uncertainty on digits and on foreign images, beside the share of them that is misread."""
    rows = [
        _row(
            kind.images,
            [_cell(kind.error, 100, 2), _cell(kind.predictive_entropy, 1, 4), _cell(kind.mutual_information, 1, 4)],
        )
        for kind in (found.own, *found.foreign)
    ]
    head = _row("MC dropout, mean over images", ["error, %", "entropy, nats", "MI, nats"])
    return "\n".join([head, *rows])


def say_what_averaging_does(found: Measurements) -> str:
    """Whether MC dropout has a better likelihood than the weight-scaled network on these rows, or none can be seen."""
    difference = found.nll_difference
    error = _total_error(difference)
    apart = f"{abs(difference.value):.4f} ± {error:.4f} nats"
    if difference.value < -SURE * error:
        verdict = f"it helps: its NLL is {apart} lower"
    elif difference.value > SURE * error:
        verdict = f"it does not help, it hurts: its NLL is {apart} higher"
    else:
        verdict = (
            f"it does not help: the NLLs are {apart} apart, which {found.num_rows} rows cannot tell from no difference"
        )
    return (
        f"Averaging {found.num_samples} sub-networks takes the NLL from {found.sub_networks['nll'].value:.4f} for a "
        f"single one to {found.mc_dropout['nll'].value:.4f}; against the weight-scaled network, which needs one pass, "
        f"{verdict}."
    )


def _is_higher(mean: Score, reference: Score) -> bool:
    """Whether a mean lies above another, taking the images as independent (which turned digits are not)."""
    return mean.value - reference.value > SURE * _total_error(mean, reference)


def _list(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]


def say_what_disagreement_tells(found: Measurements) -> str:
    """On which foreign images the sub-networks disagree more than on digits, and on which they do not."""
    own = found.own.mutual_information
    noticed = [kind for kind in found.foreign if _is_higher(kind.mutual_information, own)]
    missed = [kind for kind in found.foreign if kind not in noticed]

    def factor(kind: Uncertainty) -> str:
        return f"{kind.mutual_information.value / own.value:.1f} times as high" if own.value > 0 else "above 0"

    clauses = []
    if noticed:
        parts = _list([f"{factor(kind)} on {kind.images}" for kind in noticed])
        clauses.append(
            f"Compared with digits, mutual information is {parts}: there the sub-networks' disagreement helps"
        )
    if missed:
        parts = _list(
            [
                f"{kind.images}" + (f" ({kind.error.value * 100:.0f} % of them misread)" if kind.error else "")
                for kind in missed
            ]
        )
        start = "it does not help on" if noticed else "Mutual information does not help on"
        clauses.append(f"{start} {parts}, where it is no higher than on digits")
    return "; ".join(clauses) + "."


def tell(found: Measurements, *, num_train: int, epochs: int) -> str:
    """The whole text of the demo."""
    trained = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    return "\n\n".join(
        [
            f"A 64-256-256-10 network with dropout p = 0.5, {num_train} training digits, {trained}.",
            score_table(found),
            uncertainty_table(found),
            "±: standard error from the choice of the images. Spread: standard deviation.\n"
            "Monte Carlo error: standard error from the choice of the T sub-networks.\n"
            "Entropy: of the averaged probabilities. MI: mutual information, the part of it\n"
            "that comes from disagreement. Both are at most ln 10 = 2.3026 nats.",
            textwrap.fill(say_what_averaging_does(found), _WIDTH),
            textwrap.fill(say_what_disagreement_tells(found), _WIDTH),
        ]
    )

"""Numbers and foreign words as a page shows them."""

import math
import unicodedata

MINUS, DASH = "\u2212", "\u2013"

_LONGEST = 200
"""Characters of a foreign word that a page shows."""

ROUNDING = 1e-9
"""An error that is smaller than this share of its value is one of rounding."""


def number_text(
    value: float, standard_error: float | None, mc_error: float | None, unit: str = ""
) -> tuple[str, str, str]:
    """A value with as many decimals as two digits of its larger error need, and the errors with as many.

    Args:
        value: NaN shows as a dash. Without errors it has three digits.
        standard_error: From the rows, if there is one.
        mc_error: From the draws, if there is one.
        unit: "share" is shown in per cent, "share difference" in percentage points; others follow the value.

    Returns:
        Value with its unit, error of the rows, Monte Carlo error; "" for an error that is not there.

    Example:
        >>> number_text(0.97592, 0.00656, 0.0012, "share")
        ('97.59 %', '0.66', '0.12')
        >>> number_text(-0.0844, 0.0227, None, "nats"), number_text(1234.5678, None, None)
        (('\\u22120.084 nats', '0.023', ''), ('1235', '', ''))
    """
    if math.isnan(value):
        return DASH, "", ""
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite", "", ""
    scale, shown_unit = _UNITS.get(unit, (1.0, unit))
    errors = [
        None if error is None else _shown_error(scale * error, scale * value) for error in (standard_error, mc_error)
    ]
    decimals = _decimals(scale * value, max((error for error in errors if error), default=0.0))
    text = f"{scale * value:.{decimals}f}"
    signed = text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)
    first, second = ("" if error is None else _error_text(error, decimals) for error in errors)
    return f"{signed} {shown_unit}".strip(), first, second


_UNITS = {"share": (100.0, "%"), "share difference": (100.0, "points")}


def _shown_error(error: float, value: float) -> float | None:
    if not math.isfinite(error):
        return None
    return 0.0 if error < ROUNDING * abs(value) else error


def _decimals(value: float, error: float) -> int:
    """For two digits of an error, but no more than four of the value; three of a value without one."""
    if value == 0:
        return max(0, 1 - math.floor(math.log10(error))) if error else 0
    magnitude = math.floor(math.log10(abs(value)))
    digits = min(1 - math.floor(math.log10(error)), max(3 - magnitude, 3)) if error else 2 - magnitude
    return min(12, max(0, digits))


def _error_text(error: float, decimals: int) -> str:
    """With as many decimals as its value, or a digit if there would be none."""
    if 0 < error < 0.5 * 10**-decimals:
        decimals = min(12, -math.floor(math.log10(error)))
    return f"{error:.{decimals}f}"


def with_errors(value: float, standard_error: float | None, mc_error: float | None, unit: str = "") -> str:
    """A value and its total error, the root of the sum of squares, in a sentence.

    Example:
        >>> with_errors(0.97592, 0.006, 0.0025, "share")
        '97.59 % ± 0.65'
        >>> with_errors(2.0, None, None)
        '2.00'
    """
    known = [error for error in (standard_error, mc_error) if error is not None]
    text, error, _ = number_text(value, math.hypot(*known) if known else None, None, unit)
    return f"{text} ± {error}" if error else text


def grouped(number: int) -> str:
    """A whole number, its digits in groups of three if there are more than four.

    Example:
        >>> grouped(1208), grouped(100000)
        ('1208', '100 000')
    """
    return f"{number:,}".replace(",", " ") if number >= 10_000 else str(number)


def percent(share: float, decimals: int = 0) -> str:
    """A share in per cent.

    Example:
        >>> percent(0.9), percent(0.9512, 1)
        ('90 %', '95.1 %')
    """
    return f"{100 * share:.{decimals}f} %"


def plain(text: object) -> str:
    """A foreign word as one line of printable characters: what no page, file or picture trips over.

    Control characters, halves of surrogate pairs and marks that override the direction of writing become the
    replacement character; what is longer than 200 characters is cut.

    Example:
        >>> plain("a\\x00b\\u202ec\\nd")
        'a\\ufffdb\\ufffdc d'
    """
    words = " ".join(str(text).split())
    safe = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") or c in _TURNING else c for c in words)
    return safe if len(safe) <= _LONGEST else safe[: _LONGEST - 1] + "…"


def drawable(text: str, *, most: int = 40) -> str:
    """A foreign word for a picture: no formula between dollars, no label hidden by its underscore, not too long.

    Example:
        >>> drawable("_cost in $")
        ' _cost in \\\\$'
    """
    short = text if len(text) <= most else text[: most - 1] + "…"
    return (" " + short if short.startswith("_") else short).replace("$", r"\$")


_TURNING = frozenset(chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A)))

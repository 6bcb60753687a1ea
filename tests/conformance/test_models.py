"""What the table as a whole must hold."""

from tests.conformance.models import LINES

CASES = [case for cases in LINES.values() for case in cases]


def test_there_are_a_hundred_models_and_no_name_twice() -> None:
    names = [(line, case.name) for line, cases in LINES.items() for case in cases]
    assert len(names) == len(set(names)) >= 100


def test_four_in_five_are_vectorised() -> None:
    """Of all, the refused ones included; `test_every_execution_gives_the_same_outputs` holds each to its word."""
    vectorised = [case for case in CASES if not case.refused and case.execution.startswith("vectorised")]
    assert len(vectorised) >= 0.8 * len(CASES)

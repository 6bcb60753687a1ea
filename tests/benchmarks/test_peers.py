"""The verdicts that `peers.py` counts, on models whose verdict is known; the libraries themselves are not needed."""

import warnings
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from tests.benchmarks.peers import by_line, by_verdict
from tests.benchmarks.peers_answers import ANSWERS
from tests.benchmarks.peers_contenders import CONTENDERS, Adapter, adapted, one_input, output, packed, rows_not_first
from tests.benchmarks.peers_verdict import Contender, Finding, Trial, Verdict, difference, judge
from tests.conformance.case import Case, Net, normal
from tests.conformance.models import LINES

BY_NAME = {case.name: case for cases in LINES.values() for case in cases}
TRAIN, RECIPE, *_, MCDROP = CONTENDERS
UNREAD_NORM = Case(
    "a norm that nobody reads",
    lambda: Net(lambda m, x: (m.norm(x), m.drop(x))[1], norm=nn.BatchNorm1d(4), drop=nn.Dropout(0.3)),
    (normal(3, 4),),
)
T = 500


def verdict(contender: Contender, case: Case | str) -> Finding:
    return judge(contender, Trial(BY_NAME[case] if isinstance(case, str) else case), T)


def never(*_):
    raise AssertionError("sampled although it does not take the model")


@pytest.mark.parametrize(
    ("contender", "case", "expected"),
    [
        (TRAIN, "a layer", Finding(Verdict.RIGHT)),
        (TRAIN, "Dropout2d and BatchNorm2d", Finding(Verdict.WRONG, "another law")),
        (TRAIN, UNREAD_NORM, Finding(Verdict.CHANGED, "weights or buffers")),
        (TRAIN, "an auxiliary head", Finding(Verdict.CRASH, "another output")),
        (TRAIN, "a module in a closure", Finding(Verdict.WRONG, "zero spread")),
        (RECIPE, "Dropout2d and BatchNorm2d", Finding(Verdict.RIGHT)),
        (RECIPE, "TransformerEncoderLayer under no_grad", Finding(Verdict.WRONG, "zero spread")),
        (RECIPE, "F.dropout", Finding(Verdict.WRONG, "zero spread")),
        (RECIPE, "handed over in training mode", Finding(Verdict.WRONG, "another law")),
        (RECIPE, "TransformerDecoder", Finding(Verdict.WRONG, "2 random operations of a pass are off")),
        (RECIPE, "heads folded into the batch", Finding(Verdict.RIGHT)),
        (MCDROP, "Dropout2d and BatchNorm2d", Finding(Verdict.RIGHT)),
        (MCDROP, UNREAD_NORM, Finding(Verdict.RIGHT)),
        (MCDROP, "TransformerEncoderLayer under no_grad", Finding(Verdict.RIGHT)),
        (MCDROP, "p changed after wrapping", Finding(Verdict.RIGHT)),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "name", ""),
)
def test_known_verdicts(contender, case, expected) -> None:
    assert verdict(contender, case) == expected


def test_an_error_is_a_crash_unless_it_says_that_there_is_no_dropout() -> None:
    @contextmanager
    def raising(case, model, count):
        yield lambda: model(normal(3, 7))

    assert verdict(MCDROP, "a module in a closure").verdict is Verdict.REFUSED
    found = verdict(Contender("", "", raising), "a layer")
    assert found.verdict is Verdict.CRASH
    assert found.why.startswith("RuntimeError: mat1 and mat2 shapes cannot be multiplied")
    assert verdict(Contender("", "", raising, refusals=("mat1 and",)), "a layer").verdict is Verdict.REFUSED


def test_a_warning_that_says_so_is_a_refusal_where_the_law_is_wrong() -> None:
    def warned(opened):
        @contextmanager
        def with_warning(case, model, count):
            warnings.warn("nothing found", UserWarning, stacklevel=1)
            with opened(case, model, count) as draw:
                yield draw

        return Contender("", "", with_warning, refusals=("nothing found",))

    assert verdict(warned(RECIPE.opened), "F.dropout") == Finding(Verdict.REFUSED, "a warning, then zero spread")
    assert verdict(warned(RECIPE.opened), "a layer") == Finding(Verdict.RIGHT)


def test_what_a_library_is_not_made_for_is_not_tried() -> None:
    contender = Contender("", "", never, excludes=lambda case: "two inputs")
    assert verdict(contender, "a layer") == Finding(Verdict.NOT_TAKEN, "two inputs")


def test_wrong_is_said_only_if_it_is_found_twice() -> None:
    tries = []

    @contextmanager
    def wrong_at_first(case, model, count):
        tries.append(case)
        with (RECIPE if len(tries) == 1 else TRAIN).opened(case, model, count) as draw:
            yield draw

    assert verdict(Contender("", "", wrong_at_first), "F.dropout") == Finding(Verdict.RIGHT)
    assert len(tries) == 3  # twice for the law, once for the operations of a pass


def test_equal_laws_raise_no_alarm_and_three_quarters_of_the_variance_does() -> None:
    """2000 draws: the standard error of the logarithm of a variance ratio is .033 of |log .75| = .29."""
    generator = torch.Generator().manual_seed(0)

    def gaussian(draws):
        return torch.randn(draws, 3, 5, dtype=torch.float64, generator=generator)

    theirs = gaussian(3000)
    for _ in range(20):
        assert difference(gaussian(500), theirs) == ""
        assert difference(gaussian(500).sign(), gaussian(3000).sign()) == ""
    assert difference(gaussian(2000) * 0.75**0.5, theirs) == "another law"
    assert difference(gaussian(2000) + 0.3, theirs) == "another law"
    assert difference(gaussian(1).expand(2000, 3, 5), theirs) == "zero spread"
    assert difference(gaussian(2000) / 0, theirs) == "not finite"
    one_row_too_few = gaussian(2000).index_fill(1, torch.tensor(2), 1.0)
    assert difference(one_row_too_few, theirs) == "another law"


def test_every_model_that_is_refused_has_an_answer() -> None:
    assert set(ANSWERS) == {name for name, case in BY_NAME.items() if case.refused}


def test_an_adapter_hands_on_all_inputs_and_picks_the_output() -> None:
    for name in ("BERT, sdpa", "ViT, sdpa", "a wrapper that passes attributes on, keyword inputs", "a layer"):
        case = BY_NAME[name]
        adapter = adapted(case, case.model())
        assert isinstance(adapter, Adapter) == (name != "a layer")
        torch.testing.assert_close(adapter(packed(case)), output(case), rtol=0, atol=0)
    assert one_input(BY_NAME["BERT, sdpa"])
    assert not one_input(BY_NAME["ViT, sdpa"])
    assert rows_not_first(BY_NAME["GRU with rows on axis 1"])


def test_tables_count_what_was_found() -> None:
    def row(line, contender, verdict, why=""):
        model = f"{line}: {verdict is Verdict.REFUSED or verdict is Verdict.CRASH}"
        return {"line": line, "model": model, "contender": contender, "verdict": verdict.value, "why": why}

    rows = [
        row("a", "x", Verdict.RIGHT),
        row("a", "y", Verdict.WRONG, "zero spread"),
        row("b", "x", Verdict.CHANGED, "modes"),
        row("b", "y", Verdict.WRONG, "another law"),
        row("b", "x", Verdict.REFUSED),
        row("b", "y", Verdict.CRASH),
    ]
    assert by_verdict(rows).splitlines()[2:] == [
        "| x | 1 | 1 | 1 | 0 | 0 | 0 | 0 | 0 |",
        "| y | 0 | 0 | 0 | 0 | 1 | 1 | 1 | 0 |",
    ]
    assert by_line(rows).splitlines() == [
        "| right / silently wrong | a (1) | b (2) |",
        "| --- | ---: | ---: |",
        "| x | 1 / 0 | 1 / 0 |",
        "| y | 0 / 1 | 0 / 1 |",
    ]

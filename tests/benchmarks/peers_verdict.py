"""The verdict on one way of sampling, on one model of the table of conformance."""

import enum
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from scipy import stats
from torch import Tensor, nn

from mcdrop.errors import McdropError
from mcdrop.sampling.output import selector
from mcdrop.sites import preserved_randomness
from mcdrop.tree import map_tensors
from tests.benchmarks.peers_answers import one_pass
from tests.benchmarks.peers_calls import calls, missing
from tests.conformance.case import Case
from tests.conformance.test_conformance import COPIES, copies, state, unfolded

REFERENCE_DRAWS = 3000
DIRECTIONS = 4
LEVEL = 1e-4


class Verdict(enum.StrEnum):
    """From the best to the worst."""

    RIGHT = "right"
    CHANGED = "right, model left changed"
    REFUSED = "refused"
    NOT_TAKEN = "not taken"
    CRASH = "crash"
    WRONG = "silently wrong"


@dataclass(frozen=True)
class Finding:
    """A verdict, and why in a few words."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True)
class Contender:
    """One way of sampling.

    Args:
        name: What the tables call it.
        package: The distribution that it needs.
        opened: Takes a case, its model and a number of draws; a context in which a function returns that many draws,
            a tree of tensors (T, *out).
        excludes: Why it is not made for the case, or an empty string.
        refusals: What its error or warning says where it finds no dropout.
    """

    name: str
    package: str
    opened: Callable[[Case, nn.Module, int], AbstractContextManager[Callable[[], Any]]]
    excludes: Callable[[Case], str] = lambda case: ""
    refusals: tuple[str, ...] = ()

    def says(self, words: str) -> bool:
        """Whether these are the words of a refusal."""
        return any(refusal in words for refusal in self.refusals)


@dataclass(frozen=True, eq=False)
class Trial:
    """A case, with its reference drawn once for each seed."""

    case: Case

    @cache  # noqa: B019 (a trial lives as long as the comparison on its case)
    def expected(self, seed: int) -> Tensor:
        return reference(self.case, seed)

    @cache  # noqa: B019
    def calls(self) -> list[Counter]:
        """What passes of the reference draw from torch's global generator."""
        model = self.case.model()
        if self.case.change:
            self.case.change(model)
        run = one_pass(self.case, model)

        def reference_pass() -> None:
            args, kwargs = self.case.inputs()
            run(*args, **kwargs)

        with torch.no_grad(), preserved_randomness():
            return calls(reference_pass)


def reference(case: Case, seed: int) -> Tensor:
    """Draws of each row's whole output by the hand-written reference, (T, N, everything)."""
    model = case.model()
    if case.change:
        case.change(model)
    run, select = one_pass(case, model), selector(case.output)
    repeats = case.own_masks and not case.refused
    draws = []
    with torch.no_grad(), preserved_randomness() as randomness:
        randomness.reseed(seed)
        for _ in range(REFERENCE_DRAWS // COPIES if repeats else REFERENCE_DRAWS):
            args, kwargs = case.inputs(copies(case) if repeats else None)
            draws.append(select(run(*args, **kwargs)))
    drawn = case.whole(map_tensors(lambda *parts: torch.stack(parts), *draws))
    return unfolded(case, drawn) if repeats else drawn


def difference(ours: Tensor, theirs: Tensor) -> str:
    """How the law of any row's whole output differs from the reference's, or an empty string.

    Kolmogorov-Smirnov, and Levene's test of the spread about the median, on random projections of each row; both
    together give a false alarm once in ten thousand calls. A little noise on both sides hides rounding.
    """
    if not ours.isfinite().all():
        return "not finite"
    if ours.std(dim=0).amax() == 0:
        return "zero spread"
    generator = torch.Generator().manual_seed(5)
    directions = torch.randn(ours.shape[2], DIRECTIONS, dtype=ours.dtype, generator=generator)
    ours, theirs = ours @ directions, theirs @ directions
    spread = theirs.std(dim=0)
    blur = 0.02 * spread.clamp(min=1e-6 * spread.amax())
    ours, theirs = (
        (draws + blur * torch.randn(draws.shape, dtype=draws.dtype, generator=generator)).flatten(1).T.numpy()
        for draws in (ours, theirs)
    )
    pairs = list(zip(ours, theirs, strict=True))
    pvalues = [test(*pair).pvalue for pair in pairs for test in (stats.ks_2samp, stats.levene)]
    return "another law" if min(pvalues) < LEVEL / len(pvalues) else ""


def left_changed(before: dict, after: dict) -> str:
    """What of a model's state is not as it was, in words.

    Not looked at: torch's random state, which every pass advances, and which Python attributes the modules have.
    """
    names = {
        "tensors": "weights or buffers",
        "modes": "modes",
        "classes": "classes of modules",
        "hooks": "hooks",
        "flags": "global flags",
    }
    return ", ".join(words for key, words in names.items() if not _same(before[key], after[key]))


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor):
        return first.shape == second.shape and torch.equal(first.nan_to_num(), second.nan_to_num())
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    return first == second


def switched_off(contender: Contender, trial: Trial) -> int:
    """How many random operations of the reference's passes do not run in the contender's; zero if it cannot be told."""
    case = trial.case
    model = case.model()
    with warnings.catch_warnings(), preserved_randomness():
        warnings.simplefilter("ignore")
        with contender.opened(case, model, 1) as draw, case.within():
            draw()  # what a first call does besides drawing is not counted
            if case.change:
                case.change(model)
            try:
                return missing(calls(draw), trial.calls())
            except RuntimeError:  # torch.compile(fullgraph=True) refuses to run under a recorder,
                torch.compiler.reset()  # and would go on refusing
                return 0


def attempt(contender: Contender, trial: Trial, count: int, seed: int) -> Finding:
    """One try with one seed for the draws and for the reference."""
    case = trial.case
    if why := contender.excludes(case):
        return Finding(Verdict.NOT_TAKEN, why)
    model = case.model()
    before = state(model)
    with warnings.catch_warnings(record=True) as said, preserved_randomness() as randomness:
        warnings.simplefilter("always")
        randomness.reseed(seed)
        try:
            with contender.opened(case, model, count) as draw, case.within():
                if case.change:
                    draw()
                    case.change(model)
                drawn = draw()
        except Exception as error:  # any library may raise anything: that is what is looked at
            refused = isinstance(error, McdropError) or contender.says(str(error))
            return Finding(Verdict.REFUSED if refused else Verdict.CRASH, _in_words(error))
    expected = trial.expected(1000 + seed)
    try:
        drawn = case.whole(drawn)
    except (RuntimeError, IndexError):
        return Finding(Verdict.CRASH, "another output")
    if drawn.shape[1:] != expected.shape[1:]:
        return Finding(Verdict.CRASH, "another output")
    if why := difference(drawn.detach().to(expected.dtype), expected):
        told = any(contender.says(str(warning.message)) for warning in said)
        return Finding(Verdict.REFUSED, f"a warning, then {why}") if told else Finding(Verdict.WRONG, why)
    if count := switched_off(contender, trial):
        return Finding(Verdict.WRONG, f"{count} random operations of a pass are off")
    changed = left_changed(before, state(model))
    return Finding(Verdict.CHANGED, changed) if changed else Finding(Verdict.RIGHT)


def _in_words(error: Exception) -> str:
    line = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]} ({line.name})"


def judge(contender: Contender, trial: Trial, count: int) -> Finding:
    """The verdict; a wrong law counts only if it is found again with other seeds."""
    found = attempt(contender, trial, count, seed=1)
    return attempt(contender, trial, count, seed=2) if found.verdict is Verdict.WRONG else found

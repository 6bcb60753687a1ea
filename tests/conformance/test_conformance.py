"""Promises 1 to 4 on every model of the table: the law of training mode's dropout and nothing else of training mode,
one function for all rows in every execution, and a model that nobody can tell was used."""

import re
from functools import cache

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

import mcdrop
from mcdrop.errors import RowAxisError, UncontrolledSiteError
from mcdrop.sampling.output import selector
from mcdrop.sites import Shadow, Switch, discover, preserved_randomness
from mcdrop.tree import map_tensors
from tests.conformance.case import Case, training_mode
from tests.conformance.models import LINES
from tests.conformance.transformers_models import not_augmented

T = 1500
T_LOOP = 400
COPIES = 50
DIRECTIONS = 4
SAYS_WHY = r"loop: (the host program decides which modules run|not vectorised \(\w+: .{20,}\))"
# PyTorch says so whenever vmap runs an operation in a loop of its own.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:There is a performance drop")]

# The model itself, in training mode but for what stays off: what it draws, and in which order, is training mode's.
REFERENCES_IN_TRAINING_MODE = (training_mode, not_augmented)
CASES = {f"{line}: {case.name}": case for line, cases in LINES.items() for case in cases}
SAMPLED = [name for name, case in CASES.items() if not case.refused]
TOGETHER = [name for name in SAMPLED if not CASES[name].rows_tied]
EXACT = [name for name in SAMPLED if CASES[name].reference in REFERENCES_IN_TRAINING_MODE]
REFUSED = [name for name, case in CASES.items() if case.refused or case.rows_tied]


@pytest.fixture
def case(name, record_property) -> Case:
    record_property("conformance", name)
    return CASES[name]


def sampled(case: Case, model: nn.Module, rows: list[int] | None = None, **options) -> tuple[Tensor, str]:
    """Draws of each row's whole output, (T, N, everything), and how they were run."""
    args, kwargs = case.inputs(rows)
    mc = case.mc(model, **({"shared_masks": not case.rows_tied} | options))
    with case.within():
        if case.change:
            mc.sample(*args, **kwargs)
            case.change(model)
        prediction = mc(*args, **kwargs)
    return case.whole(prediction.samples), prediction.provenance.execution


def copies(case: Case) -> list[int]:
    """Every row many times, so that one pass holds many draws of it."""
    return [row for row in range(case.count) for _ in range(COPIES)]


def unfolded(case: Case, draws: Tensor) -> Tensor:
    """(T, N * COPIES, everything) as (T * COPIES, N, everything)."""
    return draws.unflatten(1, (case.count, COPIES)).movedim(2, 1).flatten(0, 1)


@cache
def expected(name: str) -> Tensor:
    """T draws by the hand-written reference, (T, N, everything)."""
    case = CASES[name]
    model = case.model()
    if case.change:
        case.change(model)
    one_pass, select = case.reference(model), selector(case.output)
    draws = []
    with torch.no_grad(), preserved_randomness() as randomness:
        randomness.reseed(11)
        for _ in range(T // COPIES if case.own_masks else T):
            args, kwargs = case.inputs(copies(case) if case.own_masks else None)
            draws.append(select(one_pass(*args, **kwargs)))
    drawn = case.whole(map_tensors(lambda *parts: torch.stack(parts), *draws))
    return unfolded(case, drawn) if case.own_masks else drawn


def assert_same_law(ours: Tensor, theirs: Tensor) -> None:
    """Kolmogorov-Smirnov on random projections of each row's whole output: a false alarm once in ten thousand.

    A little noise on both leaves equal laws equal, makes discrete ones continuous, and hides what is no error:
    rounding, and p in 16 bits.
    """
    assert ours.shape[1:] == theirs.shape[1:]
    generator = torch.Generator().manual_seed(5)
    directions = torch.randn(ours.shape[2], DIRECTIONS, dtype=ours.dtype, generator=generator)
    ours, theirs = ours @ directions, theirs @ directions
    spread = theirs.std(dim=0)
    assert spread.amax() > 0
    blur = 0.02 * spread.clamp(min=1e-6 * spread.amax())
    ours, theirs = (
        draws + blur * torch.randn(draws.shape, dtype=draws.dtype, generator=generator) for draws in (ours, theirs)
    )
    pvalues = torch.tensor(
        [
            [stats.ks_2samp(ours[:, row, k], theirs[:, row, k]).pvalue for k in range(DIRECTIONS)]
            for row in range(ours.shape[1])
        ]
    )
    assert pvalues.min() > 1e-4 / pvalues.numel(), f"by row and direction:\n{pvalues}"


@pytest.mark.parametrize("name", TOGETHER)
def test_the_law_with_shared_masks(name, case) -> None:
    count = T_LOOP if case.execution.startswith("loop") else T
    assert_same_law(sampled(case, case.model(), num_samples=count)[0], expected(name))


@pytest.mark.parametrize("name", SAMPLED)
def test_the_law_with_own_masks(name, case) -> None:
    if case.own_masks:
        draws, _ = sampled(case, case.model(), copies(case), num_samples=T // COPIES, shared_masks=False)
        draws = unfolded(case, draws)
    else:
        count = T_LOOP if case.execution.startswith("loop") else T
        draws, _ = sampled(case, case.model(), num_samples=count, shared_masks=False)
    assert_same_law(draws, expected(name))


@pytest.mark.parametrize("name", SAMPLED)
def test_every_execution_gives_the_same_outputs(name, case, record_property) -> None:
    model = case.model()
    for shared in (True, False)[bool(case.rows_tied) :]:
        draws, execution = sampled(case, model, shared_masks=shared)
        record_property("execution", execution)
        looped, _ = sampled(case, model, shared_masks=shared, plan=mcdrop.Plan(execution="loop"))
        case.assert_equal(draws, looped)
        if execution.startswith("chain"):  # plain layers alone, which vmap runs as well
            draws, execution = sampled(case, model, shared_masks=shared, plan=mcdrop.Plan(execution="vectorised"))
            case.assert_equal(draws, looped)
        assert execution.startswith(case.execution)
        assert execution.startswith("vectorised") or re.fullmatch(SAYS_WHY, execution)


@pytest.mark.parametrize("name", EXACT)
def test_what_is_switched_on_is_training_modes_dropout(name, case) -> None:
    """Bit for bit, with torch's own randomness: among many sites the law alone would not tell that one is missing."""
    args, kwargs = case.inputs()
    found, select = discover(case.model(), args, kwargs), selector(case.output)
    for seed in range(5):
        outputs = []
        for one_pass in (Shadow(case.model(), Switch(found.on)).root, case.reference(case.model())):
            args, kwargs = case.inputs()
            with torch.no_grad(), preserved_randomness() as randomness:
                randomness.reseed(seed)
                outputs.append(select(one_pass(*args, **kwargs)))
        torch.testing.assert_close(*outputs, rtol=0, atol=0)


@pytest.mark.parametrize("name", [name for name in TOGETHER if CASES[name].batch_dim is not None])
def test_rows_see_one_function(name, case) -> None:
    """Whatever the batch they lie in, and however often they lie in it."""
    model, rows = case.model(), list(range(case.count))
    together, _ = sampled(case, model)
    twice, _ = sampled(case, model, [0, *rows])
    first, others = sampled(case, model, [0])[0], sampled(case, model, rows[1:])[0]
    for draws, same in (
        (twice[:, 1:], together),
        (twice[:, 0], together[:, 0]),
        (torch.cat([first, others], dim=1), together),
    ):
        case.assert_equal(draws, same)


def state(model: nn.Module) -> dict:
    """All that a call could leave behind."""
    modules = dict(model.named_modules())
    return {
        "tensors": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "versions": [tensor._version for tensor in (*model.parameters(), *model.buffers())],
        "modes": {name: module.training for name, module in modules.items()},
        "classes": {name: type(module) for name, module in modules.items()},
        "hooks": {name: [list(hooks.items()) for hooks in hooks_of(module)] for name, module in modules.items()},
        "attributes": {name: [*vars(module)] for name, module in modules.items()},
        "random": torch.get_rng_state(),
        "flags": (
            torch.backends.mha.get_fastpath_enabled(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            len(torch.overrides._get_current_function_mode_stack()),
        ),
    }


def hooks_of(module: nn.Module) -> list:
    return [module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._state_dict_hooks]


def assert_same(first, second) -> None:
    torch.testing.assert_close(first.pop("tensors"), second.pop("tensors"), rtol=0, atol=0, equal_nan=True)
    assert torch.equal(first.pop("random"), second.pop("random"))
    assert first == second


@pytest.mark.parametrize("name", CASES)
def test_nobody_can_tell_that_the_model_was_used(name, case) -> None:
    model = case.model()
    args, kwargs = case.inputs()
    before = state(model)
    mc = case.mc(model, shared_masks=not case.rows_tied)
    with case.within():
        if case.refused:
            with pytest.raises(UncontrolledSiteError):
                mc(*args, **kwargs)
        else:
            mc(*args, **kwargs)
    assert_same(before, state(model))
    torch.testing.assert_close((args, kwargs), case.inputs(), rtol=0, atol=0)


@pytest.mark.parametrize("name", SAMPLED)
def test_a_seed_is_a_promise(name, case) -> None:
    model = case.model()
    draws, _ = sampled(case, model)
    with torch.random.fork_rng():
        torch.manual_seed(99)
        assert torch.equal(sampled(case, model)[0], draws)
    case.assert_equal(sampled(case, model, num_samples=3)[0], draws[:3])
    assert not torch.equal(sampled(case, model, seed=4)[0], draws)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.off])
def test_what_stays_off_is_listed(name, case) -> None:
    args, kwargs = case.inputs()
    off = mcdrop.audit(case.model(), *args, batch_dim=None if case.rows_tied else case.batch_dim, **kwargs).off
    assert any(re.search(case.off, line) for line in off), off


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused_by_name(name, case) -> None:
    args, kwargs = case.inputs()
    error, words = (UncontrolledSiteError, case.refused) if case.refused else (RowAxisError, case.rows_tied)
    with pytest.raises(error, match=words):
        case.mc(case.model())(*args, **kwargs)

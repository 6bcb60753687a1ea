"""Given torch's own mask, `Call.apply` is torch's own arithmetic."""

import pytest
import torch
import torch.nn.functional as F

from mcdrop.sites.operations import read_call

SHAPES = {
    F.dropout: [(7,), (3, 4), (2, 3, 4)],
    F.dropout1d: [(3, 5), (2, 3, 5)],
    F.dropout2d: [(2, 3, 4, 5)],
    F.dropout3d: [(3, 2, 2, 2), (2, 3, 2, 2, 2)],
    F.alpha_dropout: [(7,), (3, 4)],
    F.feature_alpha_dropout: [(4, 3, 5)],
}
CASES = [(function, shape) for function, shapes in SHAPES.items() for shape in shapes]


def torch_output(function, x, p, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return function(x, p, training=True)


@pytest.mark.parametrize("p", [0.2, 0.7])
@pytest.mark.parametrize(("function", "shape"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_equals_the_kernel_given_its_mask(function, shape, p) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    call = read_call(function, (x,), {"p": p, "training": True})
    # What the kernel dropped: the entries that do not depend on the input.
    dropped = torch_output(function, x, p, 5) == torch_output(function, x + 1, p, 5)
    keep = torch.zeros(call.mask_shape, dtype=torch.bool) | ~dropped  # broadcasting the mask must reproduce it
    while keep.shape != call.mask_shape:
        axis = next(a for a, (m, n) in enumerate(zip(keep.shape, call.mask_shape, strict=True)) if m != n)
        assert (keep == keep.narrow(axis, 0, 1)).all()
        keep = keep.narrow(axis, 0, 1)
    torch.testing.assert_close(call.apply(x, keep, p), torch_output(function, x, p, 5), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("function", list(SHAPES), ids=lambda f: f.__name__)
def test_p_of_one_is_torchs_zero(function) -> None:
    x = torch.randn(2, 3, 4, 5) if function is F.dropout2d else torch.randn(2, 3, 4)
    if function is F.dropout3d:
        x = torch.randn(2, 3, 4, 5, 6)
    call = read_call(function, (x,), {"p": 1.0, "training": True})
    keep = torch.zeros(call.mask_shape, dtype=torch.bool)
    assert torch.equal(call.apply(x, keep, 1.0), function(x, 1.0, training=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_is_scaled_in_float32(dtype) -> None:
    """E[out] = x: 1/(1 - .1) in bfloat16 would be .16 % off, rounding the result of a float32 product is not."""
    x = torch.full((64,), 3.0, dtype=dtype)
    call = read_call(F.dropout, (x,), {"p": 0.1})
    out = call.apply(x, torch.ones(64, dtype=torch.bool), 0.1)
    assert out.dtype == dtype
    assert torch.equal(out, torch.full((64,), 3.0 / 0.9).to(dtype))


@pytest.mark.parametrize(
    ("function", "args", "inplace"),
    [
        (torch.dropout, (0.5, True), False),
        (torch.dropout_, (0.5, True), True),
        (torch.feature_dropout, (0.5, True), False),
        (torch.alpha_dropout_, (0.5, True), True),
        (torch.feature_alpha_dropout, (0.5, False), False),
    ],
    ids=str,
)
def test_reads_the_builtin_functions(function, args, inplace) -> None:
    call = read_call(function, (torch.ones(2, 3), *args), {})
    assert (call.p, call.training, call.inplace) == (*args, inplace)


def test_leaves_alone_what_is_no_dropout_or_would_raise() -> None:
    x = torch.ones(2, 3)
    assert read_call(F.relu, (x,), {}) is None
    assert read_call(F.dropout, (x,), {"p": 1.5}) is None
    assert read_call(F.dropout, (torch.ones(3, dtype=torch.int64),), {}) is None
    assert read_call(torch.feature_dropout, (torch.ones(3), 0.5, True), {}) is None

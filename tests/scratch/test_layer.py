"""The layer by hand beside torch.nn.Dropout: the same bits given the mask, the same law without it."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from mcdrop.errors import InputError
from mcdrop.scratch import HandDropout, apply_mask, dropout_backward, dropout_forward, sample_mask

SIZE = 10**6


def _mask_of_torch(shape: tuple[int, ...], p: float, seed: int) -> torch.Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.functional.dropout(torch.ones(shape), p) > 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.7, 0.8, 1.0])
def test_bits_of_torch_given_the_mask(p: float, dtype: torch.dtype) -> None:
    x = torch.randn(50, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    mask = _mask_of_torch((50, 20), p, seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theirs = nn.Dropout(p)(x)
    assert torch.equal(apply_mask(x, mask, p), theirs)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
def test_law_of_torch(p: float) -> None:
    """Chi-square on patterns of four neighbours, so that dependence would be seen as well as a wrong rate."""
    x = torch.ones(SIZE)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = [layer(x).view(-1, 4) > 0 for layer in (HandDropout(p), nn.Dropout(p))]
    weights = torch.tensor([8, 4, 2, 1])
    counts = np.stack([torch.bincount((k * weights).sum(1), minlength=16).numpy() for k in kept])
    assert stats.chi2_contingency(counts).pvalue > 1e-3

    patterns = (np.arange(16)[:, None] >> np.array([3, 2, 1, 0])) & 1
    expected = ((1 - p) ** patterns * p ** (1 - patterns)).prod(axis=1) * SIZE / 4
    assert stats.chisquare(counts[0], expected).pvalue > 1e-3
    assert stats.chisquare(counts[1], expected).pvalue > 1e-3


def test_chi_square_sees_a_rate_wrong_by_one_percent() -> None:
    kept = [int(sample_mask(torch.ones(SIZE), p, torch.Generator().manual_seed(0)).sum()) for p in (0.5, 0.505)]
    assert stats.chi2_contingency([[k, SIZE - k] for k in kept]).pvalue < 1e-6


@pytest.mark.parametrize("p", [0.0, 1.0])
@pytest.mark.parametrize("mode", [True, False])
def test_ends_are_those_of_torch(p: float, mode: bool) -> None:
    x = torch.tensor([[1.0, -2.0, float("inf"), float("nan")]], requires_grad=True)
    ours, theirs = HandDropout(p).train(mode)(x), nn.Dropout(p).train(mode)(x)
    assert torch.equal(torch.nan_to_num(ours, 7.0), torch.nan_to_num(theirs, 7.0))
    (our_grad,) = torch.autograd.grad(ours[0, :2].sum(), x)
    (their_grad,) = torch.autograd.grad(theirs[0, :2].sum(), x)
    assert torch.equal(our_grad, their_grad)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_numpy_and_torch_by_hand_agree(p: float) -> None:
    rng = np.random.default_rng(0)
    values, uniforms, readout = rng.normal(size=(4, 5)), rng.random((4, 5)), rng.normal(size=(4, 5))
    output, mask = dropout_forward(values, p, uniforms)
    x = torch.from_numpy(values).requires_grad_()
    ours = apply_mask(x, torch.from_numpy(mask), p)
    (ours * torch.from_numpy(readout)).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(ours.detach().numpy(), output, rtol=0, atol=1e-10)
    np.testing.assert_allclose(dropout_backward(readout, mask, p), x.grad.numpy(), rtol=0, atol=1e-10)


def test_evaluation_returns_the_input_itself() -> None:
    x = torch.ones(3)
    assert HandDropout(0.5).eval()(x) is x


def test_generator_seeds_and_leaves_the_global_one() -> None:
    x, before = torch.ones(100), torch.get_rng_state()
    first, second = (HandDropout(0.5, torch.Generator().manual_seed(3))(x) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_bfloat16_keeps_a_small_rate() -> None:
    share = 1 - sample_mask(torch.ones(SIZE, dtype=torch.bfloat16), 0.001, torch.Generator().manual_seed(0)).float()
    assert abs(share.mean().item() - 0.001) < 4 * np.sqrt(0.001 / SIZE)


def test_shows_its_rate() -> None:
    assert repr(HandDropout(0.25)) == "HandDropout(p=0.25)"


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_no_probability(p: float) -> None:
    with pytest.raises(InputError, match="`p` is"):
        HandDropout(p)
    with pytest.raises(InputError, match="`p` is"):
        sample_mask(torch.ones(2), p)


def test_mask_of_another_shape() -> None:
    with pytest.raises(InputError, match=r"mask has shape \(1, 3\) and the activations \(2, 3\)"):
        apply_mask(torch.ones(2, 3), torch.ones(1, 3, dtype=torch.bool), 0.5)

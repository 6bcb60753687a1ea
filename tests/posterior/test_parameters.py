import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mcdrop.errors import InputError
from mcdrop.posterior import EffectiveWeights

W = torch.tensor([[1.0, -2.0, 0.5], [0.3, 4.0, -1.0]], dtype=torch.float64)


@pytest.mark.parametrize(("p_in", "p_out"), [(0.5, 0.0), (0.2, 0.3), (0.0, 0.9)])
def test_moments_by_enumeration(p_in: float, p_out: float) -> None:
    """All 2^5 masks, weighted by their probability."""
    law = EffectiveWeights(W, p_in, p_out)
    mean, square, zero, share = torch.zeros_like(W), torch.zeros_like(W), torch.zeros_like(W), 0.0
    for bits in itertools.product([False, True], repeat=5):
        keep_in, keep_out = torch.tensor(bits[:3]), torch.tensor(bits[3:])
        chance = math.prod([1 - p_in if z else p_in for z in bits[:3]] + [1 - p_out if z else p_out for z in bits[3:]])
        weights = law.weights(keep_in, keep_out)
        mean += chance * weights
        square += chance * weights**2
        zero += chance * (weights == 0)
        share += chance * law.share_in_use(keep_in, keep_out)
    torch.testing.assert_close(law.mean, mean)
    torch.testing.assert_close(law.variance, square - mean**2)
    torch.testing.assert_close(torch.full_like(W, law.probability_of_zero), zero)
    assert law.expected_share_in_use == pytest.approx(share)


def test_samples_have_the_law() -> None:
    law, n = EffectiveWeights(W, 0.2, 0.3), 20_000
    draws = law.sample(n, torch.Generator().manual_seed(0))
    assert draws.shape == (n, 2, 3)
    assert ((draws.mean(0) - law.mean).abs() <= 4 * (law.variance / n).sqrt()).all()
    squares = (draws - law.mean).square()
    assert ((squares.mean(0) - law.variance).abs() <= 4 * squares.std(0) / math.sqrt(n)).all()
    q = law.probability_of_zero
    assert ((draws == 0).double().mean(0) - q).abs().max() <= 4 * math.sqrt(q * (1 - q) / n)


def test_random_weights_are_random_activations() -> None:
    """The layer with weights w' on x is the layer with w on the masked x: one network, read from both sides."""
    x = torch.randn(5, 3, dtype=torch.float64)
    keep = torch.tensor([True, False, True])
    torch.testing.assert_close(
        F.linear(x, EffectiveWeights(W, 0.4).weights(keep)), F.linear(x * keep.double() / 0.6, W)
    )
    conv = nn.Conv2d(3, 2, 3, dtype=torch.float64)
    image = torch.randn(1, 3, 5, 5, dtype=torch.float64)
    thinned = EffectiveWeights(conv.weight.detach(), 0.4).weights(keep)
    torch.testing.assert_close(F.conv2d(image, thinned, conv.bias), conv(image * keep.double().view(1, 3, 1, 1) / 0.6))


def test_counts_and_entropy() -> None:
    both = EffectiveWeights(W, 0.5, 0.5)
    assert (both.num_units, both.num_sub_networks) == (5, 32)
    assert both.entropy == pytest.approx(math.log(32))
    assert EffectiveWeights(W, 0.5).num_sub_networks == 8
    assert EffectiveWeights(W, 0.0).num_sub_networks == 1
    assert EffectiveWeights(W, 0.25).entropy == pytest.approx(3 * (0.25 * math.log(4) + 0.75 * math.log(4 / 3)))


def test_refuses_what_fits_no_layer() -> None:
    with pytest.raises(InputError, match="expected a probability of zeroing"):
        EffectiveWeights(W, 1.5)
    with pytest.raises(InputError, match="p = 1 was given: all weights are 0 then"):
        EffectiveWeights(W, 0.5, 1.0)
    with pytest.raises(InputError, match=r"Masks \(2,\) and \(2,\) were given for a weight of 3 inputs and 2 outputs"):
        EffectiveWeights(W, 0.5).weights(torch.ones(2, dtype=torch.bool))


def test_refuses_a_bias(without_type_checks) -> None:
    with pytest.raises(InputError, match=r"shape \(3,\) was given; expected \(out, in, \*kernel\)"):
        EffectiveWeights(W[0], 0.5)

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from mcdrop.errors import InputError, UnavailableError
from mcdrop.noise import DropBlock, DropBlockLaw

SMALL = [((1, 1, 3, 4), 2), ((1, 2, 5), 2), ((1, 1, 2, 5), 3), ((1, 1, 2, 2, 3), 2), ((1, 1, 3, 3), 1)]


def slow_mask(seeds: Tensor, shape: tuple[int, ...], block: int) -> Tensor:
    """M by its definition: for each seed, zeros from its place on."""
    mask = torch.ones(shape, dtype=seeds.dtype)
    for row, channel, *place in seeds.nonzero().tolist():
        mask[(row, channel, *(slice(i, i + block) for i in place))] = 0
    return mask


def every_pattern(law: DropBlockLaw, shape: tuple[int, ...]) -> list[tuple[float, Tensor]]:
    """All seeds with their probability."""
    places, gamma = law.seed_shape(shape), law.gamma(shape)
    patterns = []
    for bits in itertools.product([0.0, 1.0], repeat=math.prod(places)):
        probability = gamma ** sum(bits) * (1 - gamma) ** (len(bits) - sum(bits))
        patterns.append((probability, torch.tensor(bits, dtype=torch.float64).view(places)))
    return patterns


def seeded(layer: DropBlock, x: Tensor, seed: int = 0) -> Tensor:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return layer(x)


@pytest.mark.parametrize(("feature", "block"), [(28, 7), (7, 7), (14, 5), (9, 1)])
def test_gamma_is_equation_1(feature: int, block: int) -> None:
    keep = 0.9
    gamma = (1 - keep) / block**2 * feature**2 / (feature - block + 1) ** 2
    assert DropBlockLaw(1 - keep, block).gamma((8, 3, feature, feature)) == pytest.approx(gamma, rel=1e-12)


def test_gamma_takes_each_axis_for_itself_and_cuts_the_block_to_it() -> None:
    law = DropBlockLaw(0.2, 3)
    assert law.blocks((1, 1, 2, 5)) == (2, 3)
    assert law.gamma((1, 1, 2, 5)) == pytest.approx(0.2 * 2 / (2 * 1) * 5 / (3 * 3))
    assert law.seed_shape((4, 6, 2, 5)) == (4, 6, 1, 3)


@pytest.mark.parametrize(("shape", "block"), SMALL)
def test_blocks_and_their_probabilities_by_enumeration(shape, block) -> None:
    law = DropBlockLaw(0.3, block)
    expected, total = torch.zeros(shape, dtype=torch.float64), 0.0
    for probability, seeds in every_pattern(law, shape):
        kept = law.kept(seeds, shape)
        assert torch.equal(kept, slow_mask(seeds, shape, block))
        expected, total = expected + probability * kept, total + probability
    assert total == pytest.approx(1)
    torch.testing.assert_close(expected, law.keep_probability(shape).expand(shape))


def test_the_share_that_is_dropped_is_p_where_blocks_do_not_overlap() -> None:
    assert (DropBlockLaw(0.3, 1).keep_probability((1, 1, 4, 5)) - 0.7).abs().max() < 1e-12
    assert (DropBlockLaw(0.3, 6).keep_probability((1, 1, 4, 5)) - 0.7).abs().max() < 1e-12
    between = 1 - DropBlockLaw(0.3, 3).keep_probability((1, 1, 4, 5)).mean().item()
    assert 0.2 < between < 0.3


def test_draws_keep_each_position_as_often_as_they_should() -> None:
    law, shape, count = DropBlockLaw(0.3, 3), (40000, 1, 5, 4), 40000
    z = law.sample(shape, torch.Generator().manual_seed(0), torch.float64)
    often, q = (z > 0).double().mean(dim=(0, 1)), law.keep_probability(shape)
    assert ((often - q).abs() <= 4 * (q * (1 - q) / count).sqrt()).all()


def test_the_layer_draws_its_law() -> None:
    """The zeros of a map of 2 x 2 with blocks of 1 x 2: all patterns, as often as enumeration says."""
    law, shape = DropBlockLaw(0.4, 2), (20000, 1, 4)
    probabilities: dict[tuple, float] = {}
    for probability, seeds in every_pattern(law, (1, 1, 4)):
        pattern = tuple(law.kept(seeds, (1, 1, 4)).flatten().tolist())
        probabilities[pattern] = probabilities.get(pattern, 0.0) + probability
    z = seeded(DropBlock(0.4, 2), torch.ones(shape, dtype=torch.float64))
    patterns, counts = (z[:, 0] > 0).double().unique(dim=0, return_counts=True)
    assert {tuple(one) for one in patterns.tolist()} == set(probabilities)
    expected = [20000 * probabilities[tuple(one)] for one in patterns.tolist()]
    assert stats.chisquare(counts.tolist(), expected).pvalue > 1e-4


def test_blocks_of_one_are_elementwise_dropout() -> None:
    """Each of the 16 patterns of a map of 2 x 2 has the probability of independent coins."""
    z = seeded(DropBlock(0.3, 1), torch.ones(20000, 1, 2, 2))
    kept = (z > 0).flatten(1).long() @ torch.tensor([8, 4, 2, 1])
    dropped = np.array([bin(15 - pattern).count("1") for pattern in range(16)])
    expected = 20000 * 0.3**dropped * 0.7 ** (4 - dropped)
    assert stats.chisquare(torch.bincount(kept, minlength=16).numpy(), expected).pvalue > 1e-4


def test_every_row_averages_to_one_on_its_own() -> None:
    z = seeded(DropBlock(0.4, 2), torch.ones(500, 3, 4, 3, dtype=torch.float64)).flatten(1)
    assert ((z.mean(dim=1) - 1).abs() < 1e-12).all()
    assert len(z.amax(dim=1).unique()) > 5  # by a factor of its own
    lost = seeded(DropBlock(0.4, 2), torch.ones(500, 1, 2)).flatten(1)  # one block covers all
    assert set(lost.unique().tolist()) == {0.0, 1.0}


def test_one_row_is_scaled_as_torchvision_scales_a_batch(torchvision_schemas) -> None:
    from torchvision.ops import drop_block2d

    x = torch.randn(1, 4, 9, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours = seeded(DropBlock(0.3, 3), x)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = drop_block2d(x, 0.3, 3, eps=0.0)
    assert (ours == 0).any()
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_gradients() -> None:
    x = torch.randn(2, 2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    layer = DropBlock(0.3, 2)
    assert torch.autograd.gradcheck(lambda x: seeded(layer, x), x)
    seeded(layer, x).sum().backward()
    torch.testing.assert_close(x.grad, seeded(layer, torch.ones_like(x)))


def test_what_leaves_the_input_as_it_is() -> None:
    x = torch.randn(2, 3, 4, 4)
    assert DropBlock(0.5).eval()(x) is x
    assert DropBlock(0.0)(x) is x
    before = x.clone()
    assert seeded(DropBlock(0.5, 2), x.bfloat16()).dtype == torch.bfloat16
    assert torch.equal(x, before)


def test_p_1_drops_all() -> None:
    assert (DropBlock(1.0, 1)(torch.ones(2, 3, 4, 4)) == 0).all()


def test_moments_of_one_value_are_refused() -> None:
    law = DropBlockLaw(0.1)
    for ask in (lambda: law.mean, lambda: law.variance, lambda: law.entropy, lambda: law.log_prob(torch.ones(1))):
        with pytest.raises(UnavailableError, match="depends on its place and on its row"):
            ask()


@pytest.mark.parametrize("make", [DropBlock, DropBlockLaw])
def test_refuses_what_is_no_block(make) -> None:
    with pytest.raises(InputError, match=r"expected a probability of zeroing in \[0, 1\]"):
        make(1.5, 3)
    for size in (0, -1, True):
        with pytest.raises(InputError, match=f"block_size={size!r} was given; expected an integer >= 1"):
            make(0.1, size)


@pytest.mark.usefixtures("without_type_checks")
def test_refuses_a_block_of_another_type() -> None:
    with pytest.raises(InputError, match=r"block_size=2\.5 was given; expected an integer >= 1"):
        DropBlock(0.1, 2.5)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 0)])
def test_refuses_what_has_no_positions(shape) -> None:
    with pytest.raises(InputError, match="expected rows, channels and at least one axis of positions"):
        DropBlock(0.5)(torch.ones(shape))
    assert DropBlock(0.5).eval()(torch.ones(shape)).shape == shape

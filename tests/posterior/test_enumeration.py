import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from mcdrop.errors import InputError
from mcdrop.noise import used_probability
from mcdrop.posterior import Antithetic, Dropout, Enumeration, Independent, Stratified, Units

UNITS = {"a": Units((2, 2), 0.3), "off": Units((3,), 1.0), "b": Units((3,), 0.5)}


def test_every_mask_once_with_its_probability() -> None:
    masks = Enumeration(UNITS)
    assert (masks.num_bits, masks.count) == (7, 128)
    a, b = masks.keep("a", (2, 2), 0.3, 0, 128), masks.keep("b", (3,), 0.5, 0, 128)
    rows = torch.cat([a.flatten(1), b], dim=1)
    assert {tuple(row) for row in rows.tolist()} == set(itertools.product([False, True], repeat=7))
    p = [used_probability(0.3)] * 4 + [0.5] * 3
    expected = [np.prod([1 - q if z else q for z, q in zip(row, p, strict=True)]) for row in rows]
    assert masks.probability.sum().item() == pytest.approx(1, abs=1e-14)
    np.testing.assert_allclose(masks.probability, expected, rtol=1e-12)
    assert not masks.keep("off", (3,), 1.0, 5, 9).any()


def test_log_probability_of_a_mask_is_the_enumerations() -> None:
    masks = Enumeration({name: units for name, units in UNITS.items() if name != "off"})
    for index in (0, 17, 127):
        assert masks.mask(index).log_prob == pytest.approx(masks.probability[index].log().item(), abs=1e-12)


@pytest.mark.parametrize("design", [Independent(), Antithetic(), Stratified(20), Stratified(7)], ids=repr)
def test_every_design_draws_each_mask_as_often_as_enumeration_says(design) -> None:
    """One draw from each of many blocks: independent draws of whole masks, so a plain chi-square holds."""
    masks = Enumeration({"a": Units((4,), 0.3), "b": Units((2,), 0.5)})
    blocks, size = 20_000, design.block_size
    codes = np.zeros(blocks, dtype=int)
    for shift, (name, units) in zip((0, 4), masks.units.items(), strict=True):
        kept = Dropout(1, design).keep(name, units.shape, units.p, 0, blocks * size)[size - 1 :: size]
        codes += (kept.numpy() << np.arange(shift, shift + units.count)).sum(axis=1)
    counts = np.bincount(codes, minlength=masks.count)
    assert stats.chisquare(counts, masks.probability.numpy() * blocks).pvalue > 1e-4


def test_limits_and_strangers() -> None:
    assert Enumeration({"a": Units((20,), 0.5)}).count == 2**20
    with pytest.raises(InputError, match=r"21 units can be dropped, which makes 2\^21 masks; expected at most 2\^20"):
        Enumeration({"a": Units((20,), 0.5), "b": Units((1,), 0.1)})
    with pytest.raises(InputError, match="Site b makes its mask itself"):
        Enumeration({"b": Units((1,), None)})
    with pytest.raises(InputError, match="they lack the site c"):
        Enumeration(UNITS).keep("c", (2,), 0.5, 0, 1)
    with pytest.raises(InputError, match=r"at site a it has shape \(2, 2\), and the model asks for \(4,\)"):
        Enumeration(UNITS).keep("a", (4,), 0.3, 0, 1)
    with pytest.raises(InputError, match="cannot be counted"):
        Enumeration(UNITS).uniform("a", (2, 2), 0, 1)

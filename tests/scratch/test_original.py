"""The original scaling: unbiased after the weights shrink, and the same walk of SGD as inverted dropout."""

from itertools import product

import numpy as np
import pytest

from mcdrop.errors import InputError
from mcdrop.scratch import dropout_forward, original_forward, scale_weight


def test_worked_example() -> None:
    x, uniforms = np.array([[16.0, 31.0]]), np.array([[0.281, 0.899]])
    output, mask = original_forward(x, 0.2, uniforms)
    np.testing.assert_array_equal(output, [[16, 0]])
    np.testing.assert_array_equal(mask, [[True, False]])


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
def test_scaled_weight_gives_the_mean_over_all_masks(p: float) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=5), rng.normal(size=(5, 3))
    mean = np.zeros(3)
    for kept in product([0, 1], repeat=5):
        probability = np.prod([1 - p if k else p for k in kept])
        # Given uniforms: kept below 1 - p, dropped above; at p = 0 or 1 the impossible masks have no weight.
        output, _ = original_forward(x, p, np.where(kept, 0.0, np.nextafter(1.0, 0)))
        mean += probability * (output @ weight)
    np.testing.assert_allclose(x @ scale_weight(weight, p), mean, rtol=0, atol=1e-12)


def test_sgd_walks_through_the_same_networks_as_inverted_dropout() -> None:
    p, step, rng = 0.4, 0.05, np.random.default_rng(1)
    x, target = rng.normal(size=(6, 5)), rng.normal(size=(6, 2))
    inverted = rng.normal(size=(5, 2))
    original = inverted / (1 - p)
    for _ in range(10):
        uniforms = rng.random(x.shape)
        h, _ = dropout_forward(x, p, uniforms)
        inverted = inverted - step * h.T @ (h @ inverted - target)
        h, _ = original_forward(x, p, uniforms)
        original = original - step / (1 - p) ** 2 * h.T @ (h @ original - target)
    np.testing.assert_allclose(scale_weight(original, p), inverted, rtol=1e-10)


def test_no_probability() -> None:
    with pytest.raises(InputError, match=r"`p` is 1\.5"):
        original_forward(np.ones(2), 1.5, np.random.default_rng(0))
    with pytest.raises(InputError, match="`p` is -1"):
        scale_weight(np.ones(2), -1.0)

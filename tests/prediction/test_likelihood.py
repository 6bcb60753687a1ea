"""What all likelihoods promise alike."""

import math

import pytest
import torch

from mcdrop.errors import UnavailableError
from mcdrop.prediction import Binary, Categorical, Gaussian, HeteroscedasticGaussian, Identity, Poisson

G = torch.Generator().manual_seed(0)
DRAWS = torch.randn(5, 3, 4, generator=G, dtype=torch.float64)
SCALES = DRAWS.exp() + 0.1
GRID = torch.linspace(-30, 30, 2001, dtype=torch.float64)


@pytest.mark.parametrize(
    ("likelihood", "outputs", "shape", "values", "width"),
    [
        (Categorical(), DRAWS, (3,), torch.arange(4), 1.0),
        (Categorical(probs=True), DRAWS.softmax(-1), (3,), torch.arange(4), 1.0),
        (Categorical(class_dim=1), DRAWS[..., None].expand(5, 3, 4, 2), (3, 2), torch.arange(4), 1.0),
        (Binary(), DRAWS[..., 0], (3,), torch.arange(2), 1.0),
        (Binary(probs=True), DRAWS[..., 0].sigmoid(), (3,), torch.arange(2), 1.0),
        (Gaussian(2.0), DRAWS[..., 0], (3,), GRID, 0.03),
        (HeteroscedasticGaussian(), DRAWS[..., :2], (3, 1), GRID, 0.03),
        (HeteroscedasticGaussian("variance"), (DRAWS[..., :1], SCALES[..., :1]), (3, 1), GRID, 0.03),
        (HeteroscedasticGaussian("std"), (DRAWS[..., :1], SCALES[..., :1]), (3, 1), GRID, 0.03),
        (Poisson(), DRAWS[..., 0], (3,), torch.arange(200), 1.0),
    ],
    ids=repr,
)
def test_the_geometric_mean_is_the_normalised_product_of_the_draws(likelihood, outputs, shape, values, width) -> None:
    mean = likelihood.geometric_mean(outputs)
    one = tuple(part[None] for part in mean) if isinstance(mean, tuple) else mean[None]

    def log_probs(given) -> torch.Tensor:
        return torch.stack([likelihood.log_prob(given, value.expand(shape)).mean(dim=0) for value in values])

    product = log_probs(outputs)
    expected = product - product.logsumexp(dim=0) - math.log(width)
    torch.testing.assert_close(log_probs(one), expected, rtol=1e-6, atol=1e-6)


def test_the_geometric_mean_of_raw_outputs_is_refused() -> None:
    with pytest.raises(UnavailableError, match=r"Identity\(\) says nothing about targets, so its draws have no"):
        Identity().geometric_mean(DRAWS)

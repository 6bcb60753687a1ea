import math

import pytest
import torch
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.prediction import Binary, Categorical, Gaussian, HeteroscedasticGaussian, Identity, Likelihood, Poisson
from mcdrop.training.row_losses import negative_log_likelihood

GENERATOR = torch.Generator().manual_seed(0)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


CASES: list[tuple[Likelihood, object, Tensor]] = [
    (Categorical(), normal(6, 4), torch.tensor([0, 3, 1, 2, 2, 0])),
    (Categorical(class_dim=-1), normal(6, 5, 4), torch.arange(30).reshape(6, 5) % 4),
    (Categorical(class_dim=1), normal(6, 4, 3, 2), torch.arange(36).reshape(6, 3, 2) % 4),
    (Categorical(probs=True), normal(6, 4).softmax(1), torch.tensor([0, 3, 1, 2, 2, 0], dtype=torch.int32)),
    (Binary(), normal(6), torch.tensor([0, 1, 1, 0, 1, 0])),
    (Binary(), 60 * normal(6, 1), torch.tensor([True, False, True, False, True, True])),
    (Binary(probs=True), normal(6, 2).sigmoid(), torch.tensor([[0, 1]] * 6)),
    (Gaussian(2.5), normal(6, 1), normal(6)),
    (Gaussian((2.5, 0.5)), normal(6, 2), normal(6, 2)),
    (HeteroscedasticGaussian(), normal(6, 4), normal(6, 2)),
    (HeteroscedasticGaussian("variance"), (normal(6, 2), normal(6, 2).exp()), normal(6, 2)),
    (HeteroscedasticGaussian("std"), (normal(6), normal(6).exp()), normal(6)),
    (Poisson(), normal(6, 2), torch.tensor([[0, 3]] * 6)),
]


@pytest.mark.parametrize(("likelihood", "outputs", "targets"), CASES)
def test_equals_the_log_density_summed_over_a_row(likelihood, outputs, targets) -> None:
    draw = tuple(part[None] for part in outputs) if isinstance(outputs, tuple) else outputs[None]
    exact = -likelihood.log_prob(draw, targets)[0].reshape(6, -1).sum(dim=1)
    torch.testing.assert_close(negative_log_likelihood(likelihood, outputs, targets), exact, rtol=1e-12, atol=1e-12)


def test_kendall_and_gal_by_hand() -> None:
    """1/2 exp(-s) (y - f)^2 + s / 2 + 1/2 log 2 pi at f = 1, s = log 4, y = 5: 16/8 + log 2 + 1/2 log 2 pi."""
    loss = negative_log_likelihood(
        HeteroscedasticGaussian(), torch.tensor([[1.0, math.log(4.0)]]), torch.tensor([[5.0]])
    )
    assert loss.item() == pytest.approx(2 + math.log(2) + math.log(2 * math.pi) / 2)


def test_log_variances_far_out_have_finite_losses_and_gradients() -> None:
    outputs = torch.tensor([[0.0, -80.0], [0.0, 80.0]], requires_grad=True)
    loss = negative_log_likelihood(HeteroscedasticGaussian(), outputs, torch.tensor([[1e-3], [1.0]])).sum()
    loss.backward()
    assert outputs.grad is not None
    assert loss.isfinite()
    assert outputs.grad.isfinite().all()


def test_a_sure_binary_network_that_is_right_loses_nothing() -> None:
    probs = torch.tensor([1.0, 0.0], requires_grad=True)
    loss = negative_log_likelihood(Binary(probs=True), probs, torch.tensor([1, 0]))
    loss.sum().backward()
    assert loss.tolist() == [0, 0]
    assert probs.grad is not None
    assert probs.grad.tolist() == [-1, 1]


def test_a_likelihood_without_density_is_refused() -> None:
    with pytest.raises(InputError, match=r"Identity\(\) was given to train by; expected one of Categorical, Binary"):
        negative_log_likelihood(Identity(), torch.zeros(2), torch.zeros(2))

import math

import pytest
import torch
import torch.nn.functional as F

from mcdrop.errors import InputError
from mcdrop.posterior import Prior


@pytest.mark.parametrize(("loss", "outputs"), [("half", 1), ("half", 3), ("torch", 1), ("torch", 3)])
def test_the_loss_with_that_decay_is_the_negative_elbo_over_n_tau(loss: str, outputs: int) -> None:
    """The gradient of what is trained points where the gradient of tau/2 sum |y - f|^2 + KL does."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(8, k, generator=generator, dtype=torch.float64) for k in (5, outputs))
    w = torch.randn(outputs, 5, generator=generator, dtype=torch.float64).requires_grad_()
    prior, tau, p, n = Prior(0.7), 2.5, 0.2, len(x)
    decay = prior.weight_decay(tau, p, n, loss=loss, num_outputs=outputs)
    f = F.linear(x, w)
    if loss == "half":
        trained = (y - f).square().sum(dim=1).mean() / 2 + decay * w.square().sum()
    else:
        trained = F.mse_loss(f, y) + decay / 2 * w.square().sum()
    elbo = tau / 2 * (y - f).square().sum() + (1 - p) * prior.length_scale**2 / 2 * w.square().sum()
    ours, exact = (torch.autograd.grad(loss, w, retain_graph=True)[0] for loss in (trained, elbo))
    torch.testing.assert_close(ours / ours.norm(), exact / exact.norm(), rtol=1e-12, atol=0)
    assert prior.precision(decay, p, n, loss=loss, num_outputs=outputs) == pytest.approx(tau)


def test_the_published_formula() -> None:
    """reg = l^2 (1 - p) / (2 N tau) of the authors' code for Boston: l = .01, p = .05, tau = .1597, N = 455."""
    expected = 1e-4 * 0.95 / (2 * 455 * 0.1597)
    assert Prior(1e-2).weight_decay(0.1597, 0.05, 455, loss="half") == pytest.approx(expected)


def test_the_kl_has_the_gradient_and_the_entropy_of_the_derivation() -> None:
    w = torch.tensor([[1.0, 2.0], [0.0, -2.0]], dtype=torch.float64)
    prior = Prior(0.5)
    assert prior.kl(w, 0.0) == pytest.approx(0.25 / 2 * 9)
    difference = prior.kl(2 * w, 0.3) - prior.kl(w, 0.3)
    assert difference == pytest.approx(0.7 * 0.25 / 2 * (36 - 9))
    assert prior.kl(0 * w, 0.5) == pytest.approx(-2 * math.log(2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"precision": 0.0}, "precision=0.0 was given; expected a positive number"),
        ({"p": 1.0}, "p = 1 was given"),
        ({"p": -0.1}, "expected a probability of zeroing"),
        ({"num_rows": 0}, "num_rows=0 was given; expected an integer >= 1"),
        ({"loss": "mse"}, "expected 'half' or 'torch'"),
    ],
)
def test_refuses_what_is_out_of_range(arguments: dict, message: str, without_type_checks) -> None:
    with pytest.raises(InputError, match=message):
        Prior(1.0).weight_decay(**{"precision": 1.0, "p": 0.5, "num_rows": 10, "loss": "half", **arguments})
    with pytest.raises(InputError, match="length_scale=0 was given; expected a positive number"):
        Prior(0)

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mcdrop
from mcdrop.errors import InputError, OutputError
from mcdrop.posterior import Prior
from mcdrop.training import Objective
from mcdrop.training.objective import as_objective
from mcdrop.training.steps import penalty

RATES = {"weight": 0.2, "bias": 0.0}


def layer(outputs: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(5, outputs).double()


def gradients(loss: torch.Tensor, model: nn.Module) -> torch.Tensor:
    return torch.cat([gradient.flatten() for gradient in torch.autograd.grad(loss, list(model.parameters()))])


def total(objective: Objective, model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    coefficients = objective.penalties(model, RATES, len(x))
    return objective.loss(model(x), y) + penalty(dict(model.named_parameters()), coefficients)


@pytest.mark.parametrize("outputs", [1, 3])
def test_is_tau_times_the_loss_of_the_paper(outputs: int) -> None:
    """L = tau E + const, E = 1/2 mean |y - f|^2 + lambda |W|^2 + lambda_b |b|^2, lambda = (1 - p) l^2 / (2 N tau)."""
    model, prior, tau = layer(outputs), Prior(0.7), 2.5
    x, y = torch.randn(8, 5).double(), torch.randn(8, outputs).double()
    decays = [prior.weight_decay(tau, p, 8, loss="half") for p in (0.2, 0.0)]
    half = (y - model(x)).square().sum(dim=1).mean() / 2
    e = half + sum(decay * w.square().sum() for decay, w in zip(decays, model.parameters(), strict=True))
    ours = gradients(total(Objective(mcdrop.Gaussian(tau), prior), model, x, y), model)
    torch.testing.assert_close(ours, tau * gradients(e, model), rtol=1e-12, atol=0)


@pytest.mark.parametrize("outputs", [1, 3])
def test_is_the_loss_of_torch_with_its_weight_decay(outputs: int) -> None:
    """nn.MSELoss() with weight_decay = 4 lambda / D, which torch adds as wd/2 |W|^2: 2/D of E, 2/(D tau) of L."""
    model, prior, tau = layer(outputs), Prior(0.7), 2.5
    x, y = torch.randn(8, 5).double(), torch.randn(8, outputs).double()
    decays = [prior.weight_decay(tau, p, 8, loss="torch", num_outputs=outputs) for p in (0.2, 0.0)]
    torchs = F.mse_loss(model(x), y)
    torchs = torchs + sum(wd / 2 * w.square().sum() for wd, w in zip(decays, model.parameters(), strict=True))
    ours = gradients(total(Objective(mcdrop.Gaussian(tau), prior), model, x, y), model)
    torch.testing.assert_close(2 / (outputs * tau) * ours, gradients(torchs, model), rtol=1e-12, atol=0)


def test_standardised_and_original_units_give_one_posterior() -> None:
    """Scaling y by s and the last layer with it, tau by 1 / s^2, changes L by the constant log s alone."""
    x, y, s, tau = torch.randn(8, 5).double(), torch.randn(8, 1).double(), 3.0, 2.5
    model = layer()
    standard = Objective(mcdrop.Gaussian(tau)).loss(model(x), y)
    original = Objective(mcdrop.Gaussian(tau / s**2)).loss(s * model(x), s * y)
    assert (original - standard).item() == pytest.approx(math.log(s))


def test_the_authors_code_leaves_out_the_half_and_the_biases() -> None:
    model, x, y = layer(), torch.randn(8, 5).double(), torch.randn(8, 1).double()
    objective = Objective(mcdrop.Gaussian(0.1597), Prior(1e-2), protocol="gal2016")
    decay = 1e-4 * 0.8 / (2 * 8 * 0.1597)
    assert objective.penalties(model, RATES, 8) == {"weight": pytest.approx(decay)}
    exact = F.mse_loss(model(x), y) + decay * model.weight.square().sum()
    torch.testing.assert_close(total(objective, model, x, y), exact, rtol=1e-12, atol=0)


def test_weights_of_classifiers_are_decayed_in_nats() -> None:
    assert Objective(mcdrop.Categorical(), Prior(0.5)).penalties(layer(3), RATES, 10) == {
        "weight": pytest.approx(0.8 * 0.25 / 20),
        "bias": pytest.approx(0.25 / 20),
    }
    assert Objective(mcdrop.Categorical()).penalties(layer(3), RATES, 10) == {}


def test_the_loss_of_the_average_is_the_score_of_the_mixture() -> None:
    samples, targets = torch.randn(50, 6, 4), torch.tensor([0, 3, 1, 2, 2, 0])
    prediction = mcdrop.prediction.from_draws(samples, mcdrop.Categorical())
    score = mcdrop.calibration.negative_log_likelihood(prediction, targets)
    assert Objective(mcdrop.Categorical()).average_loss(samples, targets).item() == pytest.approx(score.value, rel=1e-6)


def test_the_average_of_several_outputs_is_their_joint_density() -> None:
    """Two draws that are right about one output each: log 1/2 (ab + ba), not the sum of the marginals."""
    samples = torch.tensor([[[0.0, 3.0]], [[3.0, 0.0]]]).double()
    one = torch.distributions.Normal(0.0, 1.0)
    wrong, right = one.log_prob(torch.tensor(3.0)).item(), one.log_prob(torch.tensor(0.0)).item()
    loss = Objective(mcdrop.Gaussian(1.0)).average_loss(samples, torch.zeros(1, 2))
    assert loss.item() == pytest.approx(-(wrong + right))


def test_the_squared_error_of_the_average_under_the_authors_protocol() -> None:
    samples = torch.tensor([[[1.0]], [[3.0]]])
    objective = Objective(mcdrop.Gaussian(1.0), protocol="gal2016")
    assert objective.average_loss(samples, torch.zeros(1)).item() == 4
    assert objective.loss(samples[1], torch.zeros(1)).item() == 9


def test_several_masks_average_the_losses_and_not_the_outputs() -> None:
    outputs = iter([torch.tensor([[0.0]]), torch.tensor([[2.0]])])
    loss = Objective(mcdrop.Gaussian(1.0), num_masks=2).sampled_loss(lambda: next(outputs), torch.zeros(1))
    assert loss.item() == pytest.approx((0 + 2) / 2 + math.log(2 * math.pi) / 2)


def test_a_part_of_the_output_is_read() -> None:
    objective = Objective(mcdrop.Categorical(), output="logits")
    loss = objective.sampled_loss(lambda: {"logits": torch.zeros(2, 4), "hidden": None}, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(math.log(4))
    with pytest.raises(OutputError, match="output='logits' was given"):
        objective.select({"scores": torch.zeros(2, 4)})


def test_targets_of_all_rows_are_checked_piece_by_piece() -> None:
    targets = torch.zeros(10_000, dtype=torch.long)
    objective = Objective(mcdrop.Categorical())
    objective.check_targets(torch.zeros(1, 3), targets)
    targets[-1] = 3
    with pytest.raises(InputError, match="Targets from 0 to 3 given, labels of 3 classes go from 0 to 2"):
        objective.check_targets(torch.zeros(1, 3), targets)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"likelihood": "categorical"}, "'categorical' was given to train by; expected a likelihood such as"),
        ({"likelihood": mcdrop.Identity()}, "was given to train by; expected a likelihood such as"),
        ({"prior": 1e-4}, r"prior=0.0001 was given; expected mcdrop.posterior.Prior\(length_scale\), or None"),
        ({"prior": None}, "rates were given without a prior"),
        ({"num_masks": 0}, "num_masks=0 was given; expected an integer >= 1"),
        ({"protocol": "paper"}, "protocol='paper' was given; expected 'elbo' or 'gal2016'"),
        ({"protocol": "gal2016"}, r"protocol='gal2016' was given for Categorical\(.*; it is of Gaussian"),
    ],
)
def test_refuses(arguments: dict, message: str, without_type_checks) -> None:
    given = {"likelihood": mcdrop.Categorical(), "prior": Prior(1.0), "rates": RATES, **arguments}
    with pytest.raises(InputError, match=message):
        Objective(given.pop("likelihood"), given.pop("prior"), **given)


def test_a_likelihood_stands_for_its_objective() -> None:
    assert as_objective(mcdrop.Binary()) == Objective(mcdrop.Binary())
    assert as_objective(objective := Objective(mcdrop.Binary(), num_masks=3)) is objective

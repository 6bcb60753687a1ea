from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

import mcdrop
from mcdrop.errors import InputError
from mcdrop.noise import BernoulliLaw, ConcreteDropout, ConcreteLaw
from mcdrop.posterior import Prior
from mcdrop.sites import insert
from mcdrop.training import ConcreteKL, Objective, concrete_terms, dropout_rates, fit
from mcdrop.training.each import train_each
from mcdrop.training.rows import Arrays
from mcdrop.training.steps import penalty
from mcdrop.training.trial import try_training

SGD = partial(torch.optim.SGD, lr=0.1)


def network(p: float = 0.2) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            ConcreteDropout(p), nn.Linear(4, 6), nn.ReLU(), ConcreteDropout(p), nn.Linear(6, 1)
        ).double()


def data(rows: int = 32) -> tuple[Tensor, Tensor]:
    x = torch.randn(rows, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x, x.sum(dim=1, keepdim=True)


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters())


@pytest.mark.parametrize("p", [0.03, 0.5, 0.8])
def test_is_the_kl_of_the_paper(p: float) -> None:
    """(1 - p) l^2 / 2 |M|^2 - K H(p), where the layer stores W = (1 - p) M."""
    model, prior = network(p), Prior(0.7)
    first, second = concrete_terms(model, prior, 10, data()[0])
    rate = model[0].law.p  # p rounded to float32
    for term, layer in ((first, model[1]), (second, model[4])):
        expected = prior.kl(layer.weight / (1 - rate), rate) / 10
        assert term(parameters_of(model)).item() == pytest.approx(expected, rel=1e-9)


def test_gradients_in_the_weights_and_the_rate() -> None:
    term = ConcreteKL(Prior(0.7), 10, "logit", ("weight",), 4)
    weight = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for logit in (-3.0, 0.0, 2.0):
        at = torch.tensor(logit, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda w, a: term({"weight": w, "logit": a}), (weight, at))


def test_the_entropy_alone_pulls_to_one_half() -> None:
    term = ConcreteKL(Prior(0.7), 10, "logit", ("weight",), 4)

    def slope(p: float) -> float:
        logit = torch.tensor(p, dtype=torch.float64).logit().requires_grad_()
        term({"weight": torch.zeros(3, 4, dtype=torch.float64), "logit": logit}).backward()
        return logit.grad.item()

    assert slope(0.1) < 0 < slope(0.9)
    assert slope(0.5) == pytest.approx(0, abs=1e-12)


class Heads(nn.Module):
    """Two layers on one dropped input, a third behind one whose rate they share, a fourth without."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = ConcreteDropout(0.2)
        self.query, self.key, self.last, self.plain = (nn.Linear(4, 4, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        dropped = self.drop(x)
        return (self.last(self.drop(F.relu(self.query(dropped) * self.key(dropped)))) + self.plain(x))[:, :1]


def test_who_takes_what_is_found() -> None:
    terms = concrete_terms(Heads(), Prior(1.0), 10, torch.ones(2, 4))
    assert [(term.logit, term.weights, term.num_inputs) for term in terms] == [
        ("drop.logit", ("query.weight", "key.weight"), 4),
        ("drop.logit", ("last.weight",), 4),
    ]


def test_a_layer_that_runs_twice_counts_once() -> None:
    class Twins(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.layer = ConcreteDropout(0.2), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.drop(x)) - self.layer(self.drop(-x))

    assert len(concrete_terms(Twins(), Prior(1.0), 10, torch.ones(2, 4))) == 1


def test_convolutions_count_channels() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), ConcreteDropout(whole_channels=True), nn.ReLU(), nn.Conv2d(4, 2, 3, groups=2), nn.Flatten(),
        ConcreteDropout(), nn.Linear(2 * 4 * 4, 1),
    )  # fmt: skip
    terms = concrete_terms(model, Prior(1.0), 10, torch.ones(2, 1, 8, 8))
    assert [(term.weights, term.num_inputs) for term in terms] == [(("3.weight",), 4), (("6.weight",), 32)]


def test_noise_inserted_into_a_trained_network_is_found() -> None:
    model = insert(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1)), ConcreteDropout(), before=nn.Linear)
    terms = concrete_terms(model, Prior(1.0), 10, torch.ones(2, 4))
    assert [(term.logit, term.weights) for term in terms] == [
        ("0.noise_before.logit", ("0.weight",)),
        ("2.noise_before.logit", ("2.weight",)),
    ]


def test_rates_as_they_stand_are_told_and_the_model_is_left_alone() -> None:
    model = network(0.2)
    rates = dropout_rates(model, data()[0])
    assert rates == {"1.weight": pytest.approx(0.2), "1.bias": 0, "4.weight": pytest.approx(0.2), "4.bias": 0}
    assert "forward" not in vars(model[0])
    assert concrete_terms(nn.Linear(4, 1), Prior(1.0), 10, torch.ones(2, 4)) == ()


def test_the_objective_replaces_the_coefficients_of_these_weights() -> None:
    """Biases keep theirs, and so does a layer without dropout; the sum is the whole KL term."""
    model, prior = nn.Sequential(nn.Linear(4, 4), network()).double(), Prior(0.7)
    penalties = try_training(model, Objective(mcdrop.Gaussian(1.0), prior), Arrays(*data(), 8, model))
    by_name = parameters_of(model)
    assert set(penalties) == {name for name in by_name if not name.endswith("logit")}
    plain = [name for name in by_name if name.startswith("0.") or name.endswith("bias")]
    expected = sum(prior.weight_decay(1.0, 0.0, 32, loss="half") * by_name[name].square().sum() for name in plain)
    rate = model[1][0].law.p  # 0.2 rounded to float32
    behind = ("1.1.weight", "1.4.weight")
    expected = expected + sum(prior.kl(by_name[name] / (1 - rate), rate) / 32 for name in behind)
    torch.testing.assert_close(penalty(by_name, penalties), expected, rtol=1e-9, atol=0)


def test_layers_on_one_dropped_input_share_its_entropy() -> None:
    model, prior = Heads().double(), Prior(0.7)
    penalties = try_training(model, Objective(mcdrop.Gaussian(1.0), prior), Arrays(*data(), 8, model))
    rate = model.drop.law.p
    joint = torch.cat([model.query.weight, model.key.weight])  # one layer of 8 outputs
    kl = prior.kl(joint / (1 - rate), rate) + prior.kl(model.last.weight / (1 - rate), rate)
    kl += prior.length_scale**2 / 2 * model.plain.weight.square().sum().item()
    assert penalty(parameters_of(model), penalties).item() == pytest.approx(kl / 32, rel=1e-9)


def test_a_step_of_fit_follows_the_gradient_of_the_kl() -> None:
    """Of inputs that are all zero the loss says nothing about weights and rate of the first layer."""
    model, prior = nn.Sequential(ConcreteDropout(0.2), nn.Linear(4, 1, bias=False)).double(), Prior(2.0)
    before = {name: value.detach().clone().requires_grad_() for name, value in model.named_parameters()}
    (term,) = concrete_terms(model, prior, 8, torch.zeros(8, 4).double())
    term(before).backward()
    zeros = torch.zeros(8, 4, dtype=torch.float64), torch.ones(8, 1, dtype=torch.float64)
    fit(model, zeros, Objective(mcdrop.Gaussian(1.0), prior), optimizer=SGD, epochs=1, batch_size=8)
    for name, value in model.named_parameters():
        torch.testing.assert_close(value.detach(), (before[name] - 0.1 * before[name].grad).detach())


def test_training_goes_on_from_a_checkpoint_with_the_learned_rate(tmp_path) -> None:
    objective, whole, halves = Objective(mcdrop.Gaussian(1.0), Prior(0.1)), network(), network()
    options = {"optimizer": SGD, "batch_size": 8}
    fit(whole, data(), objective, epochs=4, **options)
    for epochs in (2, 4):
        fit(halves, data(), objective, epochs=epochs, checkpoint=tmp_path / "run", **options)
        halves = network() if epochs == 2 else halves
    assert whole[0].p != network()[0].p
    for ours, theirs in zip(whole.parameters(), halves.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_several_networks_each_learn_their_rate() -> None:
    objective = Objective(mcdrop.Gaussian(1.0), Prior(0.1))
    networks, _ = train_each(network, [data()], objective, seeds=[0, 1], optimizer=SGD, epochs=1, batch_size=8)
    assert networks[0][0].p != networks[1][0].p


# Linear regression with orthogonal inputs, x'x = N I, and y = x 1: with the factor's mean 1 and variance v the ELBO is
#   K [ tau/2 ((1 - w)^2 + v w^2) + l^2 / (2 N (1 - p)) w^2 ] - K/N H(p),
# least at w = tau / (tau (1 + v) + l^2 / (N (1 - p))) for any p. tau is chosen so that p* is the rate to be recovered.
K, N, LENGTH = 20, 400, 1.0


def elbo(p: float, tau: float, variance: float) -> float:
    prior = LENGTH**2 / (N * (1 - p))
    w = tau / (tau * (1 + variance) + prior)
    return K * (tau / 2 * ((1 - w) ** 2 + variance * w**2) + prior / 2 * w**2) - K / N * BernoulliLaw(p).entropy


def best_rate(tau: float, *, relaxed: bool) -> float:
    def value(p: float) -> float:
        return elbo(p, tau, ConcreteLaw(p).variance if relaxed else BernoulliLaw(p).variance)

    return minimize_scalar(value, bounds=(1e-4, 0.9), method="bounded", options={"xatol": 1e-7}).x


@pytest.mark.parametrize(("rate", "tau"), [(0.1, 0.013085098736), (0.3, 0.006001309190)])
@pytest.mark.parametrize("start", [0.03, 0.6])
def test_recovers_a_known_rate(rate: float, tau: float, start: float) -> None:
    assert best_rate(tau, relaxed=False) == pytest.approx(rate, abs=1e-6)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(ConcreteDropout(start), nn.Linear(K, 1, bias=False)).double()
    x = torch.linalg.qr(torch.randn(N, K, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    x = x * N**0.5
    fit(
        model,
        (x, x.sum(dim=1, keepdim=True)),
        Objective(mcdrop.Gaussian(tau), Prior(LENGTH)),
        optimizer=partial(torch.optim.Adam, lr=0.03),
        schedule=partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=600),
        epochs=600,
        batch_size=N,
    )
    learned = model[0].law
    # The relaxed coins vary less, so that a larger rate is best for them; by how much is known too.
    assert learned.p == pytest.approx(best_rate(tau, relaxed=True), abs=0.01)
    assert learned.p == pytest.approx(rate, abs=0.02)
    weight = tau / (tau * (1 + learned.variance) + LENGTH**2 / (N * (1 - learned.p)))
    assert model[1].weight.mean().item() == pytest.approx(weight, rel=0.02)


def test_more_data_want_less_dropout() -> None:
    tau = 0.013085098736

    def learned(times: int) -> float:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = nn.Sequential(ConcreteDropout(0.1), nn.Linear(K, 1, bias=False)).double()
        x = np.sqrt(K) * torch.eye(K, dtype=torch.float64).repeat(N // K, 1).repeat(times, 1)
        objective = Objective(mcdrop.Gaussian(tau), Prior(LENGTH))
        adam = partial(torch.optim.Adam, lr=0.03)
        fit(model, (x, x.sum(dim=1, keepdim=True)), objective, optimizer=adam, epochs=200, batch_size=N * times)
        return model[0].p.item()

    assert learned(8) < 0.5 * learned(1)


@pytest.mark.usefixtures("without_type_checks")  # the checks touch Python's random state, which is watched
def test_used_as_mc_dropout_afterwards() -> None:
    """One linear layer: Var = Var[z] sum (w x)^2, with the relaxed coins that it was trained with, or with 0/1 ones."""
    model, (x, _) = network(0.3)[:2].eval(), data(5)
    torch.manual_seed(0)
    count = 4000
    for noise in (model[0], model[0].as_bernoulli()):
        net = nn.Sequential(noise, model[1]).eval()
        prediction = mcdrop.predict(
            net, x, likelihood=mcdrop.Identity(), num_samples=count, seed=0, keep_samples=True, shared_masks=False
        )
        mean = x @ model[1].weight.T * noise.law.mean + model[1].bias
        variance = noise.law.variance * x.square() @ model[1].weight.T.square()
        assert ((prediction.mean - mean).abs() <= 4.5 * (variance / count).sqrt()).all()
        squares = (prediction.samples - mean).square()
        assert ((squares.mean(dim=0) - variance).abs() <= 4.5 * squares.std(dim=0) / count**0.5).all()


def test_refuses_to_learn_a_rate_without_a_prior() -> None:
    options = {"optimizer": SGD, "epochs": 1, "batch_size": 8}
    model = network()
    with pytest.raises(
        InputError, match=r"0, 3 learns its rate, and no prior was given: .* the rate falls to 0\. Give"
    ):
        fit(model, data(), mcdrop.Gaussian(1.0), **options)
    with pytest.raises(
        InputError, match=r"protocol='gal2016' was given, which has no KL term .*\(0, 3\); expected 'elbo'"
    ):
        fit(model, data(), Objective(mcdrop.Gaussian(1.0), Prior(1.0), protocol="gal2016"), **options)
    for layer in (model[0], model[3]):
        layer.logit.requires_grad_(False)
    fit(model, data(), mcdrop.Gaussian(1.0), **options)
    assert model[0].p.item() == pytest.approx(0.2)


def test_refuses_what_it_cannot_tell() -> None:
    x, image = torch.ones(2, 4), torch.ones(2, 4, 8, 8)
    alone = nn.Sequential(ConcreteDropout(), nn.Tanh(), nn.Linear(4, 1))
    with pytest.raises(
        InputError, match=r"^0: no linear or convolutional layer takes what it returns.* Put it directly"
    ):
        concrete_terms(alone, Prior(1.0), 10, x)
    elementwise = nn.Sequential(ConcreteDropout(), nn.Conv2d(4, 1, 3))
    with pytest.raises(
        InputError, match=r"0 drops single values, and the layer of 1.weight is a convolution; expected"
    ):
        concrete_terms(elementwise, Prior(1.0), 10, image)
    channels = nn.Sequential(ConcreteDropout(whole_channels=True), nn.Flatten(), nn.Linear(256, 1))
    with pytest.raises(InputError, match=r"0 drops whole channels, and the layer of 2.weight is linear; expected"):
        concrete_terms(channels, Prior(1.0), 10, image)
    layer = nn.Linear(4, 4)
    twice = nn.Sequential(ConcreteDropout(), layer, ConcreteDropout(), layer)
    with pytest.raises(InputError, match=r"1\.weight: behind several concrete dropouts"):
        concrete_terms(twice, Prior(1.0), 10, x)


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("num_rows", [0, 2.5, True])
def test_refuses_what_is_no_number_of_rows(num_rows) -> None:
    with pytest.raises(InputError, match=f"num_rows={num_rows!r} was given; expected an integer >= 1"):
        concrete_terms(network(), Prior(1.0), num_rows, data()[0])

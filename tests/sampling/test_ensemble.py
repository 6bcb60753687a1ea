"""An ensemble's members as the draws."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.errors import InputError, OutputError, UnavailableError
from mcdrop.prediction import from_draws
from mcdrop.sampling.members import member_seeds
from tests.networks import ConvNet, trained_looking

X = torch.randn(4, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
MEMBERS = [trained_looking(ConvNet(), seed) for seed in range(5)]


@pytest.mark.parametrize("likelihood", [mcdrop.Categorical(), mcdrop.Gaussian(2.0), mcdrop.Identity()], ids=repr)
def test_the_members_are_the_draws(likelihood) -> None:
    with torch.no_grad():
        outputs = torch.stack([member(X) for member in MEMBERS])
    expected = from_draws(outputs, likelihood)
    prediction = mcdrop.predict(mcdrop.Ensemble(MEMBERS), X, likelihood=likelihood)
    for name, value in prediction.numpy().items():
        if name != "entropy_bias":
            np.testing.assert_allclose(value, expected.numpy()[name], rtol=1e-8, atol=1e-14, err_msg=name)
    assert prediction.num_samples == 5
    assert prediction.seed is None
    assert prediction.mc_error is None
    assert prediction.provenance.members


def test_nothing_is_estimated_by_drawing() -> None:
    mc = mcdrop.MCDropout(mcdrop.Ensemble(MEMBERS), likelihood=mcdrop.Categorical())
    assert (mc(X).entropy_bias == 0).all()
    scores = mc.evaluate([(X, torch.arange(4) % 3)])
    assert all(score.mc_error is None for score in scores.values())
    assert all(score.standard_error is not None for score in scores.values())
    assert repr(mc) == "MCDropout(Ensemble(5 x ConvNet), likelihood=Categorical(class_dim=None, probs=False))"


def test_saved_and_loaded(tmp_path) -> None:
    prediction = mcdrop.predict(mcdrop.Ensemble(MEMBERS), X, likelihood=mcdrop.Categorical())
    prediction.save(tmp_path / "ensemble.npz")
    again = mcdrop.load(tmp_path / "ensemble.npz")
    assert torch.equal(again.probs, prediction.probs)
    assert again.mc_error is None


def test_members_in_any_mode_are_left_as_they_were() -> None:
    members = [copy.deepcopy(member).train() for member in MEMBERS]
    before = [{name: tensor.clone() for name, tensor in member.state_dict().items()} for member in members]
    in_training, in_evaluation = (
        mcdrop.predict(mcdrop.Ensemble(each), X, likelihood=mcdrop.Categorical()).probs for each in (members, MEMBERS)
    )
    assert torch.equal(in_training, in_evaluation)
    for member, state in zip(members, before, strict=True):
        assert member.training
        assert all(torch.equal(tensor, state[name]) for name, tensor in member.state_dict().items())


def test_loaders() -> None:
    mc = mcdrop.MCDropout(mcdrop.Ensemble(MEMBERS), likelihood=mcdrop.Categorical())
    torch.testing.assert_close(mc.predict(X.split(3)).probs, mc(X).probs)
    assert mc.sample(X).shape == (5, 4, 3)


def test_what_is_no_ensemble(without_type_checks) -> None:
    with pytest.raises(InputError, match="No member was given"):
        mcdrop.Ensemble([])
    with pytest.raises(InputError, match=r"str was given as a member; expected a torch.nn.Module"):
        mcdrop.Ensemble(["model"])
    with pytest.raises(InputError, match="num_samples=7 was given for an ensemble of 5; expected 5, or None"):
        mcdrop.predict(mcdrop.Ensemble(MEMBERS), X, likelihood=mcdrop.Categorical(), num_samples=7)
    assert isinstance(MEMBERS[0], nn.Module)


def dropped(num_samples: int = 30, **options) -> mcdrop.MCDropout:
    ensemble = mcdrop.Ensemble(MEMBERS[:3], dropout=True)
    return mcdrop.MCDropout(ensemble, likelihood=mcdrop.Categorical(), num_samples=num_samples, seed=7, **options)


@pytest.mark.parametrize("memory", [2**26, 1], ids=["at once", "one by one"])
def test_with_dropout_the_members_take_turns_under_masks_of_their_own(memory) -> None:
    draws = dropped(plan=mcdrop.Plan(memory=memory)).sample(X)
    for place, seed in enumerate(member_seeds(7, 3)):
        alone = mcdrop.MCDropout(MEMBERS[place], likelihood=mcdrop.Categorical(), num_samples=10, seed=seed)
        torch.testing.assert_close(draws[place::3], alone.sample(X))


def test_members_that_run_in_different_chunks_stay_in_turn() -> None:
    """One member is vectorised and the other is not."""

    class Host(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = trained_looking(ConvNet(), 9)

        def forward(self, x):
            y = self.net(x)
            return y + float(y.sum().item() > 1e9)

    ensemble = mcdrop.Ensemble([MEMBERS[0], Host()], dropout=True)
    mc = mcdrop.MCDropout(ensemble, likelihood=mcdrop.Identity(), num_samples=12, seed=0)
    prediction, (first, second) = mc(X), member_seeds(0, 2)
    assert prediction.provenance.execution.startswith("vectorised; loop: not vectorised")
    for place, seed in enumerate((first, second)):
        alone = mcdrop.MCDropout(ensemble.members[place], likelihood=mcdrop.Identity(), num_samples=6, seed=seed)
        torch.testing.assert_close(prediction.samples[place::2], alone.sample(X))


def test_the_variance_is_that_within_and_between_the_members() -> None:
    """The law of total variance, with the members' means known to four standard errors."""
    T = 6000
    together = dropped(T)(X)
    alone = [mcdrop.predict(m, X, likelihood=mcdrop.Categorical(), num_samples=T // 3, seed=s)
             for m, s in zip(MEMBERS[:3], member_seeds(7, 3), strict=True)]  # fmt: skip
    means, within = (torch.stack([getattr(p, name) for p in alone]) for name in ("probs", "epistemic"))
    torch.testing.assert_close(together.probs, means.mean(dim=0))
    expected = within.mean(dim=0) + means.var(dim=0, correction=0)
    torch.testing.assert_close(together.epistemic, expected, rtol=2e-3, atol=0)


def test_the_monte_carlo_error_is_that_of_the_masks_alone() -> None:
    """Over 100 seeds: as large as the means' spread, and far smaller than if the members were drawn too."""
    members = [copy.deepcopy(MEMBERS[0]) for _ in range(3)]
    for place, member in enumerate(members):
        last = [module for module in member.modules() if isinstance(module, nn.Linear)][-1]
        last.bias.data[0] += 50 * place
    ensemble = mcdrop.Ensemble(members, dropout=True)
    predictions = [
        mcdrop.predict(ensemble, X, likelihood=mcdrop.Identity(), num_samples=60, seed=seed) for seed in range(100)
    ]
    spread = torch.stack([p.mean for p in predictions]).var(dim=0)
    stated = torch.stack([p.mc_error.square() for p in predictions]).mean(dim=0)
    # relative standard error of a variance of 100: sqrt(2 / 99)
    assert ((stated / spread).log().abs() < 4 * (2 / 99) ** 0.5).all()
    assert (predictions[0].epistemic / 60 > 2 * stated).any()
    assert predictions[0].mc_degrees_of_freedom == 19


def test_seeds_and_rows_of_an_ensemble_with_dropout() -> None:
    mc = dropped()
    torch.testing.assert_close(mc.predict(X.split(3)).probs, mc(X).probs)
    assert torch.equal(mc(X).probs, dropped()(X).probs)
    assert mc(X).provenance.design == "Ensemble(3 x ConvNet, dropout=True), Independent()"
    assert mcdrop.MCDropout(mc.model, likelihood=mcdrop.Categorical()).num_samples == 102


def test_draws_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(InputError, match="10 was given for an ensemble of 3 with dropout; expected a multiple of 3"):
        dropped(10)
    mc = dropped()
    mc(X)
    with pytest.raises(UnavailableError, match=r"masks\(t\) was asked of an ensemble"):
        mc.masks(0)


def test_members_with_outputs_of_different_shapes_are_refused() -> None:
    nets = [nn.Sequential(nn.Dropout(), nn.Linear(3, outputs)) for outputs in (2, 4)]
    with pytest.raises(OutputError, match=r"member 0 float32 \(5, 2\), member 1 float32 \(5, 4\)"):
        mcdrop.predict(mcdrop.Ensemble(nets, dropout=True), torch.randn(5, 3), likelihood=mcdrop.Categorical())

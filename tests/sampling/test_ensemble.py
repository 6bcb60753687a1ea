"""An ensemble's members as the draws."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import mcdrop
from mcdrop.errors import InputError
from mcdrop.prediction import from_draws
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

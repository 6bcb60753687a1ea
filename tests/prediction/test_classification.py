import math

import numpy as np
import pytest
import torch
from scipy import stats

from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Binary, Categorical, Gaussian, from_draws
from tests import reference

LOGITS = torch.from_numpy(np.random.default_rng(0).normal(0, 2, size=(10, 6, 4)))
PROBS = reference.softmax(LOGITS.numpy())


def test_two_draws_of_two_classes_by_hand():
    prediction = from_draws(torch.tensor([[[0.9, 0.1]], [[0.5, 0.5]]]), Categorical(probs=True))
    total = -0.7 * math.log(0.7) - 0.3 * math.log(0.3)
    expected = (-0.9 * math.log(0.9) - 0.1 * math.log(0.1) + math.log(2)) / 2
    np.testing.assert_allclose(prediction.probs, [[0.7, 0.3]], rtol=1e-6)
    np.testing.assert_allclose(prediction.predictive_entropy, total, rtol=1e-6)
    np.testing.assert_allclose(prediction.expected_entropy, expected, rtol=1e-6)
    np.testing.assert_allclose(prediction.mutual_information, total - expected, rtol=1e-5)
    np.testing.assert_allclose(prediction.epistemic, 2 * 0.2**2, rtol=1e-6)
    np.testing.assert_allclose(prediction.aleatoric, (0.09 + 0.25) / 2, rtol=1e-6)
    np.testing.assert_allclose(prediction.mc_error, 0.2, rtol=1e-6)  # sqrt(2 * .2^2 / 2)
    np.testing.assert_allclose(prediction.entropy_bias, 0.5 * (0.04 / 0.7 + 0.04 / 0.3), rtol=1e-6)
    assert prediction.labels == 0
    np.testing.assert_allclose(prediction.confidence, 0.7, rtol=1e-6)


@pytest.mark.parametrize("block_size", [1, 3, 20])
def test_everything_against_the_reference(block_size):
    prediction = from_draws(LOGITS, Categorical(), block_size=block_size)
    mean = PROBS.mean(axis=0)
    error = reference.mc_error(PROBS, block_size)
    expectations = {
        "probs": mean,
        "epistemic": reference.variance(PROBS, block_size),
        "aleatoric": (PROBS * (1 - PROBS)).mean(axis=0),
        "variance": mean * (1 - mean) + error**2,
        "mc_error": error,
        "predictive_entropy": stats.entropy(mean, axis=-1),
        "expected_entropy": [np.mean([reference.entropy(p) for p in row]) for row in PROBS.transpose(1, 0, 2)],
        "entropy_bias": (error**2 / mean).sum(axis=-1) / 2,
        "confidence": mean.max(axis=-1),
        "labels": mean.argmax(axis=-1),
    }
    expectations["mutual_information"] = expectations["predictive_entropy"] - expectations["expected_entropy"]
    for name, expected in expectations.items():
        np.testing.assert_allclose(getattr(prediction, name), expected, rtol=1e-10, err_msg=name)
    assert torch.equal(prediction.variance, prediction.epistemic + prediction.aleatoric)
    targets = np.array([0, 1, 2, 3, 0, 1])
    np.testing.assert_allclose(prediction.log_prob(targets), np.log(mean[np.arange(6), targets]), rtol=1e-12)
    assert prediction.mc_error_is_upper_bound == (block_size == 20)
    assert prediction.mc_degrees_of_freedom == {1: 9, 3: 3, 20: 0}[block_size]


def test_mutual_information_is_never_negative():
    saturated = torch.tensor([1e4, 0.0, -3.0]).expand(7, 5, 3) + torch.randn(7, 5, 3).mul(1e-6)
    for draws in (saturated, torch.zeros(3, 4, 1000), torch.randn(2, 100, 10).mul(1e-8).double()):
        prediction = from_draws(draws, Categorical())
        assert (prediction.mutual_information >= 0).all()
        assert (prediction.aleatoric >= 0).all()


def test_one_draw_has_no_variance():
    for draws, likelihood in ((LOGITS[:1], Categorical()), (LOGITS[:1, :, 0], Binary())):
        prediction = from_draws(draws, likelihood)
        torch.testing.assert_close(prediction.aleatoric, prediction.probs * (1 - prediction.probs))
        assert (prediction.mutual_information.abs() < 1e-14).all()
        for name in ("epistemic", "variance", "mc_error", "entropy_bias", "mc_degrees_of_freedom"):
            with pytest.raises(UnavailableError, match=r"1 draw given.*num_samples>=2"):
                getattr(prediction, name)


def test_gradients_flow_to_the_logits():
    logits = LOGITS[:4, :2].clone().requires_grad_()

    def statistics(logits):
        prediction = from_draws(logits, Categorical(), block_size=2)
        return prediction.probs, prediction.mutual_information, prediction.variance, prediction.entropy_bias

    torch.autograd.gradcheck(statistics, logits)


def test_targets_are_checked():
    with pytest.raises(InputError, match="Targets from 0 to 9 given, labels of 4 classes"):
        from_draws(LOGITS, Categorical()).log_prob(np.array([0, 1, 2, 3, 0, 9]))
    with pytest.raises(InputError, match="Targets other than 0 and 1"):
        from_draws(LOGITS[..., 0], Binary()).log_prob(np.array([0, 1, 2, 3, 0, 9]))


def test_no_property_of_another_likelihood():
    assert not hasattr(from_draws(LOGITS, Gaussian(1.0)), "probs")
    assert not hasattr(from_draws(LOGITS, Categorical()), "mean")

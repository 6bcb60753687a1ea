import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from mcdrop.errors import InputError, NonFiniteError, OutputError
from mcdrop.prediction import Binary, Categorical, from_draws

LOGITS = torch.from_numpy(np.random.default_rng(0).normal(0, 4, size=(6, 5)))


def test_statistics_are_sigmoid_and_entropy():
    statistics = Binary().statistics(LOGITS)
    probs = special.expit(LOGITS.numpy())
    np.testing.assert_allclose(statistics["probs"], probs, rtol=1e-14)
    np.testing.assert_allclose(statistics["complement"], special.expit(-LOGITS.numpy()), rtol=1e-14)
    np.testing.assert_allclose(statistics["entropy"], stats.entropy(np.stack([probs, 1 - probs])), rtol=1e-11)


def test_one_logit_is_two_logits_of_which_one_is_zero():
    """The whole prediction is the same as Categorical's of (0, logit)."""
    targets = torch.tensor([1, 0, 1, 1, 0])
    binary = from_draws(LOGITS, Binary())
    logits = torch.stack([torch.zeros_like(LOGITS), LOGITS], dim=-1)
    both = from_draws(logits, Categorical())
    for name in ("probs", "epistemic", "aleatoric", "variance", "mc_error"):
        torch.testing.assert_close(getattr(binary, name), getattr(both, name)[:, 1])
    for name in (
        "predictive_entropy",
        "expected_entropy",
        "mutual_information",
        "entropy_bias",
        "confidence",
        "labels",
    ):
        torch.testing.assert_close(getattr(binary, name), getattr(both, name))
    torch.testing.assert_close(binary.log_prob(targets), both.log_prob(targets))
    torch.testing.assert_close(Binary().log_prob(LOGITS, targets), Categorical().log_prob(logits, targets))


def test_the_probability_of_zero_keeps_its_digits():
    prediction = from_draws(torch.tensor([[100.0]]), Binary())
    assert prediction.probs == 1
    torch.testing.assert_close(prediction.log_prob(torch.tensor([0])), torch.tensor([-100.0]).double())


def test_probabilities_as_given():
    probs = LOGITS.sigmoid()
    for name, values in Binary(probs=True).statistics(probs).items():
        torch.testing.assert_close(values, Binary().statistics(LOGITS)[name])
    certain = Binary(probs=True).statistics(torch.tensor([[0.0, 1.0]]))
    assert certain["entropy"].tolist() == [[0, 0]]
    assert certain["complement"].tolist() == [[1, 0]]


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 1, 2, 3), (5, 3)])
def test_results_keep_the_shape_of_the_output(shape):
    logits = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
    Binary().check(logits)
    prediction = from_draws(logits, Binary())
    targets = torch.ones(shape)
    for result in (prediction.probs, prediction.mutual_information, prediction.labels, prediction.log_prob(targets)):
        assert result.shape == shape


def test_a_column_and_a_vector_of_targets_stand_for_each_other():
    for outputs, targets in ((LOGITS, torch.ones(5, 1)), (LOGITS.unsqueeze(-1), torch.ones(5))):
        prediction = from_draws(outputs, Binary())
        assert prediction.log_prob(targets).shape == outputs.shape[1:]
        torch.testing.assert_close(prediction.log_prob(targets), prediction.probs.log())


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.uint8, torch.float32, torch.float16])
def test_targets_of_every_dtype(dtype):
    targets = torch.tensor([1, 0, 1, 1, 0])
    expected = Binary().log_prob(LOGITS, targets)
    torch.testing.assert_close(Binary().log_prob(LOGITS, targets.to(dtype)), expected)
    np.testing.assert_allclose(expected, special.log_expit((LOGITS * (2 * targets - 1)).numpy()), rtol=1e-13)


def test_a_probability_of_one_half_is_labelled_zero():
    assert from_draws(torch.zeros(2, 1), Binary()).labels == 0


def test_what_does_not_fit():
    with pytest.raises(OutputError, match=r"returned \(5, 2\). For the two logits of one softmax use Categorical\(\)"):
        Binary().check(torch.zeros(3, 5, 2))
    with pytest.raises(
        OutputError, match=r"2 outputs lie outside 0 to 1. If the model returns logits, leave probs=True"
    ):
        Binary(probs=True).check(torch.tensor([[-0.1, 0.5, 1.1]]))
    with pytest.raises(OutputError, match=r'dict with p: float32 \(5\,\). Choose one: output="p"'):
        Binary().check({"p": torch.zeros(3, 5)})
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(NonFiniteError, match="1 outputs of 1 of 2 rows are NaN or infinite in 1 of 1 draws"):
            Binary().check(torch.tensor([[0.0, bad]]))
    with pytest.raises(InputError, match="Targets other than 0 and 1 given"):
        Binary().log_prob(LOGITS, torch.tensor([0, 1, 2, 0, 0]))
    with pytest.raises(InputError, match=r"Targets of shape \(1, 5\) given, predictions need \(5,\)"):
        Binary().log_prob(LOGITS, torch.zeros(1, 5))

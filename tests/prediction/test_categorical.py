import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from mcdrop.errors import InputError, NonFiniteError, OutputError
from mcdrop.prediction import Categorical, from_draws
from tests import reference

LOGITS = torch.from_numpy(np.random.default_rng(0).normal(0, 3, size=(6, 5, 4)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_statistics_are_softmax_and_entropy_in_float64(dtype):
    logits = LOGITS.to(dtype)
    statistics = Categorical().statistics(logits)
    expected = reference.softmax(logits.double().numpy())
    np.testing.assert_allclose(statistics["probs"], expected, rtol=1e-13)
    np.testing.assert_allclose(statistics["entropy"], stats.entropy(expected, axis=-1), rtol=1e-12)
    assert statistics["probs"].dtype == statistics["entropy"].dtype == torch.float64


def test_probabilities_are_used_as_given():
    probs = LOGITS.softmax(dim=-1)
    given, computed = Categorical(probs=True), Categorical()
    given.check(probs)
    for name, values in given.statistics(probs).items():
        torch.testing.assert_close(values, computed.statistics(LOGITS)[name])
    targets = torch.tensor([0, 1, 2, 3, 0])
    torch.testing.assert_close(given.log_prob(probs, targets), computed.log_prob(LOGITS, targets))


def test_a_masked_class_has_probability_zero_and_a_finite_gradient():
    logits = LOGITS.clone()
    logits[..., 2] = -torch.inf
    logits.requires_grad_()
    Categorical().check(logits)
    statistics = Categorical().statistics(logits)
    assert (statistics["probs"][..., 2] == 0).all()
    np.testing.assert_allclose(statistics["entropy"].detach(), stats.entropy(statistics["probs"].detach(), axis=-1))
    (statistics["entropy"].sum() + statistics["probs"][..., 0].sum()).backward()
    assert logits.grad.isfinite().all()


def test_certain_probabilities_have_entropy_zero():
    probs = torch.tensor([[[0.0, 1.0]]])
    assert Categorical(probs=True).statistics(probs)["entropy"] == 0


def test_log_prob_is_scipys():
    targets = np.array([3, 0, 1, 1, 2])
    expected = special.log_softmax(LOGITS.numpy(), axis=-1)[:, np.arange(5), targets]
    for given in (targets, torch.from_numpy(targets), torch.from_numpy(targets).to(torch.uint8), targets[::-1][::-1]):
        np.testing.assert_allclose(Categorical().log_prob(LOGITS, given), expected, rtol=1e-13)


@pytest.mark.parametrize(("class_dim", "moved"), [(1, 1), (-1, 3), (-3, 1), (2, 2)])
def test_the_class_axis_counts_on_the_output_of_one_pass(class_dim, moved):
    """(N, C, H, W) and its permutations: the layout is kept and the numbers are those of classes last."""
    last = torch.randn(3, 2, 4, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    outputs = last.movedim(-1, moved + 1)
    likelihood = Categorical(class_dim=class_dim)
    prediction = from_draws(outputs, likelihood)
    probs = last.softmax(dim=-1).mean(dim=0)
    torch.testing.assert_close(prediction.probs, probs.movedim(-1, moved))
    torch.testing.assert_close(prediction.labels, probs.argmax(dim=-1))
    np.testing.assert_allclose(prediction.predictive_entropy, stats.entropy(probs, axis=-1), rtol=1e-12)
    targets = torch.randint(6, (2, 4, 5), generator=torch.Generator().manual_seed(1))
    expected = probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1).log()
    torch.testing.assert_close(prediction.log_prob(targets), expected)
    assert likelihood.log_prob(outputs, targets).shape == (3, 2, 4, 5)


def test_outputs_that_do_not_fit():
    def refused(match, outputs, likelihood=Categorical()):  # noqa: B008
        with pytest.raises(OutputError, match=match):
            likelihood.check(outputs)

    refused(
        r'dict with logits: float32 \(5, 4\), loss: float32 \(\). Choose one: output="logits"',
        {"logits": torch.zeros(3, 5, 4), "loss": torch.zeros(3)},
    )
    refused(r"tuple with 0: float32 \(5, 4\). Choose one: output=0", (torch.zeros(3, 5, 4),))
    refused(r"Categorical.*floating-point logits.*int64 \(5, 4\)", torch.zeros(3, 5, 4, dtype=torch.int64))
    refused(r"bool \(5, 4\). Return the scores", torch.zeros(3, 5, 4, dtype=torch.bool))
    refused(r"the model returned \(5,\), which has no class axis. For one logit per row use Binary", torch.zeros(3, 5))
    refused(r"returned \(5, 4, 2\): say which axis.*class_dim=1", torch.zeros(3, 5, 4, 2))
    refused(r"float32 \(\), without a row axis", torch.zeros(3))
    for class_dim in (2, -2, 5):
        refused(
            rf"class_dim={class_dim} given, and the model returned \(5, 4\): classes lie on an axis from 1 to 1 or "
            r"from -1 to -1; axis 0 holds the rows",
            torch.zeros(3, 5, 4),
            Categorical(class_dim=class_dim),
        )
    refused(
        "2 outputs are negative. If the model returns logits, leave probs=True out",
        torch.tensor([[[-0.5, 1.5], [1.2, -0.2]]]),
        Categorical(probs=True),
    )
    refused("off one by up to 0.2. If the model returns", torch.tensor([[[0.5, 0.7]]]), Categorical(probs=True))
    with pytest.raises(InputError, match="class_dim=0 given, which is the axis of rows"):
        Categorical(class_dim=0)


def test_low_precision_probabilities_may_round():
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        Categorical(probs=True).check(torch.randn(4, 5, 1000).softmax(dim=-1).to(dtype))


def test_non_finite_logits_are_counted():
    logits = torch.zeros(4, 5, 3)
    logits[2, 1, 0] = math.nan
    logits[3, 1, 2] = math.inf
    logits[3, 4] = -math.inf
    logits[0, 0, 0] = -math.inf  # a masked class is fine
    with pytest.raises(
        NonFiniteError,
        match="5 outputs of 2 of 5 rows are NaN or infinite in 2 of 4 draws, first in draw 2 of this chunk at row 1",
    ):
        Categorical().check(logits)
    with pytest.raises(NonFiniteError, match="1 outputs of 1 of 1 rows"):
        Categorical(probs=True).check(torch.tensor([[[math.nan, 1.0]]]))


def test_targets_that_do_not_fit():
    for targets, match in (
        (torch.tensor([0, 1, 2, 3, 4]), "Targets from 0 to 4 given, labels of 4 classes go from 0 to 3"),
        (torch.tensor([0, 1, 2, 3, -1]), "Targets from -1 to 3 given"),
        (torch.zeros(5), "Targets of dtype float32 given, class labels are integers from 0 to 3"),
        (torch.zeros(5, dtype=torch.bool), "dtype bool given"),
        (torch.zeros(4, dtype=torch.int64), r"Targets of shape \(4,\) given, predictions need \(5,\)"),
        (torch.zeros(5, 1, dtype=torch.int64), r"Targets of shape \(5, 1\) given, predictions need \(5,\)"),
    ):
        with pytest.raises(InputError, match=match):
            Categorical().log_prob(LOGITS, targets)


def test_no_rows():
    prediction = from_draws(torch.zeros(3, 0, 4), Categorical())
    assert prediction.mutual_information.shape == (0,)

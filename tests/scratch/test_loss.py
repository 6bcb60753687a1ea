"""Softmax and cross-entropy against SciPy, scikit-learn and torch."""

import numpy as np
import pytest
import torch
from scipy import special
from sklearn import metrics

from mcdrop.errors import InputError
from mcdrop.scratch import cross_entropy, cross_entropy_backward, softmax

LOGITS = np.random.default_rng(0).normal(size=(8, 5), scale=3)
LABELS = np.array([0, 1, 2, 3, 4, 0, 1, 2])


def test_softmax() -> None:
    np.testing.assert_allclose(softmax(LOGITS), special.softmax(LOGITS, axis=1), rtol=1e-12)


def test_cross_entropy() -> None:
    assert cross_entropy(LOGITS, LABELS) == pytest.approx(metrics.log_loss(LABELS, softmax(LOGITS)), rel=1e-12)


def test_gradient_is_autograd() -> None:
    logits = torch.from_numpy(LOGITS).requires_grad_()
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(LABELS)).backward()
    assert logits.grad is not None
    np.testing.assert_allclose(cross_entropy_backward(LOGITS, LABELS), logits.grad.numpy(), rtol=0, atol=1e-12)


def test_large_logits_stay_finite() -> None:
    logits = np.array([[1000.0, 0.0], [-1000.0, 0.0]])
    np.testing.assert_array_equal(softmax(logits), [[1, 0], [0, 1]])
    assert cross_entropy(logits, np.array([1, 0])) == 1000.0


@pytest.mark.parametrize("labels", [[-1, 0], [0, 2]])
def test_label_that_is_no_class(labels: list[int]) -> None:
    for function in (cross_entropy, cross_entropy_backward):
        with pytest.raises(InputError, match="integers from 0 to 1"):
            function(np.zeros((2, 2)), np.array(labels))


def test_no_rows() -> None:
    with pytest.raises(InputError, match="The labels span nothing"):
        cross_entropy(np.zeros((0, 2)), np.zeros(0, dtype=int))

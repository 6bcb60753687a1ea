from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch

from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Identity, from_draws

A, B = (torch.from_numpy(np.random.default_rng(seed).normal(size=(7, 5, seed))) for seed in (2, 3))


class Pair(NamedTuple):
    a: torch.Tensor
    b: torch.Tensor


@dataclass
class Output:
    a: torch.Tensor
    b: torch.Tensor
    note: str = "kept"


@pytest.mark.parametrize(
    ("tree", "get"),
    [
        ({"x": A, "y": {"z": B}}, lambda tree: (tree["x"], tree["y"]["z"])),
        ([A, (B, None)], lambda tree: (tree[0], tree[1][0])),
        (Pair(A, B), lambda tree: (tree.a, tree.b)),
        (Output(A, B), lambda tree: (tree.a, tree.b)),
    ],
)
@pytest.mark.parametrize("keep", [True, False])
def test_results_have_the_structure_of_the_output(tree, get, keep):
    prediction = from_draws(tree, Identity(), keep_samples=keep)
    for name, numpys in (("mean", np.mean), ("variance", lambda x, axis: np.var(x, axis, ddof=1))):
        result = getattr(prediction, name)
        assert type(result) is type(tree)
        for actual, draws in zip(get(result), (A, B), strict=True):
            np.testing.assert_allclose(actual, numpys(draws.numpy(), axis=0))
    assert len(prediction[1:3]) == 2
    assert type(prediction[1:3].mean) is type(tree)


def test_a_tensor_stays_a_tensor():
    prediction = from_draws(A, Identity())
    torch.testing.assert_close(prediction.epistemic, A.var(dim=0))
    torch.testing.assert_close(prediction.std, A.std(dim=0))
    torch.testing.assert_close(prediction.mc_error, A.std(dim=0) / 7**0.5)
    lower, upper = prediction.interval(0.5)
    np.testing.assert_allclose(lower, np.quantile(A, 0.25, axis=0))
    np.testing.assert_allclose(upper, np.quantile(A, 0.75, axis=0))
    assert list(prediction.numpy()) == ["mean", "variance", "mc_error"]


def test_without_structure_results_go_by_name():
    prediction = from_draws({"x": A, "y": B}, Identity())
    bare = Identity().predict(prediction.moments, None, prediction.provenance)
    assert list(bare.mean) == ["x", "y"]
    tensor = from_draws(A, Identity())
    torch.testing.assert_close(Identity().predict(tensor.moments, None, tensor.provenance).mean, tensor.mean)


def test_quantiles_need_draws_and_a_share():
    with pytest.raises(UnavailableError, match=r"quantile of the draws needs every draw.*keep_samples=True"):
        from_draws(A, Identity(), keep_samples=False).interval(0.5)
    with pytest.raises(InputError, match=r"coverage=2 given"):
        from_draws(A, Identity()).interval(2)


def test_names_in_numpy_follow_the_tree():
    assert list(from_draws({"x": A}, Identity()).numpy()) == ["mean.x", "variance.x", "mc_error.x"]

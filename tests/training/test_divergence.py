import pytest
import torch
from torch import nn

from mcdrop.errors import NonFiniteError
from mcdrop.training.divergence import check_loss, check_weights

NAN, INF = torch.tensor(torch.nan), torch.tensor(torch.inf)


@pytest.mark.parametrize(
    ("loss", "weight", "message"),
    [
        (
            NAN,
            torch.nan,
            r"The loss is nan in epoch 2, step 7\. The weights w are NaN or infinite: a step was too",
        ),
        (INF, 1e6, r"A weight has grown to 1e\+06: the learning rate \(0.5\) is too large"),
        (INF, 1.0, "the network gave probability 0 to what happened"),
        (torch.tensor([0.0, torch.inf]), 1.0, r"The loss of members \[1\] is inf in epoch 2, step 7"),
    ],
)
def test_names_the_likely_cause(loss, weight, message) -> None:
    weights = {"w": torch.tensor([1.0, weight])}
    with pytest.raises(NonFiniteError, match=message):
        check_loss(loss, weights, torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5), "epoch 2, step 7")


def test_weights_that_the_last_step_broke_are_found() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    check_weights({"w": torch.ones(2)}, optimizer, "epoch 2")
    with pytest.raises(NonFiniteError, match=r"Training failed in epoch 2\. The weights w are NaN or infinite: a step"):
        check_weights({"v": torch.ones(2), "w": torch.tensor([1.0, torch.inf])}, optimizer, "epoch 2")


def test_a_finite_loss_passes() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    check_loss(torch.tensor(3.0), {"w": torch.tensor([torch.nan])}, optimizer, "epoch 0, step 0")

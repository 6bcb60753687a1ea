import math

import pytest
import torch

from mcdrop.errors import NonFiniteError, OutputError, UnavailableError
from mcdrop.prediction import Identity

TREE = {"logits": torch.zeros(3, 5, 2), "hidden": (torch.ones(3, 5), torch.ones(3, 5, 7)), "note": "kept"}


def test_every_tensor_is_a_statistic():
    Identity().check(TREE)
    assert list(Identity().statistics(TREE)) == ["logits", "hidden.0", "hidden.1"]
    assert list(Identity().statistics(torch.ones(3, 5))) == [""]


def test_what_does_not_fit():
    def refused(match, outputs, error=OutputError):
        with pytest.raises(error, match=match):
            Identity().check(outputs)

    refused("the model returned dict with no tensor", {"note": "text"})
    refused("each with a place of its own", {"a.b": torch.ones(3, 5), "a": {"b": torch.ones(3, 5)}})
    refused(
        r"same rows, and the model returned .*0: float32 \(5,\), 1: float32 \(4,\)",
        (torch.ones(3, 5), torch.ones(3, 4)),
    )
    refused("floating-point outputs `ids`, and the model returned int64", {"ids": torch.ones(3, 5, dtype=torch.int64)})
    refused("without a row axis", {"loss": torch.ones(3)})
    refused("1 values of `b` of 1 of 1 rows", {"a": torch.ones(1, 1), "b": torch.tensor([[math.nan]])}, NonFiniteError)


def test_no_log_prob():
    with pytest.raises(UnavailableError, match="says nothing about targets, so there is no log probability"):
        Identity().log_prob(torch.ones(3, 5), torch.ones(5))

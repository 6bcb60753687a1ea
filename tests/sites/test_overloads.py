import pytest
import torch
import torch.nn.functional as F

from mcdrop.sites.overloads import public

aten = torch.ops.aten


@pytest.mark.parametrize(
    ("operation", "function"),
    [
        (aten.dropout.default, torch.dropout),
        (aten.dropout_.default, torch.dropout_),
        (aten.dropout, torch.dropout),
        (aten.feature_alpha_dropout.default, torch.feature_alpha_dropout),
        (aten.lstm.input, torch.lstm),
        (aten.rand.default, torch.rand),
        (aten.bernoulli.p, torch.bernoulli),
        (aten.uniform_.default, torch.Tensor.uniform_),
        (aten.scaled_dot_product_attention.default, F.scaled_dot_product_attention),
        (aten.mul.Tensor, torch.mul),
        (aten.sym_size.int, aten.sym_size.int),
        (F.dropout, F.dropout),
    ],
    ids=str,
)
def test_operations_are_read_as_the_functions_they_stand_for(operation, function) -> None:
    assert public(operation) is function


def test_only_pytorch_s_own_library_is_meant() -> None:
    with torch.library._scoped_library("mcdrop_test", "DEF") as library:
        library.define("dropout(Tensor x) -> Tensor")
        assert public(torch.ops.mcdrop_test.dropout.default) is torch.ops.mcdrop_test.dropout.default

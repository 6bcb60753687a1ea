import pytest
import torch
from torch import Tensor, nn

from mcdrop.sites.observe import observe

X, LENGTHS = torch.rand(3, 4), torch.tensor([4, 2, 4])


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x, n: x[x > 0.5], True),
        (lambda x, n: x[n > 2], True),
        (lambda x, n: x[0, : n[0]], True),
        (lambda x, n: torch.cat([row[:k] for row, k in zip(x, n.tolist(), strict=True)]), True),
        (lambda x, n: x[: int(n[1])], True),
        (lambda x, n: torch.stack([x[0]] * n[0]), True),
        (lambda x, n: x.masked_select(x > 0.5), True),
        (lambda x, n: x[torch.where(n > 2)[0]], True),
        (lambda x, n: x.repeat_interleave(n, 0), True),
        (lambda x, n: nn.utils.rnn.pack_padded_sequence(x[..., None], n, True, False).data, True),
        (lambda x, n: x[n - 2], False),
        (lambda x, n: x[:, 1:].flatten(), False),
        (lambda x, n: torch.where(x > 0.5, x, 0), False),
        (lambda x, n: x if (n > 2).any() else -x, False),
        (lambda x, n: x.masked_fill(x > 0.5, 0).view(-1, 2), False),
    ],
)
def test_sizes_made_of_values_are_noticed(function, expected) -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor, n: Tensor) -> Tensor:
            return function(x, n)

    assert observe(Model(), (X, LENGTHS), {}).sized_by_values == expected

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mcdrop.training.masks import DropoutBy, DropoutCall, UniformCall

DROPOUTS = [
    (F.dropout, (5, 4, 3)),
    (F.dropout1d, (5, 4, 3)),
    (F.dropout2d, (5, 4, 3, 2)),
    (F.dropout3d, (5, 4, 3, 2, 2)),
]


def calls_of(function, x: Tensor) -> list[DropoutCall]:
    calls: list[DropoutCall] = []
    with DropoutBy(lambda call: calls.append(call) or torch.ones(call.shape)):
        assert torch.equal(function(x), x)
    return calls


@pytest.mark.parametrize(("dropout", "shape"), DROPOUTS)
def test_each_member_drops_what_it_would_drop_alone(dropout, shape) -> None:
    def twice(x: Tensor) -> Tensor:
        return dropout(dropout(x, 0.5), p=0.3)

    def one(masks, x: Tensor) -> Tensor:
        following = iter(masks)
        with DropoutBy(lambda call: next(following)):
            return twice(x)

    x = torch.randn(3, *shape)
    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    masks = tuple(call.factors(generators) for call in calls_of(twice, x[0]))
    together = torch.func.vmap(one, randomness="error")(masks, x)
    for seed, own in enumerate(x):
        torch.manual_seed(seed)
        torch.testing.assert_close(together[seed], twice(own), rtol=1e-6, atol=0)


def test_each_member_has_the_uniform_numbers_that_it_would_draw_alone() -> None:
    def drawn() -> tuple[Tensor, ...]:
        return torch.rand(2, 3), torch.rand((4,), dtype=torch.float64), torch.rand(size=(), device="cpu")

    calls: list[UniformCall] = []
    with DropoutBy(lambda call: calls.append(call) or torch.zeros(call.shape, dtype=call.dtype)):
        drawn()
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
    together = [call.factors(generators) for call in calls]
    for seed in range(2):
        torch.manual_seed(seed)
        for at_once, alone in zip(together, drawn(), strict=True):
            assert torch.equal(at_once[seed], alone)
            assert at_once.dtype == alone.dtype


def test_a_generator_of_its_own_is_left_to_torch() -> None:
    generator = torch.Generator().manual_seed(3)
    with DropoutBy(lambda call: pytest.fail("asked")):
        drawn = torch.rand(2, generator=generator)
    assert torch.equal(drawn, torch.rand(2, generator=generator.manual_seed(3)))


def test_dropout_that_is_off_is_no_call() -> None:
    assert calls_of(lambda x: F.dropout(F.dropout(x, 0.0), 0.5, training=False), torch.ones(3)) == []


def test_a_rate_of_one_drops_all() -> None:
    (call,) = calls_of(lambda x: F.dropout(x, 1.0), torch.ones(3))
    assert call.factors([torch.Generator(), torch.Generator()]).tolist() == [[0, 0, 0]] * 2

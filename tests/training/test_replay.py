import torch
from torch import Tensor

from mcdrop.training.replay import record


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, gradient):
        return 0.5 * gradient


def gradient_of(function):
    def gradient(x: Tensor) -> list[Tensor | None]:
        x = x.detach().requires_grad_()
        return list(torch.autograd.grad(function(x).sum(), [x]))

    return gradient


def test_it_computes_on_other_tensors_without_the_python_code() -> None:
    calls = []

    def function(pair: dict[str, Tensor], last: Tensor) -> list[Tensor | None]:
        calls.append(1)
        return [pair["a"] @ pair["b"] + last, None]

    replay = record(function, {"a": torch.ones(2, 3), "b": torch.ones(3)}, torch.ones(2))
    calls.clear()
    a, b, last = torch.randn(2, 3), torch.randn(3), torch.randn(2)
    outputs = replay(a, b, last)
    torch.testing.assert_close(outputs[0], a @ b + last)
    assert outputs[1] is None
    assert not calls


def test_gradients_are_those_that_the_function_takes() -> None:
    """d/dx of x^2 stopped(x) is 2 x^2, and of the sign passed straight through 1/2."""
    x = torch.tensor([1.0, -2.0, 3.0])

    def stopped(x: Tensor) -> Tensor:
        with torch.no_grad():
            factor = 1 * x
        return x.square() * factor

    for function, expected in ((stopped, 2 * x * x), (StraightThrough.apply, torch.full((3,), 0.5))):
        torch.testing.assert_close(record(gradient_of(function), torch.ones(3))(x)[0], expected)
        with torch.no_grad():
            torch.testing.assert_close(record(gradient_of(function), torch.ones(3))(x)[0], expected)


def test_changes_in_place_reach_what_is_given_later_and_not_what_is_recorded_with() -> None:
    def count(buffer: Tensor) -> list[Tensor | None]:
        buffer.add_(1)
        return [2 * buffer]

    first, second = torch.zeros(2), torch.zeros(2)
    replay = record(count, first)
    assert first.tolist() == [0, 0]
    replay(second)
    assert replay(second)[0].tolist() == [4, 4]
    assert second.tolist() == [2, 2]

"""How an average of k trees gets better with k."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Curve:
    """Loss and error of averages of k trees on the test data, for subsets of the T draws that were made.

    Args:
        num_samples: (K,) the k, ascending; the last is T, where all subsets are the same.
        loss: (K, S) for S subsets of each size, nats.
        error: (K, S) share of wrong labels, or root mean squared error.
    """

    num_samples: tuple[int, ...]
    loss: Float[Tensor, "K S"]
    error: Float[Tensor, "K S"]

    def suffices(self, margin: float) -> int:
        """The least k from which on the mean loss differs from that at T by `margin` at most, nats."""
        differences = (self.loss.mean(dim=1) - self.loss[-1].mean()).abs()
        far = [k for k, difference in zip(self.num_samples, differences.tolist(), strict=True) if difference > margin]
        return next(k for k in self.num_samples if not far or k > far[-1])

"""Weight decay read as a Gaussian prior: what length scale, precision and decay have to do with each other.

Under Gal & Ghahramani 2016 (appendix, sec. 4) a network trained with dropout and weight decay minimises, up to
constants,

    tau / 2 sum_n |y_n - f(x_n)|^2  +  sum over layers of (1 - p) l^2 / 2 |W|^2  +  l^2 / 2 |b|^2

the negative ELBO with the prior w ~ N(0, 1 / l^2): the last two terms are KL(q || prior) without its constants. Divided
by N tau this is a loss with weight decay, and so tau follows from the decay that was used. Three conventions move the
answer by factors of two, so they are arguments here and never guessed:

- the loss. `half`: E = 1/2 mean_n |y - f|^2 + lambda |W|^2 (the paper, eq. 7). `torch`: nn.MSELoss() + wd/2 |W|^2
  (which torch's weight_decay adds): no 1/2, and a mean over the D outputs too. So lambda = wd D / 4. AdamW decouples
  the decay from the loss and has no such reading.
- the unit of y. tau is in 1 / unit^2 of the y that the loss saw: trained on standardised y, tau = tau_std / sd(y)^2.
- the factor 1 - p. It belongs to weights whose input is dropped; biases have none. W is the stored weight of a layer
  with inverted scaling, as in the authors' code (their derivation has W = M diag(z) with z in {0, 1}).
"""

import math
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from mcdrop.errors import InputError
from mcdrop.noise import BernoulliLaw, check_probability


@dataclass(frozen=True)
class Prior:
    """w ~ N(0, 1 / l^2) on every weight.

    Args:
        length_scale: l > 0, in units of 1 / weight; a short one allows large weights, that is rough functions.

    Raises:
        InputError: l is not positive.

    Example:
        >>> prior = Prior(length_scale=1e-2)
        >>> decay = prior.weight_decay(precision=0.25, p=0.05, num_rows=500, loss="half")
        >>> decay, round(prior.precision(decay, p=0.05, num_rows=500, loss="half"), 12)
        (3.8e-07, 0.25)

    Source:
        Gal & Ghahramani 2016, "Dropout as a Bayesian approximation", arXiv:1506.02142, eq. 7 and appendix sec. 4.
    """

    length_scale: float

    def __post_init__(self) -> None:
        _check_positive("length_scale", self.length_scale)

    def weight_decay(
        self, precision: float, p: float, num_rows: int, *, loss: Literal["half", "torch"], num_outputs: int = 1
    ) -> float:
        """The decay of the weights behind a dropout layer: lambda = (1 - p) l^2 / (2 N tau).

        Args:
            precision: tau > 0, in 1 / unit^2 of the y that the loss sees.
            p: Probability of zeroing that layer's inputs, in [0, 1); 0 for biases.
            num_rows: N, the training rows.
            loss: "half" returns lambda of E = 1/2 mean |y - f|^2 + lambda |W|^2; "torch" returns the weight_decay that
                an optimiser (SGD, Adam) takes beside nn.MSELoss(), which is 4 lambda / D.
            num_outputs: D; matters for "torch" alone, whose loss averages over the outputs.

        Raises:
            InputError: An argument out of range.
        """
        _check_positive("precision", precision)
        return self._product(p, num_rows, loss, num_outputs) / precision

    def precision(
        self, weight_decay: float, p: float, num_rows: int, *, loss: Literal["half", "torch"], num_outputs: int = 1
    ) -> float:
        """tau = (1 - p) l^2 / (2 N lambda), in 1 / unit^2 of the y that the loss saw; see `weight_decay`.

        Raises:
            InputError: An argument out of range.
        """
        _check_positive("weight_decay", weight_decay)
        return self._product(p, num_rows, loss, num_outputs) / weight_decay

    def kl(self, weight: Float[Tensor, "out in *kernel"], p: float) -> float:
        """KL(q || prior) of a layer whose inputs are dropped, without its constants:

            (1 - p) l^2 / 2 |W|^2  -  K H(p)   in nats, for K inputs, H(p) = -p log p - (1 - p) log(1 - p)

        What is left out depends on neither W nor p (the width of the narrow Gaussians that stand for point masses), so
        differences mean something and the value itself does not.

        Raises:
            InputError: p outside [0, 1].
        """
        entropy = BernoulliLaw(check_probability(p)).entropy
        return (1 - p) * self.length_scale**2 / 2 * weight.square().sum().item() - weight.shape[1] * entropy

    def _product(self, p: float, num_rows: int, loss: str, num_outputs: int) -> float:
        """tau times the decay in the words of `loss`."""
        if check_probability(p) == 1:
            raise InputError("p = 1 was given: such a layer computes nothing. Expected p in [0, 1).")
        for name, value in (("num_rows", num_rows), ("num_outputs", num_outputs)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name}={value!r} was given; expected an integer >= 1.")
        if loss not in ("half", "torch"):
            raise InputError(f"loss={loss!r} was given; expected 'half' or 'torch'.")
        product = (1 - p) * self.length_scale**2 / (2 * num_rows)
        return product if loss == "half" else 4 * product / num_outputs


def _check_positive(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InputError(f"{name}={value!r} was given; expected a positive number.")

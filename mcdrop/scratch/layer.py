"""Dropout by hand as a torch layer, to lay beside `torch.nn.Dropout`."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mcdrop.errors import InputError
from mcdrop.scratch.mask import check_probability


def sample_mask(
    x: Float[Tensor, "*shape"], p: float, generator: torch.Generator | None = None
) -> Bool[Tensor, "*shape"]:
    """Mask for x, on its device: each entry is kept with probability 1 - p.

        u ~ U[0, 1),   mask = [u < 1 - p]

    Args:
        x: Activations, of any shape; only shape and device are read.
        p: Probability of zeroing an entry, in [0, 1].
        generator: Draws the uniforms; None is torch's global generator, as in `torch.nn.Dropout`.

    Returns:
        True where an entry is kept.

    Raises:
        InputError: p lies outside [0, 1].

    Example:
        >>> sample_mask(torch.ones(3), 0.0), sample_mask(torch.ones(3), 1.0)
        (tensor([True, True, True]), tensor([False, False, False]))

    Source:
        Srivastava et al. 2014, JMLR 15:1929-1958, section 4, https://jmlr.org/papers/v15/srivastava14a.html.
    """
    check_probability("p", p)
    # float32 whatever x is: a bfloat16 uniform takes 256 values, too coarse for p = 0.001.
    return torch.rand(x.shape, generator=generator, device=x.device, dtype=torch.float32) < 1 - p


def apply_mask(x: Float[Tensor, "*shape"], mask: Bool[Tensor, "..."], p: float) -> Float[Tensor, "*shape"]:
    """Zero what the mask drops and enlarge what it keeps.

        out = x * mask / (1 - p),   and 0 * x at p = 1

    Autograd takes dL/dx = mask * dL/dout / (1 - p) from this, which `dropout_backward` writes out.

    Args:
        x: Activations, of any shape.
        mask: True where an entry is kept, of x's shape.
        p: Probability that the mask was drawn with, in [0, 1].

    Returns:
        The output, of x's shape and dtype, bit for bit that of `torch.nn.Dropout` under the same mask on the CPU.

    Raises:
        InputError: p lies outside [0, 1], or mask and x differ in shape.

    Example:
        >>> apply_mask(torch.tensor([7.0, 13.0, 31.0]), torch.tensor([True, True, False]), 0.2)
        tensor([ 8.7500, 16.2500,  0.0000])

    Source:
        Zhang et al., Dive into Deep Learning, section 5.6 (4.6 in the first edition),
        https://d2l.ai/chapter_multilayer-perceptrons/dropout.html.
    """
    check_probability("p", p)
    if mask.shape != x.shape:
        raise InputError(
            f"The mask has shape {tuple(mask.shape)} and the activations {tuple(x.shape)}; they must be equal. "
            "Draw it with `sample_mask(x, p)`."
        )
    # The mask is scaled before it multiplies, in x's dtype: so torch does it, and the last bit agrees.
    return x * (mask.to(x.dtype) / (1 - p) if p < 1 else torch.zeros_like(x))


class HandDropout(nn.Module):
    """Dropout layer written by hand; what `torch.nn.Dropout` is, in three lines.

    In training it draws a mask and applies it; after `eval()` it returns its input.

    Args:
        p: Probability of zeroing an entry, in [0, 1].
        generator: Draws the masks; None is torch's global generator, as in `torch.nn.Dropout`.

    Raises:
        InputError: p lies outside [0, 1].

    Example:
        >>> layer = HandDropout(0.5, torch.Generator().manual_seed(0))
        >>> sorted(set(layer(torch.ones(100)).tolist()))
        [0.0, 2.0]
        >>> layer.eval()(torch.ones(2))
        tensor([1., 1.])

    Source:
        Srivastava et al. 2014, JMLR 15, section 4, scaled at training time as in section 10.
    """

    def __init__(self, p: float = 0.5, generator: torch.Generator | None = None) -> None:
        super().__init__()
        check_probability("p", p)
        self.p = p
        self.generator = generator

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """One draw in training, the input itself otherwise.

        Args:
            x: Activations, of any shape.

        Returns:
            The output, of x's shape and dtype.
        """
        if not self.training or self.p == 0:
            return x
        return apply_mask(x, sample_mask(x, self.p, self.generator), self.p)

    def extra_repr(self) -> str:
        """The rate, as `print(model)` shows it."""
        return f"p={self.p}"

"""DropConnect: weights of a layer are dropped instead of its inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from mcdrop.errors import InputError
from mcdrop.noise.bernoulli import KeepOrDrop
from mcdrop.noise.law import check_probability


@dataclass(frozen=True)
class DropConnectLaw(KeepOrDrop):
    """One independent value for every element of a weight: 0, or 1 / (1 - p).

    What a linear layer makes of an input v, u = (W z) v + b with z a mask of W's shape, has in closed form

        E[u] = W v + b,   Var[u] = p / (1 - p) (W * W) (v * v),   elements of u independent

    for inverted z (the paper's sec. 3.2 has it for the original ones). The moments here are those of one value of z.

    Args:
        p: Probability of zeroing, in [0, 1].
        inverted: Whether what is kept is divided by 1 - p; the paper does not and shrinks in evaluation.

    Raises:
        InputError: p is no probability.

    Example:
        >>> DropConnectLaw(p=0.2).mask_shape((10, 4)), DropConnectLaw(p=0.2).variance
        ((10, 4), 0.25)

    Source:
        Wan et al. 2013, "Regularization of neural networks using DropConnect", sec. 3, ICML,
        https://proceedings.mlr.press/v28/wan13.html.
    """

    def mask_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The weight's own."""
        return tuple(shape)


class DropConnect(nn.Module):
    """A layer that runs with dropped weights: in training W' = W z / (1 - p), z ~ Bernoulli(1 - p); else as it is.

    The layer is held as it is, and asked to run with W' in place of W: stride, groups, bias and all else are its own,
    and so are its weights, which are the trained parameters and are never written to. In evaluation it is the layer,
    which for one linear layer is the mean of the dropped ones.

    By default the rows of a pass share a mask, as they do in one draw of MC dropout. Wan et al. train with a mask for
    each row, `per_row=True`, which takes N times the memory of the weights. The law of one row's output is the same.
    Around a trained layer, `model.fc = DropConnect(model.fc, p)`, names in the `state_dict` gain "layer.".

    Args:
        layer: What is wrapped: `nn.Linear`, a convolution, a recurrent layer, or any other with such parameters.
        p: Probability of zeroing, in [0, 1].
        weights: Names of the parameters that are dropped. None: "weight", or for `nn.LSTM`, `nn.GRU`, `nn.RNN` and
            their cells the recurrent ones, "weight_hh*" (Merity et al. 2018), once for all steps of the sequences. The
            paper drops biases too: ("weight", "bias").
        per_row: Whether each row has a mask of its own, where rows lie on the first axis of the one input; not for
            recurrent layers.

    Shape:
        The layer's.

    Raises:
        InputError: p is no probability, the layer has no such parameters or cannot have a mask for each row; in
            training with `per_row`, anything but one batch.

    Example:
        >>> layer = nn.Linear(4, 2)
        >>> connect = DropConnect(layer, p=0.5)
        >>> connect(torch.ones(3, 4)).shape, torch.equal(connect.eval()(torch.ones(3, 4)), layer(torch.ones(3, 4)))
        (torch.Size([3, 2]), True)
        >>> DropConnect(nn.LSTM(4, 8, bidirectional=True), p=0.5).weights
        ('weight_hh_l0', 'weight_hh_l0_reverse')

    Source:
        Wan et al. 2013, https://proceedings.mlr.press/v28/wan13.html; recurrent weights: Merity, Keskar & Socher 2018,
        "Regularizing and optimizing LSTM language models", sec. 2, arXiv:1708.02182.
    """

    def __init__(
        self, layer: nn.Module, p: float = 0.5, *, weights: Sequence[str] | None = None, per_row: bool = False
    ) -> None:
        super().__init__()
        if not isinstance(layer, nn.Module):
            raise InputError(f"{type(layer).__name__} was given as the layer; expected a torch.nn.Module.")
        if per_row and isinstance(layer, _RECURRENT):
            raise InputError(
                f"per_row=True was given for {type(layer).__name__}, whose kernels take one weight for all rows. Give "
                "per_row=False: the rows of a pass share the mask."
            )
        self.p = check_probability(p)
        self.weights = _chosen(layer, weights)
        self.per_row = per_row
        self.layer = layer

    @property
    def law(self) -> DropConnectLaw:
        """The law of the mask of each weight."""
        return DropConnectLaw(self.p)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if not self.training:
            return self.layer(*args, **kwargs)
        if self.per_row:
            return self._each_row(*args, **kwargs)
        dropped = {name: F.dropout(getattr(self.layer, name), self.p, training=True) for name in self.weights}
        return functional_call(self.layer, dropped, args, kwargs)

    def _each_row(self, *args: Any, **kwargs: Any) -> Tensor:
        if len(args) != 1 or kwargs or not isinstance(args[0], Tensor) or args[0].ndim < 2:
            raise InputError(
                f"DropConnect(per_row=True) was called with {len(args)} positional and {len(kwargs)} keyword inputs; "
                "expected one batch with the rows on the first of at least two axes."
            )
        parameters = ((name, getattr(self.layer, name)) for name in self.weights)
        dropped = {
            name: F.dropout(weight.expand(len(args[0]), *weight.shape), self.p, training=True)
            for name, weight in parameters
        }

        def one(weights: dict[str, Tensor], row: Tensor) -> Tensor:
            return functional_call(self.layer, weights, (row[None],))[0]

        return torch.func.vmap(one)(dropped, args[0])

    def extra_repr(self) -> str:
        return f"p={self.p}, weights={self.weights}, per_row={self.per_row}"


_RECURRENT = (nn.RNNBase, nn.RNNCellBase)


def _chosen(layer: nn.Module, weights: Sequence[str] | None) -> tuple[str, ...]:
    own = [name for name, _ in layer.named_parameters(recurse=False)]
    if weights is None:
        recurrent = isinstance(layer, _RECURRENT)
        chosen = tuple(name for name in own if name.startswith("weight_hh")) if recurrent else ("weight",)
    else:
        chosen = (weights,) if isinstance(weights, str) else tuple(weights)
    if not chosen or not set(chosen) <= set(own):
        raise InputError(
            f"{', '.join(chosen) or 'No weight'} was to be dropped in {type(layer).__name__}, which has the parameters "
            f"{', '.join(own) or 'none'}; expected names of these in weights=."
        )
    return chosen

"""What the tests of `mcdrop.posterior.bake` share: masks of a network, and the comparison with the masked network."""

import torch
from torch import Tensor, fx, nn

from mcdrop.posterior import Dropout, Mask, bake
from mcdrop.sampling import SubNetwork, units_for

TOLERANCE = 1e-10


def prepared(model: nn.Module) -> nn.Module:
    """In float64 and evaluation mode, with normalisations that are not the identity."""
    generator = torch.Generator().manual_seed(1)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.track_running_stats:
            layer.running_mean.normal_(generator=generator)
            layer.running_var.uniform_(0.5, 2.0, generator=generator)
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.affine:
            nn.init.normal_(layer.weight, generator=generator)
            nn.init.normal_(layer.bias, generator=generator)
    return model.double().eval()


def drawn(model: nn.Module, x: Tensor, t: int = 0) -> Mask:
    """The mask of draw t."""
    return Dropout(seed=0).draw(units_for(model, x), t)


def keeping(model: nn.Module, x: Tensor, *kept: list[int]) -> Mask:
    """The mask that keeps these units alone, given site by site, counted through the site's shape."""
    units = units_for(model, x)
    values = {}
    for (name, one), indices in zip(units.items(), kept, strict=True):
        values[name] = torch.zeros(one.count, dtype=torch.bool).index_fill(0, torch.tensor(indices).long(), True)
        values[name] = values[name].view(one.shape)
    return Mask(values, {name: one.p for name, one in units.items()})


def checked(model: nn.Module, mask: Mask, x: Tensor) -> fx.GraphModule:
    """The baked network, after it has given the masked one's output: for x, for one row, and for other rows."""
    small = bake(model, mask, x)
    masked = SubNetwork(model, mask)
    more = torch.randn(11, *x.shape[1:], dtype=x.dtype, generator=torch.Generator().manual_seed(2))
    for rows in (x, more[:1], more):
        assert difference(small(rows), masked(rows)) < TOLERANCE
    assert all(
        type(module).__module__.split(".")[0] in ("torch", "abc") or module is small for module in small.modules()
    )
    return small


def difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-3)).item()

"""A deep ensemble: the members are the draws."""

from collections.abc import Iterable

from torch import nn

from mcdrop.errors import InputError


class Ensemble:
    """Networks trained apart from each other, as the posterior that they are draws of.

    p(y | x) = (1/M) sum_m p(y | f_m(x)) (Lakshminarayanan, Pritzel & Blundell 2017, arXiv:1612.01474, sec. 2.4). The
    members are all there is: their average has no Monte Carlo error. Each runs in evaluation mode, dropout off.

    With dropout inside the members it is a forest of forests, (1/M) sum_m E_z p(y | f_m(x, z)): draw t is of member
    t mod M under a mask of its own, and the masks' share of the error is estimated.

    Args:
        members: The M networks, at least one; they are held by reference.
        dropout: Whether dropout stays on inside the members.

    Raises:
        InputError: There is no member, or one is no `nn.Module`.

    Example:
        >>> import torch, mcdrop
        >>> members = [torch.nn.Linear(4, 3) for _ in range(5)]
        >>> prediction = mcdrop.predict(mcdrop.Ensemble(members), torch.randn(8, 4), likelihood=mcdrop.Categorical())
        >>> prediction.num_samples, prediction.probs.shape, prediction.mc_error
        (5, torch.Size([8, 3]), None)
    """

    def __init__(self, members: Iterable[nn.Module], *, dropout: bool = False) -> None:
        self.members = tuple(members)
        self.dropout = dropout
        for member in self.members:
            if not isinstance(member, nn.Module):
                raise InputError(f"{type(member).__name__} was given as a member; expected a torch.nn.Module.")
        if not self.members:
            raise InputError("No member was given; expected at least one torch.nn.Module.")

    def __repr__(self) -> str:
        names = sorted({type(member).__name__ for member in self.members})
        return f"Ensemble({len(self.members)} x {', '.join(names)}{', dropout=True' if self.dropout else ''})"

"""The ways of sampling that are timed, each with the defaults of its documentation.

baal and torch-uncertainty are imported when they are used: they are optional (`pip install -e ".[bench]"`).
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

import mcdrop
import tests.conftest  # noqa: F401 (torchvision's schemas, before a library imports it)
from mcdrop.sampling.held_masks import HeldMasks

Draw = Callable[[], Tensor]
"""Makes the T outputs, (T, N, *out)."""


@dataclass(frozen=True)
class Contender:
    """One way of sampling.

    Args:
        name: What the tables call it.
        make: Takes a network that nobody else uses, rows and T; returns what draws.
        package: The distribution that it needs.
        refusal: What its error or warning says where it finds no dropout.
    """

    name: str
    make: Callable[[nn.Module, Tensor, int], Draw]
    package: str = "torch"
    refusal: str = ""

    @property
    def is_installed(self) -> bool:
        try:
            metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return False
        return True

    def refuses(self, words: str) -> bool:
        """Whether these words say that it finds no dropout."""
        return bool(self.refusal) and self.refusal in words


def in_training_mode(model: nn.Module) -> nn.Module:
    """Training mode, with the norms in evaluation mode: the dropout of all these networks, and nothing else."""
    model.train()
    for module in model.modules():
        if isinstance(module, _NormBase):
            module.eval()
    return model


def naive_loop(model: nn.Module, x: Tensor, num_samples: int) -> Draw:
    in_training_mode(model)

    @torch.no_grad()
    def draw() -> Tensor:
        return torch.stack([model(x) for _ in range(num_samples)])

    return draw


def repeated_batch(model: nn.Module, x: Tensor, num_samples: int) -> Draw:
    in_training_mode(model)

    @torch.no_grad()
    def draw() -> Tensor:
        return model(x.repeat(num_samples, *[1] * (x.ndim - 1))).unflatten(0, (num_samples, len(x)))

    return draw


def torch_uncertainty(model: nn.Module, x: Tensor, num_samples: int) -> Draw:
    """`mc_dropout(model, num_estimators=T)` in evaluation mode, under no_grad as its trainer has it."""
    wrapped = importlib.import_module("torch_uncertainty.methods").mc_dropout(model, num_estimators=num_samples)
    wrapped.eval()

    @torch.no_grad()
    def draw() -> Tensor:
        return wrapped(x).unflatten(0, (num_samples, len(x)))

    return draw


def baal(model: nn.Module, x: Tensor, num_samples: int) -> Draw:
    """`ModelWrapper(MCDropoutModule(model)).predict_on_batch(x, iterations=T)`, as `predict_on_dataset` calls it."""
    dropout, wrapping = (importlib.import_module(f"baal.{name}") for name in ("bayesian.dropout", "modelwrapper"))
    wrapper = wrapping.ModelWrapper(dropout.MCDropoutModule(model), wrapping.TrainingArgs(use_cuda=False))
    wrapper.eval()
    return lambda: wrapper.predict_on_batch(x, iterations=num_samples).movedim(-1, 0)


def engine(model: nn.Module, num_samples: int, *, shared_masks: bool = True) -> mcdrop.MCDropout:
    """mcdrop with no option set that decides how the passes run."""
    return mcdrop.MCDropout(
        model, likelihood=mcdrop.Identity(), num_samples=num_samples, seed=0, shared_masks=shared_masks
    )


def with_shared_masks(model: nn.Module, x: Tensor, num_samples: int) -> Draw:
    mc = engine(model, num_samples)
    return lambda: mc.sample(x)


def with_masks_drawn_anew(model: nn.Module, x: Tensor, num_samples: int) -> Draw:
    mc = engine(model, num_samples)
    mc._held = HeldMasks(limit=0)
    return lambda: mc.sample(x)


def with_own_masks(model: nn.Module, x: Tensor, num_samples: int) -> Draw:
    mc = engine(model, num_samples, shared_masks=False)
    return lambda: mc.sample(x)


OURS = Contender("mcdrop", with_shared_masks)
OTHERS = (
    Contender("naive loop", naive_loop),
    Contender("repeated batch", repeated_batch),
    Contender("torch-uncertainty", torch_uncertainty, "torch-uncertainty", "dropout module"),
    Contender("baal", baal, "baal", "No layer was modified"),
)
BESIDE = (
    Contender("mcdrop, masks drawn anew", with_masks_drawn_anew),
    Contender("mcdrop, every row its own masks", with_own_masks),
)
"""Timed too, and no part of the comparison."""

"""Small predictions of every kind, and their targets."""

import torch
from torch import Tensor

from mcdrop.prediction import (
    Binary,
    Categorical,
    Gaussian,
    HeteroscedasticGaussian,
    Poisson,
    Prediction,
    from_draws,
)

DRAWS, ROWS = 20, 60


def classes(rows: int = ROWS, draws: int = DRAWS) -> tuple[Prediction, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(rows, 3, generator=generator)
    labels = logits.softmax(dim=1).multinomial(1, generator=generator)[:, 0]
    return from_draws(logits + torch.randn(draws, rows, 3, generator=generator), Categorical()), labels


def events() -> tuple[Prediction, Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(ROWS, generator=generator)
    happened = (torch.rand(ROWS, generator=generator) < logits.sigmoid()).long()
    return from_draws(logits + torch.randn(DRAWS, ROWS, generator=generator), Binary()), happened


def numbers(*, keep_samples: bool = True) -> tuple[Prediction, Tensor]:
    generator = torch.Generator().manual_seed(2)
    means = torch.randn(ROWS, generator=generator)
    spread = torch.rand(ROWS, generator=generator)
    draws = means + spread * torch.randn(DRAWS, ROWS, generator=generator)
    targets = means + (spread.square() + 0.04).sqrt() * torch.randn(ROWS, generator=generator)
    return from_draws(draws, Gaussian(25.0), keep_samples=keep_samples), targets


def numbers_with_noise() -> tuple[Prediction, Tensor]:
    generator = torch.Generator().manual_seed(3)
    means, spread = torch.randn(2, ROWS, generator=generator)
    targets = means + spread.exp() * torch.randn(ROWS, generator=generator)
    draws = means + 0.2 * torch.randn(DRAWS, ROWS, generator=generator), (2 * spread).expand(DRAWS, ROWS)
    return from_draws(draws, HeteroscedasticGaussian()), targets


def counts() -> tuple[Prediction, Tensor]:
    generator = torch.Generator().manual_seed(4)
    rates = 5 * torch.rand(ROWS, generator=generator)
    targets = torch.poisson(rates, generator=generator)
    return from_draws(rates.log() + 0.1 * torch.randn(DRAWS, ROWS, generator=generator), Poisson()), targets


def pixels() -> tuple[Prediction, Tensor]:
    generator = torch.Generator().manual_seed(5)
    logits = 2 * torch.randn(8, 3, 6, 5, generator=generator)
    labels = logits.softmax(dim=1).movedim(1, -1).reshape(-1, 3).multinomial(1, generator=generator)
    draws = logits + torch.randn(DRAWS, 8, 3, 6, 5, generator=generator)
    return from_draws(draws, Categorical(class_dim=1)), labels.reshape(8, 6, 5)


def several_numbers() -> tuple[Prediction, Tensor]:
    prediction, targets = numbers()
    draws = torch.stack([prediction.samples, 2 * prediction.samples], dim=2)
    return from_draws(draws, Gaussian(torch.tensor([25.0, 6.0]))), torch.stack([targets, 2 * targets], dim=1)


KINDS = {
    "classes": classes,
    "events": events,
    "numbers": numbers,
    "numbers with noise": numbers_with_noise,
    "counts": counts,
    "pixels": pixels,
    "several numbers": several_numbers,
}

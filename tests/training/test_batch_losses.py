"""Losses and errors of draws and of their averages, against the definitions written out."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from mcdrop.errors import InputError, OutputError
from mcdrop.prediction import Binary, Categorical, Gaussian, HeteroscedasticGaussian, Identity, Poisson
from mcdrop.training.batch_losses import BatchLosses

T, N = 24, 7
G = np.random.default_rng(0)
LOGITS = G.normal(0, 2, size=(T, N, 3))
LABELS = G.integers(3, size=N)
NUMBERS = G.normal(size=(T, N, 2))
Y = G.normal(size=(N, 2))


def of_draws(likelihood, outputs, targets, **options) -> BatchLosses:
    return BatchLosses(likelihood, torch.from_numpy(outputs), torch.from_numpy(targets), **options)


def softmax(logits: np.ndarray) -> np.ndarray:
    return special.softmax(logits, axis=-1)


def test_classes_by_hand() -> None:
    probs, rows = softmax(LOGITS), np.arange(N)
    found = of_draws(Categorical(), LOGITS, LABELS)
    np.testing.assert_allclose(found.tree_losses, -np.log(probs[:, rows, LABELS]))
    np.testing.assert_array_equal(found.tree_errors, probs.argmax(-1) != LABELS)
    mean = probs.mean(axis=0)
    product = np.exp(np.log(probs).mean(axis=0))
    for average, (losses, errors) in (
        (mean, found.forest),
        (product / product.sum(-1, keepdims=True), found.geometric),
    ):
        np.testing.assert_allclose(losses[0], -np.log(average[rows, LABELS]))
        np.testing.assert_array_equal(errors[0], average.argmax(-1) != LABELS)
    losses, errors = found.one_tree
    np.testing.assert_allclose(losses[0], found.tree_losses.mean(dim=0))
    np.testing.assert_allclose(errors[0], found.tree_errors.mean(dim=0))


@pytest.mark.parametrize("block_size", [1, 3])
def test_each_group_is_left_out_in_turn(block_size) -> None:
    """Every one of the values after the first is that of the other draws alone."""
    found = of_draws(Categorical(), LOGITS, LABELS, block_size=block_size)
    assert sum(found.counts) == T
    assert len(found.counts) > 7
    ends = np.cumsum(found.counts)
    for place, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        others = of_draws(Categorical(), np.delete(LOGITS, np.s_[start:end], axis=0), LABELS)
        for name in ("one_tree", "forest", "geometric"):
            for ours, theirs in zip(getattr(found, name), getattr(others, name), strict=True):
                np.testing.assert_allclose(ours[1 + place], theirs[0], rtol=1e-6, err_msg=name)


def test_growing_averages_are_those_of_the_first_draws_in_the_order() -> None:
    found, order = of_draws(Categorical(), LOGITS, LABELS), torch.from_numpy(G.permutation(T))
    losses, errors = found.growing(order, [1, 5, T])
    for place, k in enumerate((1, 5, T)):
        first = of_draws(Categorical(), LOGITS[order.numpy()[:k]], LABELS).forest
        np.testing.assert_allclose(losses[place], first[0][0])
        np.testing.assert_array_equal(errors[place], first[1][0])


def test_numbers_by_hand() -> None:
    found = of_draws(Gaussian(4.0), NUMBERS, Y)
    density = stats.norm.pdf(Y, NUMBERS, 0.5)
    np.testing.assert_allclose(found.tree_losses, -np.log(density).mean(axis=-1))
    np.testing.assert_allclose(found.tree_errors, ((NUMBERS - Y) ** 2).mean(axis=-1))
    mean = NUMBERS.mean(axis=0)
    for losses, average in (
        (found.forest[0], density.mean(axis=0)),
        (found.geometric[0], stats.norm.pdf(Y, mean, 0.5)),
    ):
        np.testing.assert_allclose(losses[0], -np.log(average).mean(axis=-1))
    for _, errors in (found.forest, found.geometric):
        np.testing.assert_allclose(errors[0], ((mean - Y) ** 2).mean(axis=-1))


def test_events_counts_and_predicted_noise() -> None:
    happened = LABELS % 2
    events = of_draws(Binary(), LOGITS[..., 0], happened)
    probs = special.expit(LOGITS[..., 0])
    np.testing.assert_allclose(events.forest[0][0], -np.log(np.where(happened, probs, 1 - probs).mean(axis=0)))
    np.testing.assert_array_equal(events.forest[1][0], (probs.mean(axis=0) > 0.5) != happened)
    counts = of_draws(Poisson(), NUMBERS[..., 0], LABELS)
    np.testing.assert_allclose(
        counts.forest[0][0], -np.log(stats.poisson.pmf(LABELS, np.exp(NUMBERS[..., 0])).mean(axis=0))
    )
    noisy = of_draws(HeteroscedasticGaussian("std"), np.exp(NUMBERS), Y[:, 0])
    density = stats.norm.pdf(Y[:, 0], np.exp(NUMBERS[..., 0]), np.exp(NUMBERS[..., 1]))
    np.testing.assert_allclose(noisy.forest[0][0], -np.log(density.mean(axis=0)))


@pytest.mark.parametrize("class_dim", [1, -1])
def test_pixels_of_a_row_are_averaged(class_dim) -> None:
    maps, labels = G.normal(size=(T, N, 3, 4)), G.integers(3, size=(N, 4))
    given = maps if class_dim == 1 else np.moveaxis(maps, 2, -1)
    found = of_draws(Categorical(class_dim=class_dim), given, labels)
    each = [of_draws(Categorical(), maps[..., pixel], labels[:, pixel]) for pixel in range(4)]
    for name in ("one_tree", "forest", "geometric"):
        for place in range(2):
            expected = torch.stack([getattr(one, name)[place] for one in each]).mean(dim=0)
            torch.testing.assert_close(getattr(found, name)[place], expected)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"Identity\(\) says nothing about targets"):
        of_draws(Identity(), NUMBERS, Y)
    with pytest.raises(OutputError, match="Binary"):
        of_draws(Binary(), LOGITS[..., :2], LABELS)
    with pytest.raises(InputError, match="labels of 3 classes go from 0 to 2"):
        _ = of_draws(Categorical(), LOGITS, LABELS + 1).tree_losses

"""A digit that turns: what a network says of a 1 while it is turned, asked once and a hundred times. After Gal &
Ghahramani 2016, section 5.2 and figure 4, https://arxiv.org/abs/1506.02142.

Theirs is LeNet as Caffe has it, with dropout before the last layer, trained on MNIST by 10^7 steps with momentum; ours
is the same network after two passes over MNIST by Adam. They show one image; we ask about all 1s of the test part, too.
"""

from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

import mcdrop
from examples.experiments.experiment import SEEDS, Experiment
from examples.experiments.lines import to_line
from examples.experiments.rotated_digit_shown import pictures, tables
from mcdrop.data import digits, images
from mcdrop.training import fit, initialise

DIGIT, CLASSES = 1, mcdrop.Categorical()
ANGLES = tuple(range(0, 180, 15))
"""Degrees, twelve images as theirs; by half a turn a 1 is a 1 again."""
SAMPLES = 100
P = 0.5
CONFIDENT = 0.9
PASSES, BATCH_SIZE, LEARNING_RATE = 2, 64, 1e-3


def lenet() -> nn.Sequential:
    """Convolutions of 20 and 50 maps, 500 units, dropout, 10 classes."""
    return nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Dropout(P), nn.Linear(500, 10)),
    )


def measure(seed: int, quick: bool) -> dict[str, Any]:
    """One network: its error, what it says of all turned digits at each angle, and the draws for one of them."""
    train, test = (images.load("mnist", part=part) for part in ("train", "test"))
    rows, asked = (5000, 1000) if quick else (len(train.labels), len(test.labels))
    x, y = test.images[:asked], test.labels[:asked]
    net = initialise(lenet, seed)
    adam = partial(torch.optim.Adam, lr=LEARNING_RATE)
    fit(
        net, (train.images[:rows, None], train.labels[:rows]), CLASSES,
        optimizer=adam, epochs=PASSES, batch_size=BATCH_SIZE, seed=seed,
    )  # fmt: skip
    net.eval().requires_grad_(False)
    ones = x[y == DIGIT]
    wrong = torch.cat([net(some) for some in x[:, None].split(1000)]).argmax(1) != y
    found = {"error": _mean(wrong), "digits": len(ones), "angles": _all_digits(net, ones, seed)}
    return found | (_one_digit(net, ones[0], seed) if seed == 0 else {})


def _all_digits(net: nn.Module, ones: Float[Tensor, "N 28 28"], seed: int) -> list[dict[str, Any]]:
    """Means over the digits at each angle, with standard errors.

    Every digit is asked with masks of its own, so that the error over digits holds the error of the draws, too.
    """
    plan = mcdrop.Plan(chunk=50)  # the convolutions, which know no masks, run once for so many draws
    mc = mcdrop.MCDropout(
        net, likelihood=CLASSES, num_samples=SAMPLES, seed=seed, shared_masks=False, plan=plan
    )  # fmt: skip
    found, upright = [], None
    for angle in ANGLES:
        turned = digits.rotate(ones, angle)[:, None]
        forest, single = mc(turned), net(turned).softmax(1)
        entropy, information = forest.predictive_entropy, forest.mutual_information
        upright = upright or (entropy, information)
        both = {"": (forest.labels, forest.confidence), ", dropout off": (single.argmax(1), single.amax(1))}
        wrong = {of: labels != DIGIT for of, (labels, _) in both.items()}
        confident = {of: wrong[of] & (confidence > CONFIDENT) for of, (_, confidence) in both.items()}
        numbers = {
            "entropy": entropy,
            "entropy, dropout off": torch.distributions.Categorical(single).entropy(),
            "mutual information": information,
            "entropy above upright": entropy - upright[0],
            "mutual information above upright": information - upright[1],
            **{f"wrong{of}": values for of, values in wrong.items()},
            **{f"confident and wrong{of}": values for of, values in confident.items()},
            "fewer confident and wrong": confident[", dropout off"].double() - confident[""].double(),
        }
        found.append({"angle": angle, **{name: _mean(values) for name, values in numbers.items()}})
    return found


def _mean(values: Tensor) -> list[float]:
    """And its standard error over the rows, sd / sqrt(N) with divisor N - 1."""
    values = values.double()
    return [values.mean().item(), (values.std() / len(values) ** 0.5).item()]


def _one_digit(net: nn.Module, image: Float[Tensor, "28 28"], seed: int) -> dict[str, Any]:
    """One image, and what the draws put into the softmax at each angle, (T, classes) in a line."""
    mc = mcdrop.MCDropout(net, likelihood=CLASSES, num_samples=SAMPLES, seed=seed)
    draws = mc.sample(torch.stack([digits.rotate(image[None], angle) for angle in ANGLES]))
    return {
        "image": to_line(255 * image, 0),
        "softmax inputs": [to_line(draws[:, place], 2) for place in range(len(ANGLES))],
    }


def parts(quick: bool) -> dict[str, Any]:
    return {f"seed {seed}": partial(measure, seed, quick) for seed in SEEDS}


EXPERIMENT = Experiment("rotated_digit", __doc__, parts, tables, pictures)

if __name__ == "__main__":
    EXPERIMENT.main()

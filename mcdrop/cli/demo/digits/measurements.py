"""What the demo measures: scores of three readings of one network, and its uncertainty on digits and other images."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mcdrop.calibration import Score, brier_score, error_rate, negative_log_likelihood
from mcdrop.data import digits
from mcdrop.prediction import Categorical, CategoricalPrediction
from mcdrop.sampling import MCDropout

SCORES = {"error": error_rate, "nll": negative_log_likelihood, "brier": brier_score}


TURNS = (30, 90)
"""Degrees by which held-out digits are turned: few, so that they look like no digit, and many."""


@dataclass(frozen=True)
class Uncertainty:
    """What MC dropout says of one kind of images: means over the images, each with its standard error."""

    images: str
    predictive_entropy: Score
    mutual_information: Score
    error: Score | None
    """Share of images misread; None where no answer is right."""


@dataclass(frozen=True)
class Measurements:
    """All numbers of the demo. The scores are by name: `error` (a share), `nll` (nats per row), `brier`."""

    num_rows: int
    num_samples: int
    weight_scaled: dict[str, Score]
    sub_networks: dict[str, Score]
    """The score of a single sub-network: mean over the T drawn; its mc_error is spread / sqrt(T)."""
    spread: dict[str, float]
    """Standard deviation of the score over the T sub-networks, divisor T - 1."""
    mc_dropout: dict[str, Score]
    nll_difference: Score
    """NLL of MC dropout minus that of the weight-scaled network, row by row on the same rows."""
    own: Uncertainty
    """On the held-out digits, which are of the kind that the network was trained on."""
    foreign: list[Uncertainty]
    """On turned digits and on noise."""


def mean_over_rows(values: Float[Tensor, " N"], mc_error: float | None = None) -> Score:
    """The mean of one value per row, with its standard error s / sqrt(N), s with divisor N - 1."""
    return Score(values.mean().item(), values.std().item() / math.sqrt(len(values)), mc_error)


def score_sub_networks(
    logits: Float[Tensor, "T N C"], labels: Int[Tensor, " N"]
) -> tuple[dict[str, Score], dict[str, float]]:
    """Each score of T networks taken one by one: its mean, with both errors, and its standard deviation over them."""
    log_probs = logits.double().log_softmax(-1)
    truth = nn.functional.one_hot(labels, logits.shape[-1])
    losses = {
        "error": (logits.argmax(-1) != labels).double(),
        "nll": -(log_probs * truth).sum(-1),
        "brier": (log_probs.exp() - truth).square().sum(-1),
    }
    spread = {name: loss.mean(1).std().item() for name, loss in losses.items()}
    means = {
        name: mean_over_rows(loss.mean(0), mc_error=spread[name] / math.sqrt(len(logits)))
        for name, loss in losses.items()
    }
    return means, spread


def measure(
    model: nn.Module, images: Float[Tensor, "N 8 8"], labels: Int[Tensor, " N"], *, num_samples: int, seed: int
) -> Measurements:
    """Read one trained network in three ways, and ask for its uncertainty on its own and on foreign images.

    Args:
        model: Takes images, returns logits (N, 10), and is in eval mode.
        images: Held-out digits in [0, 1].
        labels: Their classes, 0 to 9.
        num_samples: T, at least 2.
        seed: Decides the masks and the noise.
    """
    with torch.no_grad():
        log_probs = model(images).double().log_softmax(-1)
    mc = MCDropout(model, likelihood=Categorical(), num_samples=num_samples, seed=seed)
    prediction = mc(images)
    mc_dropout = {name: score(prediction, labels) for name, score in SCORES.items()}
    sub_networks, spread = score_sub_networks(mc.sample(images), labels)
    row_differences = log_probs.gather(1, labels[:, None])[:, 0] - prediction.log_prob(labels)

    def ask(kind: str, answer: CategoricalPrediction, error: Score | None) -> Uncertainty:
        entropy, information = answer.predictive_entropy, answer.mutual_information
        return Uncertainty(kind, mean_over_rows(entropy), mean_over_rows(information), error)

    turned = {degrees: mc(digits.rotate(images, degrees)) for degrees in TURNS}
    noise = mc(digits.uniform_noise(len(images), seed=seed))
    return Measurements(
        num_rows=len(labels),
        num_samples=num_samples,
        weight_scaled={name: score(log_probs.exp(), labels) for name, score in SCORES.items()},
        sub_networks=sub_networks,
        spread=spread,
        mc_dropout=mc_dropout,
        # One pass of the weight-scaled network has no Monte Carlo error, so the difference has that of MC dropout.
        nll_difference=mean_over_rows(row_differences, mc_error=mc_dropout["nll"].mc_error),
        own=ask("digits", prediction, mc_dropout["error"]),
        foreign=[
            *(
                ask(f"digits turned by {degrees} degrees", answer, error_rate(answer, labels))
                for degrees, answer in turned.items()
            ),
            ask("uniform noise", noise, None),
        ],
    )

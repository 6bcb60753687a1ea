"""The page of the demo on digits: pictures of digits and of the forest, and the calibration report."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from torch import Tensor, nn

from mcdrop.cli.demo.digits import words
from mcdrop.cli.demo.digits.measurements import TURNS, Measurements
from mcdrop.data import digits
from mcdrop.data.digits import Digits
from mcdrop.plots import forest, images, uncertainty
from mcdrop.posterior import Ensemble
from mcdrop.prediction import Categorical, CategoricalPrediction
from mcdrop.report.collect import collected
from mcdrop.report.record import Picture, Section, Sentence
from mcdrop.report.series import floats
from mcdrop.report.subject import checked
from mcdrop.report.writing import store
from mcdrop.sampling import MCDropout
from mcdrop.sites import audit
from mcdrop.training import Comparison, compare

_SHOWN = 8
"""Images beside each other."""

_ENTROPY = "mcdrop.prediction.CategoricalPrediction.predictive_entropy"
_INFORMATION = "mcdrop.prediction.CategoricalPrediction.mutual_information"


def write(page: Path, model: nn.Module, data: Digits, found: Measurements, *, seed: int, epochs: int) -> None:
    """Writes the page, and its numbers as JSON beside it.

    Args:
        page: The path of the page.
        model: The trained network, in eval mode.
        data: What it was trained on, and the held-out digits.
        found: What the demo says of them.
        seed: Of the masks and the noise.
        epochs: Of the training.
    """
    mc = MCDropout(model, likelihood=Categorical(), num_samples=found.num_samples, seed=seed)
    prediction = mc(data.test_images)
    comparison = compare(
        model,
        (data.test_images, data.test_labels),
        train=(data.train_images, data.train_labels),
        likelihood=Categorical(),
        num_samples=found.num_samples,
        seed=seed,
    )
    subject = checked(
        prediction,
        data.test_labels,
        weight_scaled=MCDropout(Ensemble([model]), likelihood=Categorical(), seed=seed)(data.test_images),
        recalibrated=None,
        other=None,
        audit=audit(model, data.test_images[:_SHOWN]),
        images=data.test_images,
        class_names=None,
        names=("MC dropout", ""),
        unit="",
    )
    run = {"command": f"mcdrop demo --seed {seed} --num-samples {found.num_samples} --epochs {epochs}"}
    report = collected(subject, "What dropout can say about handwritten digits", run)
    sections = (_certainty(prediction, data), _foreign(mc, prediction, data, seed), _forest(comparison))
    noticed = Sentence("Does it notice what is no digit?", words.say_what_disagreement_tells(found), _INFORMATION)
    store(replace(report, sections=(*sections, *report.sections), verdict=(*report.verdict, noticed)), page)


def _certainty(prediction: CategoricalPrediction, data: Digits) -> Section:
    order = prediction.predictive_entropy.argsort(stable=True)
    pictures = []
    for name, rows in (("most", order[:_SHOWN]), ("least", order.flip(0)[:_SHOWN])):
        part, labels = prediction[rows], data.test_labels[rows]
        captions = [
            f"{int(answer)}" if answer == truth else f"{int(answer)}, is {int(truth)}"
            for answer, truth in zip(part.labels, labels, strict=True)
        ]
        pictures.append(
            Picture(
                f"{name}_certain",
                partial(_gallery, [data.test_images[rows]], [captions]),
                f"The {_SHOWN} held-out digits of which it is {name} certain, with its answer below.",
                f"Images with the answers {'; '.join(captions)}; predictive entropy from "
                f"{float(part.predictive_entropy.min()):.2g} to {float(part.predictive_entropy.max()):.2g} nats.",
                _ENTROPY,
                {"row": floats(rows.double()), "predictive entropy, nats": floats(part.predictive_entropy)},
                height=1.2,
            )
        )
    return Section(
        "certainty",
        "Of which digits is it certain, and of which not?",
        ("What it is uncertain of should look uncertain: half written, or like two digits at once.",),
        pictures=tuple(pictures),
    )


def _foreign(mc: MCDropout, own: CategoricalPrediction, data: Digits, seed: int) -> Section:
    foreign = {f"turned by {degrees}°": digits.rotate(data.test_images, degrees) for degrees in TURNS}
    foreign["noise"] = digits.uniform_noise(len(data.test_images), seed=seed)
    predictions = {"upright": own, **{name: mc(x) for name, x in foreign.items()}}
    shown = [x[:_SHOWN] for x in (data.test_images, *foreign.values())]
    captions = [
        [f"{int(row.labels)}: {float(row.mutual_information):.2f}" for row in prediction[:_SHOWN]]
        for prediction in predictions.values()
    ]
    information = {name: prediction.mutual_information for name, prediction in predictions.items()}
    means = ", ".join(f"{float(values.mean()):.3f} on {name}" for name, values in information.items())
    return Section(
        "foreign",
        "Does it notice what it was not trained on?",
        (
            "The same digits turned, and noise. Whoever asks for an uncertainty hopes that it rises here; where it "
            "does not, wrong answers come without a warning.",
        ),
        pictures=(
            Picture(
                "foreign_images",
                partial(_gallery, shown, captions),
                "Held-out digits upright, turned by 30 and by 90 degrees, and noise: the answer, and the mutual "
                "information in nats.",
                f"Four rows of {_SHOWN} images. Mutual information on average over all images, in nats: {means}.",
                _INFORMATION,
                {name: floats(values[:_SHOWN]) for name, values in information.items()},
                height=4.0,
            ),
            Picture(
                "foreign_information",
                partial(_histogram, own, data, information),
                "Mutual information of held-out digits, read rightly and wrongly, and of noise.",
                f"Histograms of the mutual information. On average, in nats: {means}.",
                f"{_INFORMATION}, mcdrop.plots.uncertainty.right_against_wrong",
                {name: floats(values) for name, values in information.items()},
            ),
        ),
    )


def _forest(comparison: Comparison) -> Section:
    curve = comparison.curve
    return Section(
        "forest",
        "What does a forest know that one tree does not?",
        ("Every mask leaves one sub-network: a tree. The forest is their average.", *comparison.answers),
        pictures=(
            Picture(
                "loss_against_trees",
                partial(forest.loss_against_samples, comparison),
                "The test loss of the average of k trees against k, beside one tree and the weight-scaled network. The "
                "band holds the middle 90 % of 20 choices of the trees.",
                " ".join(comparison.answers),
                "mcdrop.training.compare, mcdrop.plots.forest.loss_against_samples",
                {"trees": tuple(map(float, curve.num_samples)), "loss, nats": floats(curve.loss.mean(dim=1))},
                height=4.2,
            ),
        ),
    )


def _gallery(rows: list[Float[Tensor, "n 8 8"]], captions: list[list[str]], ax: Axes) -> None:
    """Rows of images within one axis."""
    ax.set_axis_off()
    height, width = 1 / len(rows), 1 / _SHOWN
    for place, (shown, below) in enumerate(zip(rows, captions, strict=True)):
        bottom = 1 - (place + 1) * height
        axes = [
            ax.inset_axes((column * width, bottom + 0.2 * height, 0.9 * width, 0.8 * height))
            for column in range(len(shown))
        ]
        images.gallery(list(shown), axes, captions=below, value_range=(0.0, 1.0))


def _histogram(own: CategoricalPrediction, data: Digits, information: dict[str, Tensor], ax: Axes) -> None:
    right = np.asarray(own.labels == data.test_labels)
    uncertainty.right_against_wrong(
        information["upright"], right, ax, name="mutual information", foreign=information["noise"]
    )

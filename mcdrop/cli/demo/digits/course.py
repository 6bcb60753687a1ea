"""The course of the demo on digits: train, measure, say, draw."""

from pathlib import Path

from mcdrop.cli.demo.digits import measurements, network, words
from mcdrop.data import digits

EPOCHS = 100


def run_course(*, seed: int, num_samples: int, epochs: int | None, page: Path | None) -> str:
    """The whole text of the demo; its page is written to `page`, if given.

    Args:
        seed: Decides weights, training, masks and noise.
        num_samples: T, at least 2.
        epochs: Passes through the training images; None for the usual number.
        page: The page, or None for none.
    """
    data = digits.load()
    epochs = EPOCHS if epochs is None else epochs
    model = network.train(data.train_images, data.train_labels, epochs=epochs, seed=seed)
    found = measurements.measure(model, data.test_images, data.test_labels, num_samples=num_samples, seed=seed)
    if page is not None:
        from mcdrop.cli.demo.digits import drawn  # matplotlib is for those who draw

        drawn.write(page, model, data, found, seed=seed, epochs=epochs)
    return words.tell(found, num_train=len(data.train_labels), epochs=epochs)

"""The course of the regression demo: train, measure, say, draw."""

from pathlib import Path

from mcdrop.cli.demo.regression import measurements, networks, words

EPOCHS = 1000


def run_course(*, seed: int, num_samples: int, epochs: int | None, page: Path | None) -> str:
    """The whole text of the demo; its page is written to `page`, if given.

    Args:
        seed: Decides points, weights, training and masks.
        num_samples: T, at least 2.
        epochs: Steps of each network; None for the usual number.
        page: The page, or None for none.
    """
    points = networks.draw(seed)
    epochs = EPOCHS if epochs is None else epochs
    models = networks.train(points, epochs=epochs, seed=seed)
    found = measurements.measure(models, num_samples=num_samples, seed=seed)
    if page is not None:
        from mcdrop.cli.demo.regression import drawn  # matplotlib is for those who draw

        drawn.write(page, points, found, seed=seed, epochs=epochs)
    return words.tell(found, num_points=len(points.x), epochs=epochs)

"""The words of `mcdrop demo`, and its three steps: train, measure, say."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

DESCRIPTION = """\
Train a small network with dropout on scikit-learn's handwritten digits, then compare on held-out digits

  the weight-scaled network   dropout off, as everybody deploys it: one pass
  a single sub-network        one draw of the masks: one tree of the forest
  MC dropout                  the average of T sub-networks: T passes

by error, negative log-likelihood (NLL) and Brier score, each with the standard error that the choice of the test
rows leaves. Then ask how uncertain the T sub-networks are on these digits, on the same digits turned by 30 and by 90
degrees, and on noise: predictive entropy is the uncertainty of their average, mutual information the part of it that
comes from their disagreement. Two sentences say what the numbers show, also where they show that MC dropout does not
help.

Nothing is downloaded or written. One seed gives the same numbers each time on one machine."""


def _integer(least: int, most: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            bounds = f"at least {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer, {bounds}")
        return value

    return parse


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `demo` to the commands."""
    parser = commands.add_parser(
        "demo",
        help="what dropout can say about handwritten digits",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # an option added later must not change what a script means
    )
    parser.add_argument(
        "--seed",
        type=_integer(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="decides weights, training, masks and noise; the held-out digits are always the same (default: 0)",
    )
    parser.add_argument(
        "--num-samples",
        type=_integer(2),
        default=100,
        metavar="T",
        help="how many sub-networks to draw, at least 2 (default: 100)",
    )
    parser.add_argument(
        "--epochs",
        type=_integer(1),
        default=100,
        metavar="E",
        help="how often the network sees each training digit, at least 1 (default: 100)",
    )
    parser.set_defaults(run=run)


@contextmanager
def _one_thread() -> Iterator[None]:
    # The order of a sum, and so its last bits, depend on the number of threads. At this size one is as fast as two.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run(options: argparse.Namespace) -> None:
    """Print what the demo finds."""
    # scikit-learn takes longer to import than `mcdrop --help` should take to answer.
    from mcdrop.cli.demo import measurements, network, words
    from mcdrop.data import digits

    data = digits.load()
    with _one_thread():
        model = network.train(data.train_images, data.train_labels, epochs=options.epochs, seed=options.seed)
        found = measurements.measure(
            model, data.test_images, data.test_labels, num_samples=options.num_samples, seed=options.seed
        )
    print(words.tell(found, num_train=len(data.train_labels), epochs=options.epochs))

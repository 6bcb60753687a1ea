"""The words of `mcdrop demo`, and which of the two demos runs."""

import argparse
from pathlib import Path

from mcdrop.cli import options, recorded
from mcdrop.cli.demo.threads import one_thread

DESCRIPTION = """\
Two small experiments that take seconds, and say in words what they show, also
where MC dropout does not help.

mcdrop demo: train a small network with dropout on scikit-learn's handwritten
digits, then compare on held-out digits

  the weight-scaled network   dropout off, as everybody deploys it: one pass
  a single sub-network        one draw of the masks: one tree of the forest
  MC dropout                  the average of T sub-networks: T passes

by error, negative log-likelihood (NLL) and Brier score, each with the standard
error that the choice of the test rows leaves. Then ask how uncertain the T
sub-networks are on these digits, on the same digits turned by 30 and by 90
degrees, and on noise: predictive entropy is the uncertainty of their average,
mutual information the part of it that comes from their disagreement.

mcdrop demo regression: train on noisy points of a curve of which a part was
never measured. Do the sub-networks differ more there? Is that enough? And do
five networks that were trained apart?

Nothing is downloaded, and nothing is written but the page that --page asks for:
the same with pictures, and the digits' page with the whole calibration report
(under a minute). One seed gives the same numbers each time on one machine."""

EPILOG = """\
examples:
  mcdrop demo
  mcdrop demo --page digits.html
  mcdrop demo regression --seed 1 --page regression.html"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `demo` to the commands."""
    parser = options.add_command(
        commands, "demo", summary="what dropout can say, seen on small data", description=DESCRIPTION, epilog=EPILOG
    )
    parser.add_argument("data", nargs="?", choices=("digits", "regression"), default="digits", help="(default: digits)")
    parser.add_argument(
        "--seed",
        type=options.integer(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="decides weights, training, masks and noise; the held-out digits are always the same (default: 0)",
    )
    parser.add_argument(
        "--num-samples",
        type=options.integer(2),
        default=100,
        metavar="T",
        help="how many sub-networks to draw, at least 2 (default: 100)",
    )
    parser.add_argument(
        "--epochs",
        type=options.integer(1),
        metavar="E",
        help="how often a network sees each training row, at least 1 (default: 100 of digits, 1000 of regression)",
    )
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="write a page with pictures too: demo.html, and demo.json beside it"
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> None:
    """Print what the demo finds, and write its page where one is asked for."""
    # scikit-learn and matplotlib take longer to import than `mcdrop --help` should take to answer.
    if given.data == "digits":
        from mcdrop.cli.demo.digits.course import run_course
    else:
        from mcdrop.cli.demo.regression.course import run_course

    if given.page is not None:
        recorded.check_page(given.page)
    with one_thread():
        text = run_course(seed=given.seed, num_samples=given.num_samples, epochs=given.epochs, page=given.page)
    print(text)
    if given.page is not None:
        print(f"\nwritten to {given.page} and {given.page.with_suffix('.json')}")
    else:
        print(f"\nWith pictures: mcdrop demo {given.data} --page {given.data}.html")

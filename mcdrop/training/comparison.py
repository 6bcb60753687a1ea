"""A single network against the forest: the losses of weight scaling, of single trees, and of their averages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mcdrop.errors import InputError
from mcdrop.posterior import Ensemble
from mcdrop.prediction import Likelihood, RegressionLikelihood
from mcdrop.sampling import MCDropout
from mcdrop.sampling.batches import Unpack
from mcdrop.training.batch_losses import BatchLosses
from mcdrop.training.contender import Contender, Gathered
from mcdrop.training.curve import Curve
from mcdrop.training.integers import integer
from mcdrop.training.rows import Rows, rows_of
from mcdrop.training.verdict import FOREST, GEOMETRIC, MEMBERS, SCALED, TREE, answers, table

_AT_ONCE = 1024
"""A quarter of the rows of a pair of arrays that are predicted at once, see `Rows.in_order`."""
_SUBSETS = 20
_USUAL_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found.

    Args:
        test: The contenders by name on the data that were held out: "weight-scaled net", "one tree", "forest",
            "forest, geometric mean", and with several members "members, averaged" (each weight-scaled).
        train: The same on the training data, if these were given.
        curve: Of averages of k trees on the test data.
        num_samples: T.
        seed: Of the masks and of the subsets.
        error_name: "error rate" or "rmse".

    Example:
        >>> import mcdrop
        >>> _ = torch.manual_seed(0)
        >>> x, model = torch.randn(64, 4), nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 3))
        >>> found = compare(model, (x, x.argmax(1) % 3), likelihood=mcdrop.Categorical(), num_samples=20, seed=0)
        >>> found.test["forest"].loss.value < found.test["one tree"].loss.value  # Jensen: always
        True
        >>> found.curve.num_samples
        (1, 2, 5, 10, 20)
    """

    test: dict[str, Contender]
    train: dict[str, Contender] | None
    curve: Curve
    num_samples: int
    seed: int
    error_name: str

    @property
    def answers(self) -> tuple[str, str, str]:
        """Why the test loss may lie below the train loss; whether averaging helps; how many passes suffice."""
        return answers(self.test, self.train, self.curve, self.error_name)

    def __str__(self) -> str:
        return "\n".join([table(self.test, self.train, self.error_name), "", *self.answers])

    def to_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""

        def numbers(contenders: dict[str, Contender]) -> dict[str, Any]:
            return {name: each.to_dict() for name, each in contenders.items()}

        return {
            "num_samples": self.num_samples,
            "seed": self.seed,
            "error_name": self.error_name,
            "test": numbers(self.test),
            "train": numbers(self.train) if self.train is not None else None,
            "curve": {
                "num_samples": list(self.curve.num_samples),
                "loss": self.curve.loss.tolist(),
                "error": self.curve.error.tolist(),
            },
            "answers": list(self.answers),
        }


def compare(
    model: nn.Module | Ensemble,
    test: Any,
    *,
    train: Any = None,
    likelihood: Likelihood,
    num_samples: int | None = None,
    seed: int = 0,
    sizes: Sequence[int] | None = None,
    unpack: Unpack | None = None,
    **options: Any,
) -> Comparison:
    """Loss and error of one network, of single trees of its forest and of their average, on the same rows.

        weight-scaled net        -log p(y | f(x, E[z]))
        one tree                 1/T sum_t -log p(y | f(x, z_t))         what training sees
        forest                   -log 1/T sum_t p(y | f(x, z_t))         the Monte Carlo average
        forest, geometric mean   -log of prod_t p(y | f(x, z_t))^(1/T), normalised

    all averaged over rows, and over what a row holds (outputs, pixels, tokens), which `fit` sums. The draws are
    independent. Every number states the error from the sampling of rows and the Monte Carlo error from a jackknife over
    groups of draws; `a.loss - b.loss` is a difference with paired errors.

    Args:
        model: The trained network; it is only read. Or an `Ensemble`: then "weight-scaled net" is the average over its
            members of what each scores alone, and the trees are of its members in turn.
        test: Held-out data: a pair (inputs, targets), or a loader that can be iterated more than once.
        train: The training data, likewise, for the question why the test loss can lie below the train loss.
        likelihood: How outputs are read; one with a density.
        num_samples: T, at least 2; None is 100. Of an ensemble a multiple of its members.
        seed: Of the masks and of the subsets of draws.
        sizes: The k of the curve, 1 to T; None: 1, 2, 5, 10, ... and T. Each k averages over 20 subsets of the draws.
        unpack: How a batch of a loader is taken apart, see `MCDropout.predict`.
        **options: Of `MCDropout`: sites, output, plan.

    Raises:
        InputError: The data do not fit, a size is not from 1 to T, or an option is not one of these.
        McdropError: As `MCDropout` and calling it.

    Source:
        Srivastava et al. 2014, "Dropout", JMLR 15, sec. 7.5, compares weight scaling with averages of k trees; Gal &
        Ghahramani 2016, arXiv:1506.02142, sec. 4.
    """
    members = model.members if isinstance(model, Ensemble) else (model,)
    forest = Ensemble(members, dropout=True) if isinstance(model, Ensemble) else model
    if unknown := set(options) - {"sites", "output", "plan"}:
        raise InputError(f"{', '.join(sorted(unknown))} was given; compare takes sites, output and plan of MCDropout.")
    options["likelihood"] = likelihood
    seed = integer("seed", seed, least=0)
    num_samples = None if num_samples is None else integer("num_samples", num_samples, least=1)
    trees = MCDropout(forest, num_samples=num_samples, seed=seed, **options)
    chosen = _checked_sizes(sizes, trees.num_samples)
    scaled = MCDropout(Ensemble(members), seed=seed, **options)
    pairs = {"test": test, **({"train": train} if train is not None else {})}
    data = {
        name: rows_of(given, _AT_ONCE if isinstance(given, tuple) else None, unpack, members[0])
        for name, given in pairs.items()
    }
    root = isinstance(likelihood, RegressionLikelihood)
    curve = _Growing(chosen, trees.num_samples, seed, root)
    found = {
        name: _measured(trees, scaled, rows, len(members), root, curve if name == "test" else None)
        for name, rows in data.items()
    }
    return Comparison(
        found["test"],
        found.get("train"),
        curve.result(),
        trees.num_samples,
        seed,
        "rmse" if root else "error rate",
    )


def _measured(
    trees: MCDropout, scaled: MCDropout, rows: Rows, members: int, root: bool, curve: "_Growing | None"
) -> dict[str, Contender]:
    """The contenders on one data set."""
    from tqdm import tqdm  # `import mcdrop` loads torch alone

    gathered: dict[str, Gathered] = {}
    for args, kwargs, target in tqdm(rows.in_order(), total=rows.num_batches, disable=None, leave=False, unit="batch"):
        drawn = BatchLosses(trees.likelihood, trees.sample(*args, **kwargs), target, members)
        whole = BatchLosses(trees.likelihood, scaled.sample(*args, **kwargs), target)
        parts = {SCALED: (whole.one_tree, ()), TREE: (drawn.one_tree, drawn.counts)}
        if members > 1:
            parts[MEMBERS] = (whole.forest, ())
        parts |= {FOREST: (drawn.forest, drawn.counts), GEOMETRIC: (drawn.geometric, drawn.counts)}
        for name, (values, counts) in parts.items():
            gathered.setdefault(name, Gathered(root, counts)).add(*values)
        gathered[SCALED].add_trees(whole.tree_losses, whole.tree_errors)
        gathered[TREE].add_trees(drawn.tree_losses, drawn.tree_errors)
        if curve is not None:
            curve.add(drawn)
    return {name: each.contender() for name, each in gathered.items()}


class _Growing:
    """The curve over k, batch by batch: the first k draws in each of 20 orders."""

    def __init__(self, sizes: tuple[int, ...], num_samples: int, seed: int, root: bool) -> None:
        self._sizes = sizes
        self._root = root
        generator = torch.Generator().manual_seed(seed)
        self._orders = [torch.randperm(num_samples, generator=generator) for _ in range(_SUBSETS)]
        self._rows = 0
        self._sums = torch.zeros(2, len(sizes), _SUBSETS, dtype=torch.float64)

    def add(self, drawn: BatchLosses) -> None:
        self._rows += drawn.tree_losses.shape[1]
        for place, order in enumerate(self._orders):
            losses, errors = drawn.growing(order, list(self._sizes))
            self._sums[:, :, place] += torch.stack([losses.sum(dim=1), errors.sum(dim=1)]).cpu()

    def result(self) -> Curve:
        loss, error = self._sums / self._rows
        return Curve(self._sizes, loss, error.sqrt() if self._root else error)


def _checked_sizes(sizes: Sequence[int] | None, num_samples: int) -> tuple[int, ...]:
    if num_samples < 2:
        raise InputError(f"num_samples={num_samples} was given; a comparison needs at least 2 trees.")
    if sizes is None:
        return (*(size for size in _USUAL_SIZES if size < num_samples), num_samples)
    chosen = {integer("size", size, least=1) for size in sizes}
    if max(chosen, default=1) > num_samples:
        raise InputError(f"sizes={sizes!r} was given; expected integers from 1 to num_samples={num_samples}.")
    return tuple(sorted(chosen | {num_samples}))

"""What is common to all predictors, on draws that are given."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import mcdrop
from mcdrop.calibration import accuracy
from mcdrop.errors import InputError, NonFiniteError
from mcdrop.prediction import Provenance, from_draws
from mcdrop.sampling.predictor import Draws, Predictor, Reading

LOGITS = torch.randn(6, 10, 3, generator=torch.Generator().manual_seed(0))  # T = 6 draws of 10 rows


class Given(Draws):
    """Draws that are known beforehand, in pairs."""

    def __init__(self, draws: Tensor) -> None:
        self._draws = draws
        self._done = 0

    @property
    def block_size(self) -> int:
        return 2

    @property
    def provenance(self) -> Provenance:
        return Provenance(num_samples=len(self._draws), block_size=2, seed=5, execution=f"{self._done} chunks")

    def __iter__(self) -> Iterator[Tensor]:
        for pair in self._draws.split(2):
            self._done += 1
            yield pair


class Table(Predictor):
    """Answers row numbers by the rows of a table of draws; a batch is (numbers, targets)."""

    def __init__(self, table: Tensor, likelihood=mcdrop.Categorical(), keep_samples=None) -> None:  # noqa: B008
        self._table = table
        self._reading = Reading(likelihood, len(table), keep_samples)
        self.first_rows: list[int] = []

    def _draws(self, args, kwargs, first_row: int) -> Draws:
        self.first_rows.append(first_row)
        return Given(self._table[:, args[0]])

    def _batches(self, loader, unpack):
        row = 0
        for numbers, target in loader:
            yield (numbers,), {}, target, row
            row += len(numbers)


ROWS = torch.arange(10)
TARGETS = torch.arange(10) % 3


def test_one_input_is_read_as_its_draws() -> None:
    prediction = Table(LOGITS)(ROWS[3:7])
    expected = from_draws(LOGITS[:, 3:7], mcdrop.Categorical(), block_size=2)
    torch.testing.assert_close(prediction.probs, expected.probs)
    torch.testing.assert_close(prediction.mc_error, expected.mc_error)
    assert prediction.provenance.execution == "3 chunks"  # read after the last of them


def test_samples_are_the_draws() -> None:
    assert torch.equal(Table(LOGITS).sample(ROWS), LOGITS)


def test_a_loader_is_read_batch_by_batch() -> None:
    table = Table(LOGITS)
    loader = [(ROWS[:4], None), (ROWS[4:], None)]
    torch.testing.assert_close(table.predict(loader).probs, table(ROWS).probs)
    assert table.first_rows == [0, 4, 0]


def test_scores_are_those_of_the_whole() -> None:
    table = Table(LOGITS)
    scores = table.evaluate([(ROWS[:4], TARGETS[:4]), (ROWS[4:], TARGETS[4:].numpy())])
    expected = accuracy(table(ROWS), TARGETS)
    assert scores["accuracy"].value == expected.value
    assert scores["accuracy"].mc_error == pytest.approx(expected.mc_error, rel=1e-9)
    with pytest.raises(InputError, match="evaluate was given batches without targets"):
        table.evaluate([(ROWS, None)])


def test_scores_that_need_samples_keep_them() -> None:
    table = Table(LOGITS, mcdrop.Gaussian(1.0), keep_samples=False)
    assert table(ROWS).samples is None
    whole = from_draws(LOGITS, mcdrop.Gaussian(1.0))
    scores = table.evaluate([(ROWS, torch.zeros(10, 3))])
    assert scores["negative_log_likelihood"].value == pytest.approx(-whole.log_prob(torch.zeros(10, 3)).mean().item())


def test_a_bad_output_says_how_the_input_looked() -> None:
    with pytest.raises(NonFiniteError, match="The input is finite"):
        Table(torch.full((2, 10, 3), torch.nan))(ROWS.double().long())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Categorical()", 10), r"likelihood='Categorical\(\)' was given; expected an object such as"),
        ((mcdrop.Categorical(), 0), "num_samples=0 was given; expected an integer >= 1"),
        ((mcdrop.Categorical(), True), "num_samples=True was given; expected an integer >= 1"),
        ((mcdrop.Categorical(), 10, "yes"), "keep_samples='yes' was given; expected True, False or None"),
    ],
)
def test_arguments_out_of_range(arguments, message, without_type_checks) -> None:
    with pytest.raises(InputError, match=message):
        Reading(*arguments)


def test_both_predictors_have_the_same_face() -> None:
    face = {name for name in vars(Predictor) if not name.startswith("_")} | {"__call__"}
    for predictor in (mcdrop.MCDropout, type(mcdrop.from_callable(len, likelihood=mcdrop.Identity()))):
        assert issubclass(predictor, Predictor)
        assert not face & vars(predictor).keys()  # nothing is overridden

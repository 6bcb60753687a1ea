"""What batches leave of the scores of classes is the score of the whole."""

import pytest
import torch

from mcdrop.calibration import (
    Tally,
    aurc,
    auroc_of_error,
    brier_decomposition,
    error_rate,
    expected_calibration_error,
    smooth_calibration_error,
)
from mcdrop.errors import InputError
from mcdrop.prediction import Binary, Categorical, from_draws

G = torch.Generator().manual_seed(0)
LOGITS = torch.randn(20, 30, 3, generator=G, dtype=torch.float64)
PIXELS = torch.randn(20, 30, 3, 2, 2, generator=G, dtype=torch.float64)
LABELS = torch.randint(3, (30,), generator=G)
PIXEL_LABELS = torch.randint(3, (30, 2, 2), generator=G)
FUNCTIONS = {
    f.__name__: f for f in (error_rate, expected_calibration_error, smooth_calibration_error, aurc, auroc_of_error)
}
PARTS = ("miscalibration", "discrimination", "uncertainty")
CASES = {
    "classes": (Categorical(), LOGITS, LABELS),
    "events": (Binary(), LOGITS[..., 0], LABELS % 2),
    "pixels": (Categorical(class_dim=1), PIXELS, PIXEL_LABELS),
}


@pytest.mark.parametrize(("likelihood", "draws", "targets"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("batch", [1, 7, 30])
def test_batches_give_the_scores_of_the_whole(likelihood, draws, targets, batch):
    tally = Tally.of(likelihood, [*FUNCTIONS, *(f"brier_{part}" for part in PARTS)])
    for rows in torch.arange(30).split(batch):
        tally = tally.update(from_draws(draws[:, rows], likelihood), targets[rows])
    whole, scores = from_draws(draws, likelihood), tally.scores()
    decomposition = brier_decomposition(whole, targets)
    expected = {name: f(whole, targets) for name, f in FUNCTIONS.items()}
    expected |= {f"brier_{part}": getattr(decomposition, part) for part in PARTS}
    assert list(scores) == list(expected)
    for name, score in expected.items():
        for part in ("value", "standard_error", "mc_error"):
            assert getattr(scores[name], part) == pytest.approx(getattr(score, part), rel=1e-8), (name, part)


def test_binned_errors_keep_no_rows():
    tally = Tally.of(Categorical(), ["expected_calibration_error"])
    sizes = set()
    for _ in range(3):
        tally = tally.update(from_draws(LOGITS, Categorical()), LABELS)
        (stream,) = tally.streams
        sizes.add((stream.sums.counts.numel(), stream.products.numel()))
    assert sizes == {((1 + len(tally.counts)) * 15, 15 * 15)}
    assert stream.rows == 90


def test_kept_labels_take_the_bytes_stated():
    prediction = from_draws(LOGITS.repeat(2, 1, 1)[:32], Categorical())
    tally = Tally.of(Categorical(), ["aurc", "auroc_of_error", "smooth_calibration_error"]).update(prediction, LABELS)
    (stream,) = tally.streams
    tensors = [tensor for part in stream.parts for tensor in (part.probs, part.happened)]
    assert sum(tensor.untyped_storage().nbytes() for tensor in tensors) == 153 * 30


def test_kept_scores_know_their_rows():
    prediction = from_draws(LOGITS, Categorical())
    score = Tally.of(Categorical(), ["aurc"]).update(prediction, LABELS).scores()["aurc"]
    assert (score - aurc(prediction, LABELS)).standard_error == pytest.approx(0, abs=1e-12)


def test_a_score_that_is_not_defined_for_the_rows_says_so():
    sure = torch.zeros(4, 3, 2).index_fill_(2, torch.tensor([0]), 5.0)
    tally = Tally.of(Categorical(), ["auroc_of_error"])
    tally = tally.update(from_draws(sure, Categorical()), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(InputError, match="All 3 labels are right: the AUROC of error compares"):
        tally.scores()

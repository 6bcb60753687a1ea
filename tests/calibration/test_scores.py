import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from sklearn import metrics

from mcdrop.calibration import Score, accuracy, brier_score, error_rate, negative_log_likelihood, rmse
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Binary, Categorical, Gaussian, Identity, Poisson, from_draws
from tests import reference

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, size=(40, 30, 4))
LABELS = RNG.integers(4, size=30)
MEANS = RNG.normal(0, 1, size=(40, 30, 2))
Y = RNG.normal(0, 1, size=(30, 2))


def categorical(draws=LOGITS, **options):
    return from_draws(torch.from_numpy(draws), Categorical(), **options)


def test_values_are_scikit_learns():
    probs = reference.softmax(LOGITS).mean(axis=0)
    one_hot = np.eye(4)[LABELS]
    for predicted in (categorical(), probs, torch.from_numpy(probs)):
        assert accuracy(predicted, LABELS).value == pytest.approx(metrics.accuracy_score(LABELS, probs.argmax(axis=1)))
        assert error_rate(predicted, LABELS).value == pytest.approx(1 - accuracy(predicted, LABELS).value)
        assert negative_log_likelihood(predicted, LABELS).value == pytest.approx(metrics.log_loss(LABELS, probs))
        assert brier_score(predicted, LABELS).value == pytest.approx(((probs - one_hot) ** 2).sum(axis=1).mean())


def test_binary_values_are_scikit_learns():
    events = LABELS % 2
    prediction = from_draws(torch.from_numpy(LOGITS[..., 0]), Binary())
    probs = prediction.probs.numpy()
    for predicted in (prediction, probs):
        assert accuracy(predicted, events).value == pytest.approx(metrics.accuracy_score(events, probs > 0.5))
        assert negative_log_likelihood(predicted, events).value == pytest.approx(metrics.log_loss(events, probs))
        assert brier_score(predicted, events).value == pytest.approx(2 * metrics.brier_score_loss(events, probs))


def test_regression_values_are_scipys_and_scikit_learns():
    prediction = from_draws(torch.from_numpy(MEANS), Gaussian(4.0))
    density = stats.norm.pdf(Y, MEANS, 0.5).mean(axis=0)
    assert negative_log_likelihood(prediction, Y).value == pytest.approx(-np.log(density).mean())
    for predicted in (prediction, MEANS.mean(axis=0)):
        expected = metrics.root_mean_squared_error(Y.ravel(), MEANS.mean(axis=0).ravel())
        assert rmse(predicted, Y).value == pytest.approx(expected)
    counts = RNG.poisson(2, size=30)
    rates = np.exp(MEANS[..., 0])
    poisson = negative_log_likelihood(from_draws(torch.from_numpy(MEANS[..., 0]), Poisson()), counts)
    assert poisson.value == pytest.approx(-np.log(stats.poisson.pmf(counts, rates).mean(axis=0)).mean())


def test_the_standard_error_is_that_of_a_mean_over_rows():
    probs = reference.softmax(LOGITS).mean(axis=0)
    losses = -np.log(probs[np.arange(30), LABELS])
    score = negative_log_likelihood(categorical(), LABELS)
    assert score.standard_error == pytest.approx(losses.std(ddof=1) / math.sqrt(30))
    share = accuracy(categorical(), LABELS)
    assert share.standard_error == pytest.approx(math.sqrt(share.value * (1 - share.value) / 29))


def test_the_standard_error_of_rmse_is_what_repetition_shows():
    rows, repetitions = 200, 1500
    errors = torch.randn(repetitions, rows, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scores = [rmse(row, torch.zeros(rows)) for row in errors]
    spread = np.std([score.value for score in scores], ddof=1)
    said = np.mean([score.standard_error for score in scores])
    assert abs(said / spread - 1) < 4 / math.sqrt(2 * repetitions) + 2 / rows


@pytest.mark.parametrize(("draws", "block_size"), [(16, 1), (40, 1), (40, 3), (7, 2)])
def test_monte_carlo_errors_are_the_literal_jackknife(draws, block_size):
    logits, means = LOGITS[:draws], MEANS[:draws]
    counts = reference.group_counts(draws, block_size)
    rows = np.arange(30)

    def probs(logits):
        return reference.softmax(logits).mean(axis=0)

    prediction = categorical(logits, block_size=block_size)
    events = from_draws(torch.from_numpy(logits[..., 0]), Binary(), block_size=block_size)
    numbers = from_draws(torch.from_numpy(means), Gaussian(4.0), block_size=block_size)
    cases = [
        (accuracy(prediction, LABELS), logits, lambda d: (probs(d).argmax(axis=1) == LABELS).mean()),
        (error_rate(prediction, LABELS), logits, lambda d: (probs(d).argmax(axis=1) != LABELS).mean()),
        (negative_log_likelihood(prediction, LABELS), logits, lambda d: -np.log(probs(d)[rows, LABELS]).mean()),
        (brier_score(prediction, LABELS), logits, lambda d: ((probs(d) - np.eye(4)[LABELS]) ** 2).sum(axis=1).mean()),
        (
            brier_score(events, LABELS % 2),
            logits[..., 0],
            lambda d: 2 * np.mean((special.expit(d).mean(axis=0) - LABELS % 2) ** 2),
        ),
        (rmse(numbers, Y), means, lambda d: np.sqrt(((d.mean(axis=0) - Y) ** 2).mean())),
        (
            negative_log_likelihood(numbers, Y),
            means,
            lambda d: -np.log(stats.norm.pdf(Y, d, 0.5).mean(axis=0)).mean(),
        ),
    ]
    for score, values, estimate in cases:
        assert score.mc_error == pytest.approx(reference.jackknife_error(values, counts, estimate), rel=1e-6)


def test_the_monte_carlo_error_sees_what_the_rows_have_in_common():
    """p_t = softmax(base + noise_t), one noise for all rows: the error of the score does not fall with the rows.

    Over repetitions the score spreads by sigma. The jackknife must say sigma (in squares, up to 4 standard errors and
    the bias 1/T of the logarithm's curvature); errors taken as independent between N rows say sigma/sqrt(N).
    """
    rows, total, repetitions = 100, 48, 200
    generator = torch.Generator().manual_seed(0)
    base = 0.1 * torch.randn(rows, 3, generator=generator, dtype=torch.float64)
    targets = torch.zeros(rows, dtype=torch.int64)
    scores, squares, by_rows = [], [], []
    for _ in range(repetitions):
        noise = torch.randn(total, 1, 3, generator=generator, dtype=torch.float64)
        prediction = from_draws(base + noise, Categorical())
        score = negative_log_likelihood(prediction, targets)
        scores.append(score.value)
        squares.append(score.mc_error**2)
        relative = prediction.mc_error[:, 0] / prediction.probs[:, 0]
        by_rows.append(relative.square().sum().item() / rows**2)
    truth = np.var(scores, ddof=1)
    uncertainty = math.hypot(truth * math.sqrt(2 / repetitions), np.std(squares) / math.sqrt(repetitions))
    assert abs(np.mean(squares) - truth) < 4 * uncertainty + truth / total
    assert np.mean(by_rows) < 2 * truth / rows


def test_blocks_are_left_out_whole():
    """Antithetic pairs, whose means all agree: there is no Monte Carlo error, though single draws differ much."""
    half = torch.randn(32, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = torch.stack([half, -half], dim=1).flatten(0, 1)
    y = torch.ones(10)
    assert rmse(from_draws(pairs, Gaussian(1.0), block_size=2), y).mc_error < 1e-12
    assert rmse(from_draws(pairs[torch.randperm(64)], Gaussian(1.0)), y).mc_error > 1e-3


def test_rows_in_pieces_give_the_same(monkeypatch):
    prediction = categorical()
    whole = negative_log_likelihood(prediction, LABELS)
    monkeypatch.setattr("mcdrop.calibration.losses.row_pieces", lambda *_: [slice(0, 7), slice(7, 8), slice(8, 30)])
    pieces = negative_log_likelihood(prediction, LABELS)
    for name in ("value", "standard_error", "mc_error"):
        assert getattr(pieces, name) == pytest.approx(getattr(whole, name), rel=1e-12)


def test_elements_of_a_row_are_averaged_first():
    """(N, C, L): the standard error counts N rows, not N L elements."""
    logits = torch.from_numpy(LOGITS[..., None]).expand(-1, -1, -1, 5)
    labels = np.repeat(LABELS[:, None], 5, axis=1)
    repeated = negative_log_likelihood(from_draws(logits, Categorical(class_dim=1)), labels)
    single = negative_log_likelihood(categorical(), LABELS)
    for name in ("value", "standard_error", "mc_error"):
        assert getattr(repeated, name) == pytest.approx(getattr(single, name), rel=1e-9)


def test_what_there_is_no_error_for():
    assert accuracy(reference.softmax(LOGITS[0]), LABELS).mc_error is None  # an array has no draws
    assert accuracy(categorical(LOGITS[:1]), LABELS).mc_error is None  # one draw
    assert accuracy(categorical(LOGITS[:4], block_size=4), LABELS).mc_error is None  # one block
    assert accuracy(categorical(LOGITS[:, :1]), LABELS[:1]).standard_error is None  # one row
    assert rmse(np.ones(3), np.ones(3)) == Score(0.0, 0.0, None)


def test_an_overconfident_event_has_finite_errors():
    prediction = from_draws(torch.full((20, 2), 60.0) + torch.arange(20.0).unsqueeze(1), Binary())
    score = negative_log_likelihood(prediction, np.array([0, 1]))
    assert score.value == pytest.approx(-np.log(np.exp(-60 - np.arange(20.0)).mean()) / 2)
    assert math.isfinite(score.mc_error)


def test_gradients_do_not_disturb():
    prediction = from_draws(torch.from_numpy(LOGITS).requires_grad_(), Categorical())
    assert accuracy(prediction, LABELS).mc_error is not None


def test_text():
    assert str(Score(0.91234, 0.0114, None)) == "0.9123 +- 0.011 (rows)"
    assert str(Score(2.0, None, 0.5)) == "2 +- 0.5 (Monte Carlo)"


def test_what_does_not_fit():
    numbers, raw = from_draws(torch.from_numpy(MEANS), Gaussian(1.0)), from_draws(torch.from_numpy(MEANS), Identity())
    for match, call in (
        (
            "accuracy of a RegressionPrediction asked, which has negative_log_likelihood, rmse",
            lambda: accuracy(numbers, Y),
        ),
        ("rmse of a CategoricalPrediction asked", lambda: rmse(categorical(), LABELS)),
        ("of a RawPrediction asked, which has no scores", lambda: negative_log_likelihood(raw, Y)),
        ("0 rows given, a score needs at least one", lambda: accuracy(np.ones((0, 3)), np.ones(0, dtype=int))),
        (
            r"Targets of shape \(31,\) given for predictions of 30 rows",
            lambda: accuracy(categorical(), np.zeros(31, int)),
        ),
        (r"Targets of shape \(\) given", lambda: accuracy(categorical(), np.array(1))),
        ("Targets from 1 to 4 given", lambda: accuracy(categorical(), LABELS + 1)),
        ("expected probabilities from 0 to 1", lambda: accuracy(LOGITS[0], LABELS)),
        (r"An array \(30, 1\) given, expected probabilities", lambda: accuracy(np.ones((30, 1)), LABELS)),
    ):
        with pytest.raises(InputError, match=match):
            call()
    without = from_draws(torch.from_numpy(MEANS), Gaussian(1.0), keep_samples=False)
    with pytest.raises(UnavailableError, match=r"needs every draw.*predict with keep_samples=True"):
        negative_log_likelihood(without, Y)
    assert rmse(without, Y) == rmse(numbers, Y)

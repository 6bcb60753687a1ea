"""What all recalibrators do alike: errors over draws, files, refusals, composition."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mcdrop.calibration import (
    AdaptiveSets,
    CdfRecalibration,
    Isotonic,
    LeastAmbiguousSets,
    Precision,
    Recalibrator,
    ResidualIntervals,
    Temperature,
    VarianceScaling,
    aurc,
    auroc_of_error,
    brier_score,
    crps,
    expected_calibration_error,
    interval_coverage,
    negative_log_likelihood,
    rmse,
    smooth_calibration_error,
)
from mcdrop.errors import InputError
from mcdrop.prediction import (
    Binary,
    Categorical,
    Gaussian,
    HeteroscedasticGaussian,
    Poisson,
    Provenance,
    concatenate,
    from_draws,
    load,
)
from tests import reference

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, size=(20, 40, 3))
LABELS = (LOGITS.mean(axis=0) + RNG.gumbel(0, 1, size=(40, 3))).argmax(axis=1)
EVENT_LOGITS = LOGITS[..., 0]
EVENTS = (RNG.random(40) < 1 / (1 + np.exp(-EVENT_LOGITS.mean(axis=0)))).astype(np.int64)
MEANS = RNG.normal(0, 1, size=(20, 40, 2)) + RNG.normal(0, 1, size=(40, 2))
SCALES = RNG.normal(0, 0.3, size=(20, 40, 2))
BOTH = np.concatenate([MEANS, SCALES], axis=-1)
Y = MEANS.mean(axis=0) + RNG.standard_t(3, size=(40, 2))

CASES = {
    "temperature": (Temperature, {}, LOGITS, Categorical(), LABELS),
    "temperature of events": (Temperature, {}, EVENT_LOGITS, Binary(), EVENTS),
    "temperature inside": (Temperature, {"inside": True}, LOGITS, Categorical(), LABELS),
    "temperature inside of events": (Temperature, {"inside": True}, EVENT_LOGITS, Binary(), EVENTS),
    "isotonic": (Isotonic, {}, LOGITS, Categorical(), LABELS),
    "isotonic of events": (Isotonic, {}, EVENT_LOGITS, Binary(), EVENTS),
    "variance scaling": (VarianceScaling, {}, MEANS, Gaussian(4.0), Y),
    "variance scaling of both": (VarianceScaling, {}, BOTH, HeteroscedasticGaussian(), Y),
    "cdf": (CdfRecalibration, {}, MEANS, Gaussian(4.0), Y),
    "precision": (Precision, {}, MEANS, Gaussian(4.0), Y),
    "least ambiguous": (LeastAmbiguousSets, {"alpha": 0.2}, LOGITS, Categorical(), LABELS),
    "adaptive": (AdaptiveSets, {"alpha": 0.2, "seed": 5}, EVENT_LOGITS, Binary(), EVENTS),
    "residuals": (ResidualIntervals, {"alpha": 0.2}, MEANS, Gaussian(4.0), Y),
    "infinite": (ResidualIntervals, {"alpha": 0.001, "normalised": True}, BOTH, HeteroscedasticGaussian(), Y),
}
SCORED = [name for name, case in CASES.items() if case[0] not in (LeastAmbiguousSets, AdaptiveSets, ResidualIntervals)]


def predicted(name, draws=slice(None), **provenance):
    outputs, likelihood = CASES[name][2][draws], CASES[name][3]
    ran = Provenance(num_samples=len(outputs), seed=0, **provenance)
    return from_draws(torch.from_numpy(outputs), likelihood, keep_samples=True, provenance=ran)


def fitted(name):
    kind, options, _, _, targets = CASES[name]
    return kind.fit(predicted(name), targets, **options)


@pytest.mark.parametrize("name", SCORED)
def test_monte_carlo_errors_after_recalibration_are_the_literal_jackknife(name):
    """Each group of draws left out, what is left averaged, and that recalibrated with the same numbers."""
    recalibrator, targets = fitted(name), CASES[name][4]
    scores = [negative_log_likelihood, brier_score] if targets.dtype == np.int64 else [negative_log_likelihood, rmse]
    for score in scores if name != "cdf" else [rmse]:

        def estimate(draws, score=score):
            after = recalibrator._transformed(from_draws(torch.from_numpy(draws), CASES[name][3], keep_samples=True))
            return score(after if score is not rmse else after.mean, targets).value

        expected = reference.jackknife_error(CASES[name][2], reference.group_counts(20, 1), estimate)
        found = score(recalibrator(predicted(name)), targets)
        assert found.mc_error == pytest.approx(expected, rel=1e-5)
        assert found.mc_error > 0
        assert found.value == pytest.approx(estimate(CASES[name][2]))


@pytest.mark.parametrize("name", ["temperature", "isotonic", "isotonic of events"])
def test_monte_carlo_errors_of_recalibrated_probabilities_are_the_literal_jackknife(name):
    recalibrator = fitted(name)

    def estimate(draws, row, number):
        prediction = from_draws(torch.from_numpy(draws[:, row : row + 1]), CASES[name][3])
        return recalibrator._transformed(prediction).probs[0].flatten()[number].item()

    found = recalibrator(predicted(name)).mc_error
    for row, number in ((0, 0), (7, found[0].numel() - 1)):
        expected = reference.jackknife_error(
            CASES[name][2], reference.group_counts(20, 1), lambda draws, at=(row, number): estimate(draws, *at)
        )
        assert found[row].flatten()[number].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_file_gives_back_what_was_fitted(name, tmp_path):
    recalibrator = fitted(name)
    recalibrator.save(tmp_path / "recalibrator")
    for read in (Recalibrator.load(tmp_path / "recalibrator"), type(recalibrator).load(tmp_path / "recalibrator")):
        assert read == recalibrator
        assert read.to_dict() == recalibrator.to_dict()
    assert type(recalibrator).from_dict(json.loads(json.dumps(recalibrator.to_dict()))) == recalibrator
    assert list(tmp_path.iterdir()) == [tmp_path / "recalibrator"]
    replace(recalibrator, kind=replace(recalibrator.kind, seed=9)).save(tmp_path / "recalibrator")
    assert Recalibrator.load(tmp_path / "recalibrator").kind.seed == 9  # replaced


@pytest.mark.parametrize("name", CASES)
def test_predictions_of_another_kind_are_refused(name):
    with pytest.raises(InputError, match=r"num_samples=10 given, .* predict with num_samples=20"):
        fitted(name).transform(predicted(name, slice(10)))
    recalibrator = fitted(name)
    with pytest.raises(InputError, match=f"this {type(recalibrator).__name__} was fitted on one with seed=0"):
        recalibrator(replace(predicted(name), provenance=replace(predicted(name).provenance, seed=1)))


@pytest.mark.parametrize("name", CASES)
def test_rows_do_not_depend_on_each_other(name):
    if name == "adaptive":
        pytest.skip("its u is drawn row by row")
    whole, part = fitted(name)(predicted(name)), fitted(name)(predicted(name)[10:12])
    for field in ("probs", "members", "upper", "mean"):
        if hasattr(whole, field):
            torch.testing.assert_close(getattr(part, field), getattr(whole, field)[10:12], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_no_rows_and_other_numbers_of_targets_are_refused(name):
    kind, options, _, _, targets = CASES[name]
    with pytest.raises(InputError, match="0 rows given, a fit needs at least one"):
        kind.fit(predicted(name)[:0], targets[:0], **options)
    with pytest.raises(InputError, match=r"Targets of shape \(39.* given for predictions of 40 rows"):
        kind.fit(predicted(name), targets[1:], **options)


def test_predictions_that_cannot_be_recalibrated_so_are_refused():
    for kind, options in ((Temperature, {}), (Isotonic, {}), (LeastAmbiguousSets, {"alpha": 0.1})):
        with pytest.raises(InputError, match=r"is for classes and events. For numbers there are VarianceScaling"):
            kind.fit(predicted("precision"), Y, **options)
    for kind, options in ((VarianceScaling, {}), (CdfRecalibration, {}), (ResidualIntervals, {"alpha": 0.1})):
        with pytest.raises(InputError, match=r"is for numbers. For classes there are Temperature"):
            kind.fit(predicted("temperature"), LABELS, **options)
    counts = from_draws(torch.zeros(4, 3), Poisson())
    for kind in (VarianceScaling, CdfRecalibration):
        with pytest.raises(InputError, match=r"A prediction of counts given, .* For counts use ResidualIntervals"):
            kind.fit(counts, np.array([1, 2, 3]))


@pytest.mark.parametrize("score", [expected_calibration_error, smooth_calibration_error, aurc, auroc_of_error])
@pytest.mark.parametrize("name", ["temperature", "temperature of events", "temperature inside", "isotonic"])
def test_scores_of_classes_take_recalibrated_predictions(name, score):
    after = fitted(name)(predicted(name))
    found, of_array = score(after, CASES[name][4]), score(after.probs, CASES[name][4])
    assert found.value == pytest.approx(of_array.value)
    assert found.mc_error > 0


@pytest.mark.parametrize("name", ["variance scaling", "precision"])
def test_scores_of_numbers_take_recalibrated_predictions(name):
    after, y = fitted(name)(predicted(name))[:6], Y[:6]
    samples = torch.stack([after.quantile((at + 0.5) / 200) for at in range(200)])
    assert crps(after, y).value == pytest.approx(crps(samples, y).value, rel=2e-3)
    lower, upper = (bound.numpy() for bound in after.interval(0.8))
    assert interval_coverage(after, y, coverage=0.8).value == pytest.approx(((y >= lower) & (y <= upper)).mean())


def test_recalibrators_compose_and_remember_their_order():
    prediction = predicted("variance scaling")
    scaling = VarianceScaling.fit(prediction, Y)
    cdf = CdfRecalibration.fit(scaling(prediction), Y)
    intervals = ResidualIntervals.fit(cdf(scaling(prediction)), Y, alpha=0.2, normalised=True)
    both = cdf(scaling(prediction))
    assert [step.split()[0] for step in both.provenance.recalibrated.split("; ")] == [
        "VarianceScaling",
        "CdfRecalibration",
    ]
    assert intervals(both).lower.shape == (40, 2)
    with pytest.raises(InputError, match="recalibrated by nothing given, and this CdfRecalibration was fitted"):
        cdf(prediction)
    with pytest.raises(InputError, match=r"by VarianceScaling \w+ given, and this VarianceScaling .* by nothing"):
        scaling(scaling(prediction))
    other = VarianceScaling.fit(prediction[:20], Y[:20])
    with pytest.raises(InputError, match="apply the same recalibrators in the same order before it"):
        cdf(other(prediction))


@pytest.mark.parametrize("name", ["temperature", "isotonic of events", "temperature inside", "precision"])
def test_recalibrated_predictions_are_stored_like_others(name, tmp_path):
    after = fitted(name)(predicted(name))
    torch.testing.assert_close(concatenate([after[:7], after[7:]]).mc_error, after.mc_error, rtol=0, atol=0)
    after.save(tmp_path / "prediction")
    read = load(tmp_path / "prediction")
    score, targets = negative_log_likelihood, CASES[name][4]
    assert score(read, targets) == score(after, targets)
    assert read.provenance == after.provenance


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no recalibrator of mcdrop"),
        ("[1]", "holds no recalibrator of mcdrop"),
        ('{"format": "else"}', "its format is else"),
        ('{"format": "mcdrop.recalibrator", "version": 9, "class": "A", "fields": {}}', "format version 9"),
        ('{"format": "mcdrop.recalibrator", "version": 1, "class": "A", "fields": {}}', "holds a A, and a Recal"),
        (
            '{"format": "mcdrop.recalibrator", "version": 1, "class": "Isotonic", "fields": {}}',
            "Not the fields of",
        ),
        ('{"format": "mcdrop.recalibrator", "version": 1, "class": "Isotonic", "fields": 3}', "holds no recalibrator"),
    ],
)
def test_other_files_are_refused(text, words, tmp_path):
    (tmp_path / "file").write_text(text)
    with pytest.raises(InputError, match=words):
        Recalibrator.load(tmp_path / "file")


def test_a_file_of_another_recalibrator_is_refused_and_a_missing_one_missed(tmp_path):
    fitted("isotonic").save(tmp_path / "file")
    with pytest.raises(InputError, match=r"holds a Isotonic, and a Temperature was asked for: use Isotonic.load"):
        Temperature.load(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        Temperature.load(tmp_path / "nothing")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    fitted("isotonic").save(tmp_path / "file")
    before = (tmp_path / "file").read_text()

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        fitted("temperature").save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]

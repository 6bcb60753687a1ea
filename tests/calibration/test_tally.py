import numpy as np
import pytest
import torch

from mcdrop.calibration import (
    Isotonic,
    StreamedLogDensity,
    Tally,
    accuracy,
    brier_score,
    negative_log_likelihood,
    rmse,
)
from mcdrop.errors import InputError
from mcdrop.prediction import (
    Binary,
    Categorical,
    Gaussian,
    HeteroscedasticGaussian,
    Identity,
    Poisson,
    Provenance,
    from_draws,
)

RNG = np.random.default_rng(0)
DRAWS = torch.from_numpy(RNG.normal(size=(20, 30, 4)))
LABELS = torch.from_numpy(RNG.integers(2, size=30))
FUNCTIONS = {f.__name__: f for f in (accuracy, brier_score, negative_log_likelihood, rmse)}
OF_CLASSES, OF_NUMBERS = ["accuracy", "negative_log_likelihood", "brier_score"], ["negative_log_likelihood", "rmse"]


@pytest.mark.parametrize(
    ("likelihood", "draws", "targets", "names"),
    [
        (Categorical(), DRAWS, LABELS, OF_CLASSES),
        (Binary(), DRAWS[..., 0], LABELS, OF_CLASSES),
        (Gaussian(2.0), DRAWS, DRAWS[3], OF_NUMBERS),
        (HeteroscedasticGaussian(), DRAWS, DRAWS[3, :, :2], OF_NUMBERS),
        (Poisson(), DRAWS[..., 0], LABELS, OF_NUMBERS),
    ],
)
@pytest.mark.parametrize("batch", [1, 7, 30])
def test_batches_give_the_scores_of_the_whole(likelihood, draws, targets, names, batch):
    tally = Tally.of(likelihood)
    for rows in torch.arange(30).split(batch):
        tally = tally.update(from_draws(draws[:, rows], likelihood), targets[rows])
    whole = from_draws(draws, likelihood)
    assert list(tally.scores()) == names
    assert not tally.needs_samples
    assert tally.needs_log_density == (names == OF_NUMBERS)
    for name, score in tally.scores().items():
        expected = FUNCTIONS[name](whole, targets)
        for part in ("value", "standard_error", "mc_error"):
            assert getattr(score, part) == pytest.approx(getattr(expected, part), rel=1e-9), name


@pytest.mark.parametrize("chunk", [1, 6, 20])
def test_a_density_that_was_summed_up_draw_by_draw_stands_for_the_samples(chunk):
    likelihood, y = Gaussian(2.0), DRAWS[3]
    tally = Tally.of(likelihood)
    for rows in torch.arange(30).split(7):
        density = StreamedLogDensity.init(likelihood, y[rows])
        for part in DRAWS[:, rows].split(chunk):
            density = density.update(part)
        tally = tally.update(from_draws(DRAWS[:, rows], likelihood, keep_samples=False), y[rows], density)
    expected = negative_log_likelihood(from_draws(DRAWS, likelihood), y)
    for part in ("value", "standard_error", "mc_error"):
        assert getattr(tally.scores()["negative_log_likelihood"], part) == pytest.approx(getattr(expected, part))


def test_a_density_of_other_draws_is_refused():
    density = StreamedLogDensity.init(Gaussian(2.0), DRAWS[3]).update(DRAWS[:5])
    with pytest.raises(InputError, match=r"draws in groups of \(1, 1, 1, 1, 1\) given for a prediction of groups"):
        Tally.of(Gaussian(2.0)).update(from_draws(DRAWS, Gaussian(2.0), keep_samples=False), DRAWS[3], density)


def test_scores_that_need_every_draw_say_so():
    assert Tally.of(Gaussian(2.0), ["rmse", "crps"]).needs_samples
    assert not Tally.of(Gaussian(2.0), ["rmse"]).needs_log_density


def test_batches_must_share_draws_and_likelihood():
    tally = Tally.of(Categorical()).update(from_draws(DRAWS, Categorical()), LABELS)
    with pytest.raises(InputError, match=r"draws in groups of \(1, 1\) given after groups of \(2, 2,"):
        tally.update(from_draws(DRAWS[:2], Categorical()), LABELS)
    with pytest.raises(InputError, match=r"A prediction of Binary.* given to a tally of Categorical"):
        tally.update(from_draws(DRAWS[..., 0], Binary()), LABELS)
    with pytest.raises(InputError, match="0 rows given, a score needs at least one"):
        Tally.of(Categorical()).scores()


def test_scores_by_name_share_what_they_are_made_of():
    names = ["aurc", "rmse_is_none", "accuracy"]
    with pytest.raises(InputError, match=r"asked of Categorical.*which has accuracy, .*aurc.*; not among them: rmse_"):
        Tally.of(Categorical(), names)
    tally = Tally.of(Categorical(), ["aurc", "accuracy", "smooth_calibration_error", "aurc"])
    assert len(tally.streams) == 2
    scores = tally.update(from_draws(DRAWS, Categorical()), LABELS).scores()
    assert list(scores) == ["aurc", "accuracy", "smooth_calibration_error"]


def test_names_that_do_not_fit(without_type_checks):
    for scores, match in (
        ([], "expected at least one"),
        ("aurc", r"scores='aurc' given; expected a sequence of names, such as \['aurc'\]"),
        (["rmse"], "which has accuracy, .*; not among them: rmse"),
    ):
        with pytest.raises(InputError, match=match):
            Tally.of(Categorical(), scores)
    with pytest.raises(InputError, match=r"asked of Identity\(\), which has no scores"):
        Tally.of(Identity())


def test_batches_of_another_seed_or_recalibrated_are_refused():
    logits = torch.randn(8, 5, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0, 1])
    first, second = (from_draws(logits, Categorical(), provenance=Provenance(8, seed=seed)) for seed in (0, 1))
    tally = Tally.of(Categorical()).update(first, labels)
    assert tally.update(first[:2], labels[:2]).scores()["accuracy"].value <= 1  # other rows of the same draws
    with pytest.raises(InputError, match=r"A prediction with seed=1 after 0 given: all batches of a data set must"):
        tally.update(second, labels)
    with pytest.raises(InputError, match=r"A prediction with recalibrated='Isotonic .*' after '' given"):
        tally.update(Isotonic.fit(first, labels)(first), labels)


def test_batches_of_images_may_differ_in_size():
    tally = Tally.of(Gaussian(1.0), ["rmse"])
    for side in (2, 3):
        tally = tally.update(from_draws(torch.ones(4, 5, side, side), Gaussian(1.0)), torch.zeros(5, side, side))
    assert tally.scores()["rmse"].value == 1

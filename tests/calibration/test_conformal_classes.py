import numpy as np
import pytest
import torch
from scipy import stats

from mcdrop.calibration import AdaptiveSets, LeastAmbiguousSets
from mcdrop.calibration.conformal_classes import _shares
from mcdrop.errors import InputError
from mcdrop.prediction import Binary, Categorical, from_draws

FITS = {
    "least ambiguous": lambda p, labels, alpha, seed=0: LeastAmbiguousSets.fit(p, labels, alpha=alpha),
    "adaptive, randomised": lambda p, labels, alpha, seed=0: AdaptiveSets.fit(p, labels, alpha=alpha, seed=seed),
    "adaptive": lambda p, labels, alpha, seed=0: AdaptiveSets.fit(p, labels, alpha=alpha, randomised=False),
}


def predicted(probs):
    return from_draws(torch.as_tensor(probs, dtype=torch.float64)[None], Categorical(probs=True))


def exchangeable(rows, classes=4, seed=0):
    """Probabilities of a model that is too unsure, and labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, size=(rows, classes))
    labels = (3 * logits + rng.gumbel(size=(rows, classes))).argmax(axis=1)
    return predicted(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)), labels


@pytest.mark.parametrize("name", FITS)
def test_coverage_over_repetitions_follows_its_beta_binomial_law(name):
    """500 repetitions of 24 held-out and 20 new rows: hits of 20 are beta-binomial with k and n + 1 - k, exactly."""
    n, new, repetitions, alpha = 24, 20, 500, 0.2
    whole, labels = exchangeable(repetitions * (n + new), seed=1)
    hits = []
    for start in range(0, repetitions * (n + new), n + new):
        held_out, test = slice(start, start + n), slice(start + n, start + n + new)
        sets = FITS[name](whole[held_out], labels[held_out], alpha, seed=start)(whole[test])
        hits.append(round(sets.coverage(labels[test]).value * new))
    k = 20  # ceil(25 * 0.8)
    law = stats.betabinom(new, k, n + 1 - k)
    edges = [-1, 12, 14, 15, 16, 17, 18, 19, 20]
    observed = np.histogram(hits, bins=np.array(edges) + 0.5)[0]
    expected = repetitions * np.diff(law.cdf(edges))
    assert expected.min() > 15
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def test_least_ambiguous_sets_by_hand():
    """1 - p_y of held-out rows: .1 .3 .4 .8; alpha .4 takes k = 3 of 4, so .4."""
    held_out = predicted([[0.9, 0.05, 0.05], [0.7, 0.2, 0.1], [0.4, 0.6, 0.0], [0.8, 0.0, 0.2]])
    sets = LeastAmbiguousSets.fit(held_out, np.array([0, 0, 1, 2]), alpha=0.4)
    assert sets.threshold == pytest.approx(0.4)
    found = sets(predicted([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0], [0.61, 0.39, 0.0]]))
    assert found.members.tolist() == [[True, False, False], [False] * 3, [True, False, False]]
    assert found.sizes.tolist() == [1, 0, 1]


def test_adaptive_sets_by_hand():
    """Sums up to the label: .9, .9, 1.0, .75; alpha .4 takes k = 3 of 4, so .9."""
    held_out = predicted([[0.9, 0.06, 0.04], [0.3, 0.6, 0.1], [0.5, 0.25, 0.25], [0.75, 0.125, 0.125]])
    sets = AdaptiveSets.fit(held_out, np.array([0, 0, 2, 0]), alpha=0.4, randomised=False)
    assert sets.threshold == pytest.approx(0.9)
    found = sets(predicted([[0.25, 0.5, 0.25], [0.1, 0.2, 0.7], [0.95, 0.05, 0.0], [1 / 3] * 3]))
    assert found.members.tolist() == [
        [True, True, False],  # .5, .75 with the first of two equal ones, 1
        [False, True, True],
        [False] * 3,
        [True, True, False],
    ]


def test_randomised_sums_count_a_share_of_the_class_itself():
    held_out, labels = exchangeable(300)
    one = AdaptiveSets.fit(held_out, labels, alpha=0.1, seed=3)
    again, other = (AdaptiveSets.fit(held_out, labels, alpha=0.1, seed=seed) for seed in (3, 4))
    whole = AdaptiveSets.fit(held_out, labels, alpha=0.1, randomised=False)
    assert one == again
    assert one.threshold != other.threshold
    assert one.threshold < whole.threshold
    test, _ = exchangeable(500, seed=2)
    assert torch.equal(one(test).members, again(test).members)
    assert one(test).sizes.double().mean() < whole(test).sizes.double().mean()
    # each class in its set with the probability that u gives it: (threshold - sum before) / p
    probs, places = test.probs[0].sort(descending=True)
    before = probs.cumsum(0) - probs
    expected = ((one.threshold - before) / probs).clamp(0, 1)
    many = predicted(test.probs[:1].expand(20000, -1))
    shares = one(many).members.double().mean(dim=0)[places]
    error = (expected * (1 - expected) / 20000).sqrt()
    assert ((shares - expected).abs() <= 4 * error + 1e-12).all()


def test_new_rows_do_not_reuse_the_held_out_rows_numbers():
    """Had they the same u, the held-out rows themselves would be covered exactly k times of n."""
    held_out, labels = exchangeable(200)
    counts = {
        round(AdaptiveSets.fit(held_out, labels, alpha=0.1, seed=seed)(held_out).coverage(labels).value * 200)
        for seed in range(8)
    }
    assert len(counts) > 1


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_are_predicted_one_by_one_are_covered_as_stated(seed):
    """Had they one u, they were covered with another probability for each seed: .57 to .92 here."""
    held_out, labels = exchangeable(1000, classes=3)
    sets = AdaptiveSets.fit(held_out, labels, alpha=0.2, seed=seed)
    test, of_test = exchangeable(400, classes=3, seed=5)
    hits = [float(sets(row).members[0, label]) for row, label in zip(test, of_test, strict=True)]
    error = (0.8 * 0.2 * (1 / 400 + 1 / 1000)) ** 0.5
    assert np.mean(hits) == pytest.approx(0.8, abs=4 * error)


def test_numbers_of_rows_one_by_one_are_uniform_and_say_nothing_about_the_row():
    probs = exchangeable(4000)[0].probs
    shares = torch.cat([_shares(row[None], [0, 1]) for row in probs])[:, 0].numpy()
    assert stats.kstest(shares, "uniform").pvalue > 1e-3
    assert abs(stats.spearmanr(shares, probs[:, 0].numpy()).statistic) < 4 / 4000**0.5


@pytest.mark.parametrize("name", FITS)
def test_too_few_rows_give_all_classes(name):
    held_out, labels = exchangeable(5)
    sets = FITS[name](held_out, labels, 0.1)
    assert sets.threshold == np.inf
    assert sets(held_out).members.all()


@pytest.mark.parametrize("name", FITS)
def test_constant_predictions_and_a_class_never_seen_are_covered_as_stated(name):
    held_out = predicted([[0.5, 0.3, 0.2]] * 99)
    sets = FITS[name](held_out, np.array([0] * 80 + [1] * 19), 0.1)(held_out)
    assert sets.coverage(np.array([0] * 80 + [1] * 19)).value >= 0.85
    if name != "adaptive, randomised":
        assert sets.members.tolist() == [[True, True, False]] * 99


@pytest.mark.parametrize("shape", [(60,), (60, 1)])
def test_events_have_sets_of_no_and_yes(shape):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, size=shape)
    happened = (rng.random(shape) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    prediction = from_draws(torch.from_numpy(logits)[None], Binary())
    for fit in FITS.values():
        sets = fit(prediction, happened, 0.2)(prediction)
        assert sets.members.shape == (60, 2)
        assert sets.coverage(happened).value >= 0.7
        assert sets.coverage(happened == 1) == sets.coverage(happened)


def test_pixels_are_refused():
    images = from_draws(torch.zeros(2, 3, 4, 5), Categorical(class_dim=1))
    for fit in FITS.values():
        with pytest.raises(InputError, match="is for one label a row: pixels or tokens of a row are not exchangeable"):
            fit(images, np.zeros((3, 5), dtype=np.int64), 0.1)
    for shape in ((3, 4), (3, 2, 1)):
        with pytest.raises(InputError, match="is for one label a row"):
            LeastAmbiguousSets.fit(from_draws(torch.zeros(2, *shape), Binary()), np.zeros(shape), alpha=0.1)


@pytest.mark.parametrize("seed", [-1, True, 0.5])
def test_a_seed_is_a_whole_number(seed, without_type_checks):
    with pytest.raises(InputError, match=f"seed={seed} given, expected an integer >= 0"):
        AdaptiveSets.fit(*exchangeable(5), alpha=0.1, seed=seed)


def test_labels_beyond_the_classes_are_refused():
    prediction, labels = exchangeable(5)
    for fit in FITS.values():
        with pytest.raises(InputError, match="labels of 4 classes go from 0 to 3"):
            fit(prediction, labels + 4, 0.1)

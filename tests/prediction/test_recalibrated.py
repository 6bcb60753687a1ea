import numpy as np
import pytest
import torch
from scipy import integrate, stats

from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Gaussian, HeteroscedasticGaussian, concatenate, from_draws, load
from mcdrop.prediction.laws import CdfMap, Stretch, columns
from mcdrop.prediction.recalibrated import recalibrated, without_groups

RNG = np.random.default_rng(0)
MEANS = RNG.normal(0, 1, size=(12, 6, 2))
STDS = RNG.uniform(0.3, 1, size=(12, 6, 2))
Y = RNG.normal(0, 1, size=(6, 2))
MAP = CdfMap(((0.0, 0.2, 1.0), (0.0, 0.5, 0.9, 1.0)), ((0.0, 0.4, 1.0), (0.0, 0.1, 0.5, 1.0)))
STRETCH = Stretch((2.0, 0.5))


def drawn(rows=slice(None)):
    outputs = (torch.from_numpy(MEANS[:, rows]), torch.from_numpy(STDS[:, rows]))
    return from_draws(outputs, HeteroscedasticGaussian("std"))


def changed(*laws, rows=slice(None)):
    prediction = drawn(rows)
    return recalibrated(prediction, laws, prediction.provenance)


def mixture_cdf(y, row, output):
    return stats.norm.cdf(y, MEANS[:, row, output], STDS[:, row, output]).mean()


def test_a_stretched_mixture_is_the_mixture_of_stretched_components():
    """Components N(m + s (m_t - m), s^2 v_t), written out."""
    s, mean = np.array([2.0, 0.5]), MEANS.mean(axis=0)
    outputs = (torch.from_numpy(mean + s * (MEANS - mean)), torch.from_numpy(s * STDS))
    expected = from_draws(outputs, HeteroscedasticGaussian("std"))
    found = changed(STRETCH)
    for name in ("epistemic", "aleatoric", "variance", "std"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.log_prob(Y), expected.log_prob(Y))
    torch.testing.assert_close(found.cdf(Y), expected.cdf(Y))
    torch.testing.assert_close(found.interval(0.9), expected.interval(0.9))


def test_a_stretch_keeps_the_mean_and_so_its_monte_carlo_error():
    torch.testing.assert_close(changed(STRETCH).mean, drawn().mean, rtol=0, atol=0)
    torch.testing.assert_close(changed(STRETCH).mc_error, drawn().mc_error, rtol=0, atol=0)


def test_a_map_acts_on_the_cumulative_distribution_of_each_output():
    found = changed(MAP).cdf(Y)
    for row in range(6):
        for output in range(2):
            expected = np.interp(mixture_cdf(Y[row, output], row, output), MAP.inputs[output], MAP.outputs[output])
            assert found[row, output].item() == pytest.approx(expected)


@pytest.mark.parametrize("q", [1e-6, 0.05, 0.4, 0.75, 0.999])
def test_quantiles_invert_the_cumulative_distribution(q):
    for laws in ((MAP,), (STRETCH,), (STRETCH, MAP), (MAP, STRETCH)):
        prediction = changed(*laws)
        quantile = prediction.quantile(q)
        np.testing.assert_allclose(prediction.cdf(quantile), q, rtol=1e-6)


def test_mean_and_variance_of_a_map_are_the_integrals():
    found = changed(MAP)
    for row, output in ((0, 0), (3, 1)):
        knots = MAP.inputs[output], MAP.outputs[output]

        def cdf(y, row=row, output=output, knots=knots):
            return np.interp(mixture_cdf(y, row, output), *knots)

        def survival(y, cdf=cdf):
            return 1 - cdf(y)

        options = {"limit": 500, "epsabs": 1e-9}
        mean = integrate.quad(survival, 0, 12, **options)[0] - integrate.quad(cdf, -12, 0, **options)[0]
        square = 2 * integrate.quad(lambda y: y * survival(y), 0, 12, **options)[0]
        square -= 2 * integrate.quad(lambda y: y * cdf(y), -12, 0, **options)[0]
        std = (square - mean**2) ** 0.5
        assert abs(found.mean[row, output].item() - mean) < 1e-3 * std
        assert found.std[row, output].item() == pytest.approx(std, rel=1e-3)


def test_the_identity_map_changes_nothing():
    prediction = changed(CdfMap(((0.0, 1.0),) * 2, ((0.0, 1.0),) * 2))
    torch.testing.assert_close(prediction.cdf(Y), drawn().cdf(Y))
    torch.testing.assert_close(prediction.quantile(0.3), drawn().quantile(0.3), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(prediction.mean, drawn().mean, atol=1e-3)
    # the mixture itself, of divisor T
    exact = MEANS.var(axis=0) + (STDS**2).mean(axis=0)
    np.testing.assert_allclose(prediction.variance, exact, rtol=2e-3)


def test_a_map_far_beyond_the_mass_of_the_prediction_has_finite_quantiles():
    """Held-out values at F = 1e-30: R gives a third of the mass to what lies there."""
    prediction = from_draws(torch.zeros(1, 1), Gaussian(1.0))
    steep = CdfMap(((0.0, 1e-30, 1.0),), ((0.0, 1 / 3, 1.0),))
    found = recalibrated(prediction, (steep,), prediction.provenance)
    assert found.quantile(1 / 3).item() == pytest.approx(stats.norm.ppf(1e-30), rel=1e-6)
    assert found.quantile(0.1).isfinite().all()
    assert stats.norm.ppf(1e-33) < found.mean.item() < 0


def test_the_order_of_changes_counts():
    one, other = changed(STRETCH, MAP), changed(MAP, STRETCH)
    expected = [
        np.interp(changed(STRETCH).cdf(Y)[:, output], MAP.inputs[output], MAP.outputs[output]) for output in range(2)
    ]
    np.testing.assert_allclose(one.cdf(Y), np.stack(expected, axis=1))
    assert not torch.allclose(one.cdf(Y), other.cdf(Y))
    unstretched = changed(MAP).mean + (torch.from_numpy(Y) - changed(MAP).mean) / torch.tensor([2.0, 0.5])
    torch.testing.assert_close(other.cdf(Y), changed(MAP).cdf(unstretched))


def test_what_a_map_does_not_have_is_refused_in_words():
    with pytest.raises(UnavailableError, match=r"would be that of the gaps .* VarianceScaling or Precision"):
        changed(MAP).log_prob(Y)
    for name in ("epistemic", "aleatoric", "mc_error"):
        with pytest.raises(UnavailableError, match=f"{name} of a prediction whose cumulative distribution was"):
            getattr(changed(MAP), name)
    with pytest.raises(InputError, match=r"coverage=1.5 given"):
        changed(MAP).interval(1.5)
    with pytest.raises(InputError, match=r"Targets of shape \(6, 3\) given, predictions need \(6, 2\)"):
        changed(STRETCH).cdf(np.zeros((6, 3)))


@pytest.mark.parametrize("laws", [(STRETCH,), (MAP,), (STRETCH, MAP)])
def test_rows_are_taken_joined_saved_and_moved_as_of_any_prediction(laws, tmp_path):
    prediction = changed(*laws)
    torch.testing.assert_close(prediction[2:4].cdf(Y[2:4]), prediction.cdf(Y)[2:4])
    joined = concatenate([prediction[:3], prediction[3:]])
    torch.testing.assert_close(joined.quantile(0.2), prediction.quantile(0.2))
    prediction.save(tmp_path / "prediction")
    read = load(tmp_path / "prediction")
    assert read.laws == laws
    torch.testing.assert_close(read.cdf(Y), prediction.cdf(Y), rtol=0, atol=0)
    torch.testing.assert_close(prediction.to(torch.float32).cdf(Y), prediction.cdf(Y), rtol=1e-5, atol=1e-6)
    assert "RecalibratedPrediction: 6 rows, T=12" in repr(prediction)
    assert set(prediction.numpy()) >= {"mean", "variance", "std"}


def test_without_groups_are_the_predictions_of_the_other_draws():
    found = list(without_groups(changed(STRETCH, MAP)))
    assert len(found) == 12  # groups of one draw
    for t, prediction in enumerate(found):
        outputs = tuple(torch.from_numpy(np.delete(part, t, axis=0)) for part in (MEANS, STDS))
        rest = from_draws(outputs, HeteroscedasticGaussian("std"))
        expected = recalibrated(rest, (STRETCH, MAP), rest.provenance)
        torch.testing.assert_close(prediction.cdf(Y), expected.cdf(Y))
        assert prediction.num_samples == 11


def test_one_group_has_none_without_it():
    prediction = from_draws(torch.zeros(3, 2), Gaussian(1.0), block_size=3)
    assert list(without_groups(recalibrated(prediction, (Stretch((2.0,)),), prediction.provenance))) == []


def test_without_samples_the_draws_are_missed():
    prediction = from_draws(torch.zeros(3, 2), Gaussian(1.0), keep_samples=False)
    with pytest.raises(UnavailableError, match="keep_samples=True"):
        list(without_groups(recalibrated(prediction, (Stretch((2.0,)),), prediction.provenance)))


def test_columns_share_a_law():
    values = torch.arange(24.0)
    assert columns(values.reshape(4, 3, 2)).shape == (24, 1)
    torch.testing.assert_close(columns(values.reshape(4, 6)), values.reshape(4, 6))
    assert columns(values).shape == (24, 1)

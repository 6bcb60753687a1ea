import numpy as np
import pytest
import torch
from scipy import special, stats

from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Gaussian, HeteroscedasticGaussian, Poisson, from_draws, result
from tests import reference

DRAWS = torch.from_numpy(np.random.default_rng(0).normal(2, 1, size=(10, 6, 4)))
Y = np.random.default_rng(1).normal(2, 1, size=(6, 4))


@pytest.mark.parametrize("block_size", [1, 3])
def test_moments_against_the_reference(block_size):
    draws = DRAWS.numpy()
    prediction = from_draws(DRAWS, Gaussian(4.0), block_size=block_size)
    np.testing.assert_allclose(prediction.mean, draws.mean(axis=0))
    np.testing.assert_allclose(prediction.epistemic, reference.variance(draws, block_size))
    np.testing.assert_allclose(prediction.mc_error, reference.mc_error(draws, block_size))
    assert (prediction.aleatoric == 0.25).all()
    assert torch.equal(prediction.variance, prediction.epistemic + prediction.aleatoric)
    assert torch.equal(prediction.std, prediction.variance.sqrt())


def test_heteroscedastic_noise_is_averaged():
    prediction = from_draws(DRAWS, HeteroscedasticGaussian())
    np.testing.assert_allclose(prediction.mean, DRAWS[..., :2].mean(dim=0))
    np.testing.assert_allclose(prediction.aleatoric, DRAWS[..., 2:].exp().mean(dim=0))
    assert prediction.samples.shape == (10, 6, 4)


def test_log_prob_is_the_mixture_of_equation_8():
    log_densities = stats.norm.logpdf(Y, DRAWS, 0.5)
    prediction = from_draws(DRAWS, Gaussian(4.0))
    np.testing.assert_allclose(prediction.log_prob(Y), special.logsumexp(log_densities, axis=0, b=0.1), rtol=1e-12)
    by_hand = [reference.normal_log_density(Y[0, 0], mean, 0.25) for mean in DRAWS[:, 0, 0].tolist()]
    assert prediction.log_prob(Y)[0, 0].item() == pytest.approx(reference.log_mean_exp(by_hand), rel=1e-12)


def test_intervals_invert_the_cdf_of_the_mixture():
    prediction = from_draws(DRAWS, Gaussian((4.0, 1.0, 100.0, 1e4)))
    lower, upper = prediction.interval(0.8)
    np.testing.assert_allclose(prediction.cdf(lower), 0.1, atol=1e-9)
    np.testing.assert_allclose(prediction.cdf(upper), 0.9, atol=1e-9)
    torch.testing.assert_close(prediction.quantile(0.1), lower)


def test_an_interval_of_the_mixture_is_not_that_of_its_moments():
    two_peaks = from_draws(torch.tensor([[-10.0], [10.0]]), Gaussian(1.0))
    lower, upper = two_peaks.interval(0.5)
    # quartiles of the mixture are the medians of the peaks; the normal of equal moments says +-9.6
    np.testing.assert_allclose([lower.item(), upper.item()], [-10, 10], atol=1e-6)


def test_intervals_in_pieces_of_rows(monkeypatch):
    whole = from_draws(DRAWS, HeteroscedasticGaussian()).quantile(0.3)
    assert list(result.row_pieces(6, 2**20)) == [slice(0, 4), slice(4, 8)]
    monkeypatch.setattr("mcdrop.prediction.regression.row_pieces", lambda *_: [slice(0, 1), slice(1, 4), slice(4, 6)])
    torch.testing.assert_close(from_draws(DRAWS, HeteroscedasticGaussian()).quantile(0.3), whole)


def test_the_interval_holds_what_it_promises():
    """The coverage of y drawn from the mixture itself, within 4 standard errors of a binomial."""
    rows = 20_000
    generator = torch.Generator().manual_seed(0)
    prediction = from_draws(3 * torch.randn(8, rows, generator=generator), Gaussian(1.0))
    chosen = torch.randint(8, (rows,), generator=generator)
    y = prediction.samples[chosen, torch.arange(rows)] + torch.randn(rows, generator=generator)
    lower, upper = prediction.interval(0.9)
    covered = ((lower <= y) & (y <= upper)).double().mean()
    assert abs(covered - 0.9) < 4 * (0.9 * 0.1 / rows) ** 0.5
    pit = prediction.cdf(y)
    assert stats.kstest(pit, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_results_are_float64(dtype):
    prediction = from_draws(DRAWS.to(dtype), Gaussian(4.0))
    for tensor in (prediction.mean, prediction.variance, prediction.log_prob(Y), *prediction.interval(0.5)):
        assert tensor.dtype == torch.float64
    assert prediction.samples.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_one_draw_is_a_mixture_of_one():
    prediction = from_draws(DRAWS[:1], Gaussian(4.0))
    lower, _ = prediction.interval(0.95)
    np.testing.assert_allclose(lower, DRAWS[0] - 1.959963984540054 / 2, rtol=1e-9)
    np.testing.assert_allclose(prediction.log_prob(Y), stats.norm.logpdf(Y, DRAWS[0], 0.5))
    for name in ("epistemic", "variance", "std", "mc_error"):
        with pytest.raises(UnavailableError, match=r"1 draw given.*num_samples>=2"):
            getattr(prediction, name)


def test_without_samples_nothing_is_substituted():
    for likelihood in (Gaussian(1.0), HeteroscedasticGaussian(), Poisson()):
        prediction = from_draws(DRAWS, likelihood, keep_samples=False)
        assert prediction.samples is None
        assert prediction.variance.shape[0] == 6
        y = np.ones(tuple(prediction.mean.shape))
        for asked in (
            lambda p, y=y: p.log_prob(y),
            lambda p, y=y: p.cdf(y),
            lambda p: p.interval(0.5),
            lambda p: p.quantile(0.5),
        ):
            with pytest.raises(UnavailableError, match=r"needs every draw.*keep_samples=True"):
                asked(prediction)


@pytest.mark.parametrize("coverage", [0.0, 1.0, -0.5, 95.0])
def test_coverage_is_a_share(coverage):
    with pytest.raises(InputError, match=f"coverage={coverage} given, it is the share inside: between 0 and 1"):
        from_draws(DRAWS, Gaussian(1.0)).interval(coverage)


def test_columns_and_vectors_of_targets():
    prediction = from_draws(DRAWS[..., :1], Gaussian(1.0))
    torch.testing.assert_close(prediction.log_prob(Y[:, 0]), prediction.log_prob(Y[:, :1]))
    with pytest.raises(InputError, match=r"Targets of shape \(6, 4\) given, predictions need \(6, 1\)"):
        prediction.log_prob(Y)


def test_gradients_flow_to_the_outputs():
    draws = DRAWS[:4, :2].clone().requires_grad_()

    def statistics(draws):
        prediction = from_draws(draws, HeteroscedasticGaussian())
        return prediction.variance, prediction.log_prob(Y[:2, :2]), prediction.cdf(Y[:2, :2])

    torch.autograd.gradcheck(statistics, draws)
    assert not from_draws(draws, HeteroscedasticGaussian()).quantile(0.5).requires_grad


def test_no_rows():
    prediction = from_draws(DRAWS[:, :0], Gaussian(1.0))
    assert prediction.interval(0.5)[0].shape == (0, 4)

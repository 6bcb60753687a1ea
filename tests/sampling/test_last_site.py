import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mcdrop
from mcdrop.errors import InputError, UnavailableError
from mcdrop.noise import used_probability
from mcdrop.posterior import Stratified
from mcdrop.sampling.enumerated import forest
from mcdrop.sampling.last_site import closed_head
from tests.networks import MLP, Encoder, trained_looking


class Small(nn.Module):
    """2-4-5-3 with dropout on the first hidden layer, or not, and on the second; what follows is `head`."""

    def __init__(self, head: nn.Module, first: float = 0.3, last: float = 0.4) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(2, 4), nn.Linear(4, 5), head
        self.first, self.last = nn.Dropout(first), nn.Dropout(last)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.b(self.first(self.a(x).tanh())).tanh()))


class Convolution(nn.Module):
    """Whole channels dropped, then a convolution that is the output: the mask is shared within a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.last = nn.Dropout2d(0.3), nn.Conv2d(3, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(x))


X = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
HEAD_ONLY = {
    "linear": (lambda: Small(nn.Linear(5, 3), first=0.0), X),
    "two linear maps": (lambda: Small(nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 3)), first=0.0), X),
    "whole channels": (Convolution, torch.randn(3, 3, 4, 4, dtype=torch.float64)),
    "alpha": (lambda: nn.Sequential(nn.Linear(2, 5), nn.SELU(), nn.AlphaDropout(0.2), nn.Linear(5, 3)), X),
    "tokens": (lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 3)), X[:2].unsqueeze(1).repeat(1, 3, 1)),
}


@pytest.mark.parametrize("name", HEAD_ONLY)
def test_head_only_dropout_is_exact(name: str) -> None:
    make, x = HEAD_ONLY[name]
    model = trained_looking(make())
    exact, trees = closed_head(model, x, likelihood=mcdrop.Identity()), forest(model, x)
    assert exact.num_samples == 1
    torch.testing.assert_close(exact.mean, trees.mean)
    torch.testing.assert_close(exact.epistemic, trees.variance)
    assert (exact.mc_error == 0).all()
    assert (exact.epistemic > 0).any()


def test_the_formula_of_a_linear_layer() -> None:
    """p / (1 - p) sum_j W_ij^2 h_j^2, written out."""
    model = trained_looking(Small(nn.Linear(5, 3), first=0.0))
    p = used_probability(0.4)
    with torch.no_grad():
        h = model.b(model.a(X).tanh()).tanh()
        expected = p / (1 - p) * h.square() @ model.head.weight.square().T
    torch.testing.assert_close(closed_head(model, X, likelihood=mcdrop.Identity()).epistemic, expected)


@pytest.mark.parametrize("design", [mcdrop.Independent(), Stratified(20)], ids=repr)
def test_two_sites_agree_with_enumeration(design) -> None:
    """Within four standard errors of the draws of the first site, and nearer than plain Monte Carlo."""
    model, T = trained_looking(Small(nn.Linear(5, 3))), 2000
    trees = forest(model, X)
    closed = closed_head(model, X, likelihood=mcdrop.Identity(), num_samples=T, design=design)
    plain = mcdrop.predict(model, X, likelihood=mcdrop.Identity(), num_samples=T, seed=0, design=design)
    assert ((closed.mean - trees.mean).abs() <= 4 * closed.mc_error + 1e-12).all()
    assert (closed.mc_error < plain.mc_error).all()
    squared = ((closed.epistemic - trees.variance) / trees.variance).square().mean()
    assert squared < ((plain.epistemic - trees.variance) / trees.variance).square().mean() / 2
    assert squared < 0.03**2
    # The first term alone, which forgets the last site's own spread, is far off
    assert (closed.between.variance < 0.8 * trees.variance).all()


def test_the_average_over_all_first_masks_is_exact() -> None:
    """The law of total variance with nothing sampled: enumerate the first site, integrate the second."""
    model = trained_looking(Small(nn.Linear(5, 3)))
    trees = forest(model, X)
    p = used_probability(0.4)
    first = forest(model, X, sites=mcdrop.Sites(only=0))
    with torch.no_grad():
        masks = first.masks.keep("first:dropout", (1, 4), 0.3, 0, 16).double() / (1 - used_probability(0.3))
        h = model.b(model.a(X).tanh() * masks).tanh()
    within = p / (1 - p) * h.square() @ model.head.weight.detach().square().T
    expected = first.variance + torch.tensordot(first.probability, within, dims=1)
    torch.testing.assert_close(expected, trees.variance)


def test_gaussian_noise_is_added_and_float32_works() -> None:
    model = trained_looking(Small(nn.Linear(5, 3), first=0.0)).float()
    closed = closed_head(model, X.float(), likelihood=mcdrop.Gaussian(precision=4.0))
    assert torch.equal(closed.aleatoric, torch.full((4, 3), 0.25, dtype=torch.float64))
    assert torch.equal(closed.variance, closed.epistemic + 0.25)
    torch.testing.assert_close(closed.std.square(), closed.variance)
    double = closed_head(model.double(), X, likelihood=mcdrop.Identity())
    torch.testing.assert_close(closed.epistemic, double.epistemic, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("head", "likelihood", "reason"),
    [
        (nn.Sequential(nn.Linear(5, 3), nn.ReLU()), mcdrop.Identity(), "the output is not affine in the mask of last:"),
        (nn.Sequential(nn.Linear(5, 3), nn.Softplus()), mcdrop.Identity(), "what follows is no linear map"),
        (nn.Sequential(nn.Linear(5, 3), nn.Hardtanh(-9, 9)), mcdrop.Identity(), "what follows is no linear map"),
        (nn.Linear(5, 3), mcdrop.Categorical(), "Categorical reads the output through a curve"),
    ],
    ids=["ReLU", "softplus", "clamped beyond what masks reach", "classes"],
)
def test_refused_elsewhere_with_the_reason(head, likelihood, reason: str) -> None:
    with pytest.raises(UnavailableError, match=rf"^The last site has no closed form here: .*{reason}.* Use draws"):
        closed_head(trained_looking(Small(head)), X, likelihood=likelihood)


def test_what_is_linear_inside_attention_and_refused_by_hand() -> None:
    x = torch.randn(3, 4, 8, dtype=torch.float64)
    attention = closed_head(trained_looking(Encoder()), x, likelihood=mcdrop.Identity(), num_samples=2)
    assert attention.mean.shape == (3, 4, 8)  # its last site drops attention weights: what follows is linear

    class ByHand(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * (torch.rand_like(x) > 0.3) if self.training else x

    with pytest.raises(UnavailableError, match=r"the model makes the mask of .* itself"):
        closed_head(nn.Sequential(nn.Linear(2, 3), ByHand()).double(), X, likelihood=mcdrop.Identity())


def test_densities_intervals_and_samples_are_those_of_the_draws() -> None:
    model = trained_looking(Small(nn.Linear(5, 3)))
    for likelihood in (mcdrop.Gaussian(precision=4.0), mcdrop.Identity()):
        closed = closed_head(model, X, likelihood=likelihood, num_samples=50, seed=7)
        drawn = mcdrop.predict(model, X, likelihood=likelihood, num_samples=50, seed=7, keep_samples=True)
        assert torch.equal(closed.samples, drawn.samples)
        assert torch.equal(torch.stack(closed.interval(0.9)), torch.stack(drawn.interval(0.9)))
    gaussian = closed_head(model, X, likelihood=mcdrop.Gaussian(precision=4.0), num_samples=50, seed=7)
    drawn = mcdrop.predict(model, X, likelihood=mcdrop.Gaussian(precision=4.0), num_samples=50, seed=7)
    assert torch.equal(gaussian.log_prob(X[:, :1].expand(4, 3)), drawn.log_prob(X[:, :1].expand(4, 3)))


@pytest.mark.parametrize("design", [mcdrop.Independent(), Stratified(20)], ids=repr)
def test_the_covariance_of_outputs_agrees_with_enumeration(design) -> None:
    """Exact for the last site alone; with two sites within four standard errors, from 40 seeds, and unbiased."""
    head = trained_looking(Small(nn.Linear(5, 3), first=0.0))
    exact = closed_head(head, X, likelihood=mcdrop.Identity(), covariance=True, design=design, keep_samples=False)
    torch.testing.assert_close(exact.epistemic_covariance, enumerated_covariance(head))
    torch.testing.assert_close(exact.epistemic_covariance.diagonal(dim1=1, dim2=2), exact.epistemic)
    assert (exact.epistemic_covariance.triu(1) != 0).any()

    model = trained_looking(Small(nn.Linear(5, 3)))
    options = {"likelihood": mcdrop.Identity(), "num_samples": 60, "design": design, "keep_samples": False}
    closed = [closed_head(model, X, covariance=True, seed=seed, **options) for seed in range(40)]
    estimates = torch.stack([each.epistemic_covariance for each in closed])
    error = estimates.std(dim=0) / 40**0.5
    assert ((estimates.mean(dim=0) - enumerated_covariance(model)).abs() <= 4 * error).all()
    torch.testing.assert_close(estimates[0].diagonal(dim1=1, dim2=2), closed[0].epistemic)
    torch.testing.assert_close(closed[0].epistemic, closed_head(model, X, seed=0, **options).epistemic)


def enumerated_covariance(model: nn.Module) -> Tensor:
    """Of the outputs of each row over all masks, (N, D, D)."""
    trees = forest(model, X)
    centred = (trees.outputs - trees.mean).double()
    return torch.einsum("t,tni,tnk->nik", trees.probability, centred, centred)


def test_what_was_not_kept_says_so() -> None:
    model, x = trained_looking(MLP()), torch.randn(2, 6).double()
    closed = closed_head(model, x, likelihood=mcdrop.Identity(), num_samples=2, keep_samples=False)
    for ask in (lambda: closed.interval(0.9), lambda: closed.samples, lambda: closed.log_prob(x)):
        with pytest.raises(UnavailableError, match=r"was asked of a closed form without draws.*keep_samples=True"):
            ask()
    with pytest.raises(UnavailableError, match=r"covariance of the outputs was not kept: .*covariance=True"):
        _ = closed.epistemic_covariance
    with pytest.raises(UnavailableError, match=r"Identity\(\) has none: likelihood=Gaussian\(precision\)"):
        closed_head(model, x, likelihood=mcdrop.Identity(), num_samples=2).log_prob(x)
    with pytest.raises(InputError, match="num_samples=0 was given"):
        closed_head(MLP(), x, likelihood=mcdrop.Identity(), num_samples=0)
    convolution = HEAD_ONLY["whole channels"]
    with pytest.raises(
        InputError, match=r"covariance=True needs outputs \(N, D\), and the model returned \(3, 2, 3, 3\)"
    ):
        closed_head(trained_looking(convolution[0]()), convolution[1], likelihood=mcdrop.Identity(), covariance=True)


def test_masks_are_those_of_predict() -> None:
    """With the last site excluded, the draws are predict's own."""
    model = trained_looking(Small(nn.Linear(5, 3)))
    closed = closed_head(model, X, likelihood=mcdrop.Identity(), num_samples=10, seed=7)
    plain = mcdrop.predict(
        model, X, likelihood=mcdrop.Identity(), num_samples=10, seed=7, sites=mcdrop.Sites(exclude="last:*")
    )
    torch.testing.assert_close(closed.mean, plain.mean)
    assert F.mse_loss(closed.between.variance, plain.epistemic) < 1e-20


def test_one_draw_of_the_sites_before_the_last_has_no_variance() -> None:
    model = trained_looking(Small(nn.Linear(5, 3)))
    one = closed_head(model, X, likelihood=mcdrop.Identity(), num_samples=1, covariance=True)
    assert not one.is_exact
    assert one.mean.shape == (4, 3)
    for name in ("epistemic", "variance", "epistemic_covariance", "mc_error"):
        with pytest.raises(UnavailableError):
            getattr(one, name)


def test_no_rows_are_refused() -> None:
    with pytest.raises(InputError, match="The input has 0 rows"):
        closed_head(trained_looking(Small(nn.Linear(5, 3))), X[:0], likelihood=mcdrop.Identity())


def test_the_draws_of_the_other_sites_run_together() -> None:
    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = []
            self.net = nn.Sequential(
                nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 8), nn.Dropout(), nn.Linear(8, 1)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls.append(len(x))
            return self.net(x)

    model, x = Counted().eval(), torch.randn(5, 4)
    calls = []
    for num_samples in (20, 40):
        model.calls.clear()
        closed_head(model, x, likelihood=mcdrop.Gaussian(1.0), num_samples=num_samples, seed=0, keep_samples=False)
        calls.append(len(model.calls))
    assert calls[0] == calls[1] < 20

"""How far a mean of T passes is from that of infinitely many, by how the passes are drawn.

Everything is measured by repetition: the same T passes under other masks, many times.
"""

import torch
from torch import Tensor

import mcdrop
from examples.experiments.uci_runs import Trained
from mcdrop.posterior import Design
from mcdrop.prediction import from_draws
from mcdrop.sampling import closed_head

PASSES = 100
REPEATS = 20
CLOSED = "closed last site"


def blocks(p: float) -> mcdrop.Stratified:
    """Stratified draws, every unit dropped exactly once in 1/p of them."""
    return mcdrop.Stratified(round(1 / p))


def ways(p: float) -> dict[str, Design]:
    """The designs that are compared, by name; those of `CLOSED` draw at the sites before the last alone."""
    return {
        "independent": mcdrop.Independent(),
        "antithetic": mcdrop.Antithetic(),
        "stratified": blocks(p),
        CLOSED: mcdrop.Independent(),
        f"{CLOSED}, stratified": blocks(p),
    }


def measure(net: Trained, p: float, tau: float) -> dict[str, dict[str, float]]:
    """What `repeated` finds, for each way."""
    return {way: repeated(net, tau, design, closed=way.startswith(CLOSED)) for way, design in ways(p).items()}


def repeated(net: Trained, tau: float, design: Design, *, closed: bool, repeats: int = REPEATS) -> dict[str, float]:
    """Squared errors of the mean and of the log-likelihood of T passes, over repetitions; and their scores.

    The squared error of the mean is averaged over rows, in unit^2 of the targets; log-likelihoods are in nats a row.
    """
    means, log_likelihoods = (_closed if closed else _drawn)(net, tau, design, repeats)
    squares = (means - net.split.test_y).square().mean(dim=(1, 2))
    return {
        "of mean": means.var(dim=0).mean().item(),
        "of LL": log_likelihoods.var().item(),
        "RMSE": squares.sqrt().mean().item(),
        "LL": log_likelihoods.mean().item(),
    }


def _drawn(net: Trained, tau: float, design: Design, repeats: int) -> tuple[Tensor, Tensor]:
    """Means (R, N, 1) and mean log-likelihoods (R,) of R stretches of T draws: whole blocks, hence independent."""
    likelihood = mcdrop.Gaussian(tau)
    mc = mcdrop.MCDropout(
        net.net, likelihood=likelihood, num_samples=repeats * PASSES, seed=0, design=design, output=net.of_y.restore
    )
    draws = mc.sample(net.rows(net.split.test_x)).unflatten(0, (repeats, PASSES))
    stretches = [from_draws(stretch, likelihood) for stretch in draws]
    scores = [stretch.log_prob(net.split.test_y).mean() for stretch in stretches]
    return torch.stack([stretch.mean for stretch in stretches]), torch.stack(scores)


def _closed(net: Trained, tau: float, design: Design, repeats: int) -> tuple[Tensor, Tensor]:
    """The same with the last site integrated out, read as one normal of the mean and the variance."""
    means, scores = [], []
    for seed in range(repeats):
        head = closed_head(
            net.net, net.rows(net.split.test_x), likelihood=mcdrop.Gaussian(tau), num_samples=PASSES, seed=seed,
            design=design, output=net.of_y.restore, keep_samples=False,
        )  # fmt: skip
        means.append(head.mean)
        scores.append(torch.distributions.Normal(head.mean, head.std).log_prob(net.split.test_y).mean())
    return torch.stack(means), torch.stack(scores)

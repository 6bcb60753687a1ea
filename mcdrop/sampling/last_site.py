"""The last dropout site in closed form, where what follows it is one linear map that is the output.

There the output is affine in the last mask z, whatever the hidden layer h that the masks before it make:
y = c_h + sum_j g_j z_j with z_j ~ Bernoulli(1 - p). So its mean and variance over z need no draws, and only the sites
before are sampled:

    mean      = avg_t E[y | h_t],                             E[y | h_t]   = y at z = 1 - p
    epistemic = Var_t(E[y | h_t]) + avg_t Var[y | h_t],       Var[y | h_t] = p (1 - p) sum_j g_tj^2

For a linear layer W on h this is p / (1 - p) sum_j W_ij^2 h_tj^2. With no other site both are exact. Outputs that share
units are correlated: with g_i the slopes of output i, Cov[y_i, y_k | h_t] = p (1 - p) sum_j g_tij g_tkj. The
distribution of y is not Gaussian, so densities, intervals and samples are those of draws at all sites.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from mcdrop.errors import InputError, UnavailableError
from mcdrop.posterior import Design, Dropout, Independent
from mcdrop.prediction import Gaussian, Identity, Likelihood, Moments
from mcdrop.sampling.integrated import ClosedHead
from mcdrop.sampling.mcdropout import predict
from mcdrop.sampling.output import Output, selector
from mcdrop.sampling.passes import StochasticPass, supplied
from mcdrop.sampling.plan import Plan
from mcdrop.sampling.subnetwork import discovered
from mcdrop.sites import Discovery, Site, Sites, close, count_rows, finest
from mcdrop.types import Tree

_Integrate: TypeAlias = Callable[[Callable[[Tensor], Tensor]], tuple[Tensor, Tensor]]

_FAR = 30.0
"""Masks that stand for evidence lie this far outside of [0, 1] too, so that a kink after the site cannot hide."""


def closed_head(
    model: nn.Module,
    *args: Any,
    likelihood: Likelihood,
    num_samples: int = 100,
    seed: int = 0,
    design: Design = Independent(),  # noqa: B008 (frozen)
    sites: Sites = Sites(),  # noqa: B008 (frozen)
    output: Output = None,
    plan: Plan = Plan(),  # noqa: B008 (frozen)
    keep_samples: bool = True,
    covariance: bool = False,
    **kwargs: Any,
) -> ClosedHead:
    """Mean and variance of a regression network with its last dropout site integrated out.

    That the rest of the network is affine in the last mask is established by evidence: the output at a random
    combination of far-off masks must be the same combination of their outputs.

    Args:
        model: The network; it is only read. The rows of its inputs and of its output lie on axis 0.
        *args: Its positional inputs.
        likelihood: `Gaussian(precision)` or `Identity()`.
        num_samples: T, draws of the sites before the last; 1 is run where there are none.
        seed: Of the masks, the same as in `mcdrop.predict`.
        design: How the draws hang together.
        sites: The choice among its dropout sites.
        output: Which part of the model's output is read.
        plan: How the passes are run.
        keep_samples: Whether T draws at all sites are run too, those of `mcdrop.predict`, for densities, quantiles and
            samples; without them only mean and variance can be read, for half the passes.
        covariance: Whether the covariance of the outputs of a row is computed, for outputs (N, D): N D^2 numbers.
        **kwargs: Its keyword inputs.

    Raises:
        UnavailableError: The last site has no closed form here; says why.
        InputError: num_samples is no integer >= 1, or the input has no rows.
        McdropError: As `mcdrop.predict`.

    Example:
        >>> model = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 1, bias=False))
        >>> _ = nn.init.ones_(model[1].weight)
        >>> exact = closed_head(model, torch.tensor([[1.0, 3.0]]), likelihood=Identity())
        >>> exact.mean.item(), exact.epistemic.item()  # p / (1 - p) (1^2 + 3^2)
        (4.0, 10.0)
        >>> exact.samples.unique().tolist()  # the four trees
        [0.0, 2.0, 6.0, 8.0]

    Source:
        The moments that Wang & Manning 2013, "Fast dropout training", ICML, sec. 2, approximate a layer by; exact here.
    """
    if isinstance(num_samples, bool) or not isinstance(num_samples, int) or num_samples < 1:
        raise InputError(f"num_samples={num_samples!r} was given; expected an integer >= 1.")
    if not isinstance(likelihood, Gaussian | Identity):
        raise _refused(f"{type(likelihood).__name__} reads the output through a curve; Gaussian and Identity do not")
    if count_rows((args, kwargs), 0) == 0:
        raise InputError("The input has 0 rows; expected at least one.")
    discovery = discovered(model, args, kwargs, sites, 0)
    last = discovery.active[-1]
    posterior = Dropout(seed, design)
    p = posterior.used_probability(_probability(discovery, last))
    masks = _OpenAtTheEnd(posterior, last.name)
    run = StochasticPass(
        model, args, kwargs, discovery=discovery, sites=sites, masks=masks, shared=True, select=selector(output)
    )
    first = _response(run, masks, 0)
    shape = _masks_of_their_own(last, first)
    _check_affine(first, shape, last.name, finest(list(model.parameters()), [args, kwargs]))
    outputs = first(torch.ones(shape))
    if covariance and outputs.ndim != 2:
        raise InputError(f"covariance=True needs outputs (N, D), and the model returned {tuple(outputs.shape)}.")
    integrate = partial(_integrate, shape=shape, row_axis=_row_axis(last), p=p, covariance=covariance)
    draws = num_samples if len(discovery.active) > 1 else 1
    between, pairs = Moments.init(design.block_size), Moments.init(design.block_size) if covariance else None
    total = torch.zeros((), dtype=torch.float64)
    chunk = max(1, plan.at_once(discovery.masked) // outputs[0].numel())
    for start in range(0, draws, chunk):
        mean, within = _averaged(run, masks, integrate, start, min(draws, start + chunk))
        mean = mean.double()
        between, total = between.update(mean), total + within.double().sum(dim=0)
        if pairs is not None:
            pairs = pairs.update(mean[..., :, None] + mean[..., None, :])
    average = total / draws
    drawn: Any = None
    if keep_samples:
        options: Any = {"num_samples": num_samples, "seed": seed, "design": design, "sites": sites}
        drawn = predict(model, *args, likelihood=likelihood, output=output, plan=plan, **options, **kwargs)
    return ClosedHead(
        last.name,
        between,
        average.diagonal(dim1=-2, dim2=-1) if covariance else average,
        _noise(likelihood, between.mean),
        len(discovery.active) == 1,
        drawn,
        pairs,
        average if covariance else None,
    )


def _noise(likelihood: Gaussian | Identity, mean: Tensor) -> Tensor:
    noise = torch.zeros_like(mean)
    if isinstance(likelihood, Gaussian):
        noise = noise + 1 / torch.as_tensor(likelihood.precision, dtype=torch.float64, device=noise.device)
    return noise


class _OpenAtTheEnd:
    """Drawn masks at all sites but the last, where the response is asked for."""

    def __init__(self, posterior: Dropout, last: str) -> None:
        self._posterior = posterior
        self.used_probability = posterior.used_probability
        self.last = last
        self.asked = ""

    def keep(self, site: str, shape: Any, p: float, start: int, stop: int) -> Tensor:
        self.asked = site
        return self._posterior.keep(site, shape, p, start, stop)

    def uniform(self, site: str, shape: Any, start: int, stop: int) -> Tensor:
        self.asked = site
        return self._posterior.uniform(site, shape, start, stop)


def _response(run: StochasticPass, masks: _OpenAtTheEnd, draw: int | Tensor) -> Callable[[Tensor], Tensor]:
    """The output as a function of the last mask, which need not be 0 or 1, with the others as in one draw."""
    number = draw if isinstance(draw, Tensor) else torch.tensor(draw)

    def respond(z: Tensor) -> Tensor:
        def supply(give: Callable[[int, int], Tensor], device: torch.device) -> Tensor:
            give(0, 0)  # for no draws: to learn which site asks
            if masks.asked == masks.last:
                return z.to(device)
            return supplied(number, lambda start, stop: give(start, stop).to(device))

        result: Tree = run(supply)
        if not isinstance(result, Tensor):
            raise _refused("the output is no single tensor; output= picks one")
        return result

    return respond


def _probability(discovery: Discovery, last: Site) -> float:
    if last.p is None:
        raise _refused(f"the model makes the mask of {last.name} itself")
    if discovery.native:
        raise _refused("random operations run with torch's own randomness")
    if last.row is None or discovery.output_axis != 0:
        raise _refused(f"the rows do not lie at {last.name} and on axis 0 of the output")
    return last.p


def _row_axis(site: Site) -> int:
    """The axis of the rows in a mask of the site, as `RowAxis.unit` shapes it."""
    assert site.row is not None  # checked by _probability
    return site.row.axis if site.row.outer == site.row.inner == 1 else site.row.axis + 1


def _masks_of_their_own(last: Site, respond: Callable[[Tensor], Tensor]) -> tuple[int, ...]:
    """Shape of the last site's masks with one for each row."""
    assert last.row is not None  # checked by _probability
    unit = list(last.row.unit(last.mask_shape))
    with torch.no_grad():
        unit[_row_axis(last)] = len(respond(torch.ones(unit, dtype=torch.float64)))
    return tuple(unit)


def _check_affine(
    respond: Callable[[Tensor], Tensor], shape: tuple[int, ...], name: str, computed_in: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)
    far = _FAR * torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        combined, straight = respond(far[0] + far[1] - far[2]), respond(far[0]) + respond(far[1]) - respond(far[2])
    if not close(combined, straight, computed_in=computed_in):
        raise _refused(f"the output is not affine in the mask of {name}, the last site: what follows is no linear map")


def _averaged(
    run: StochasticPass, masks: _OpenAtTheEnd, integrate: _Integrate, start: int, stop: int
) -> tuple[Tensor, Tensor]:
    """E[y] and Var[y] over the last mask, for draws `start` .. `stop - 1` of the others: (stop - start, N, *out)."""

    def one(draw: Tensor | int) -> tuple[Tensor, Tensor]:
        return integrate(_response(run, masks, draw))

    try:
        return torch.func.vmap(one)(torch.arange(start, stop))
    except Exception:  # not every model can be vectorised; a fault of its own surfaces in the loop
        means, spreads = zip(*(one(draw) for draw in range(start, stop)), strict=True)
        return torch.stack(means), torch.stack(spreads)


def _integrate(
    respond: Callable[[Tensor], Tensor], shape: tuple[int, ...], row_axis: int, p: float, covariance: bool
) -> tuple[Tensor, Tensor]:
    """E[y] over the last mask, (N, *out), and Var[y], of the same shape, or Cov[y], (N, D, D)."""
    centre = torch.full(shape, 1 - p, dtype=torch.float64)
    result: Any = torch.func.vjp(respond, centre)  # typed as if it might have a third part
    mean, pull = result
    elements = mean[0].numel()
    directions = torch.eye(elements, dtype=mean.dtype, device=mean.device).view(elements, 1, *mean.shape[1:])
    # A row's output depends on its own mask alone, so one product serves all rows.
    (slopes,) = torch.func.vmap(pull)(directions.expand(elements, *mean.shape))
    by_row = slopes.movedim(row_axis + 1, 0).flatten(2).detach()  # (N, elements, units)
    if covariance:
        return mean.detach(), p * (1 - p) * by_row @ by_row.mT
    return mean.detach(), (p * (1 - p) * by_row.square().sum(dim=2)).reshape(mean.shape)


def _refused(reason: str) -> UnavailableError:
    return UnavailableError(
        f"The last site has no closed form here: {reason}. Use draws: mcdrop.predict(...) without a closed form."
    )

"""One number that makes class probabilities less sure, or more: the temperature."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self, final

import torch
from torch import Tensor

from mcdrop.calibration import fitted_on
from mcdrop.calibration.averaged import averaged_probs, labels_of, with_changed_average
from mcdrop.calibration.fitted_on import Classes
from mcdrop.calibration.predictive_kind import PredictiveKind
from mcdrop.calibration.recalibrator import Recalibrator
from mcdrop.calibration.scores import error_rate
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Binary, Categorical, Prediction, Summary
from mcdrop.prediction.mixture import log_mean_exp
from mcdrop.prediction.spread import accumulated
from mcdrop.types import ArrayLike, Tree

COLDEST, HOTTEST = 0.01, 100.0
"""Temperatures between which the fit looks."""

_PIECE = 4096
"""Rows that the loss of the average takes at a time."""


@final
@dataclass(frozen=True, kw_only=True)
class Temperature(Recalibrator[Classes]):
    """Probabilities at another temperature: above 1 less sure, below 1 surer.

    Of the average, `p_c^(1/T) / sum_k p_k^(1/T)` with p the probabilities averaged over the draws: labels, and so the
    error rate, stay as they are, ties included. Inside the average, `mean_t softmax(logits_t / T)`: each draw is
    changed, so that entropies and mutual information are defined too; labels may change.

    Args:
        temperature: T, from 0.01 to 100.
        inside: Whether it acts inside the average.
        error_before: Share of wrong labels among the rows of the fit.
        error_after: The same with the temperature.

    Source: Guo et al. 2017, "On calibration of modern neural networks", eq. 9, https://arxiv.org/abs/1706.04599; of
    the average and inside it: Rahaman & Thiery 2021, "Uncertainty quantification and deep ensembles",
    https://arxiv.org/abs/2007.08792.

    Example:
        >>> import torch
        >>> from mcdrop.prediction import Categorical, from_draws
        >>> logits = torch.tensor([[4.0, 0.0]]).expand(10, 4, 2)  # 98 % sure, and right three times of four
        >>> prediction = from_draws(logits, Categorical())
        >>> temperature = Temperature.fit(prediction, torch.tensor([0, 0, 0, 1]))
        >>> round(temperature.temperature, 3), temperature(prediction).probs[0]  # 4 / log 3
        (3.641, tensor([0.7500, 0.2500], dtype=torch.float64))
    """

    temperature: float
    inside: bool
    error_before: float
    error_after: float

    @classmethod
    def fit(cls, prediction: Prediction, targets: ArrayLike, *, inside: bool = False) -> Self:
        """The temperature of the least negative log-likelihood of held-out targets.

        Where the likelihood is the same at every temperature (uniform probabilities) it is 1.

        Args:
            prediction: Of classes or events, for rows that the model was not trained on.
            targets: Labels of its rows.
            inside: Whether it acts inside the average, which needs the draws: keep_samples=True.

        Raises:
            InputError: If the prediction is of numbers, targets do not fit, a target has probability 0, or the
                likelihood is greatest at the end of the temperatures from 0.01 to 100: all targets have the greatest
                probability, or the probabilities say nothing of them.
            UnavailableError: Inside, without samples.
        """
        given = fitted_on.classes(prediction, targets, cls.__name__)
        if inside and given.samples is None:
            raise UnavailableError(
                "A temperature inside the average needs every draw, and only moments were kept: predict with "
                "keep_samples=True, or use the temperature of the average, inside=False."
            )
        temperature = _least(_inner_loss(given, targets) if inside else _outer_loss(given, targets))
        before = error_rate(given, targets).value
        fitted = cls(
            kind=PredictiveKind.of(given),
            temperature=temperature,
            inside=inside,
            error_before=before,
            error_after=before,
        )
        return replace(fitted, error_after=error_rate(fitted(given), targets).value) if inside else fitted

    def _transformed(self, prediction: Prediction) -> Classes:
        assert isinstance(prediction, Classes)  # it is of the kind of the fit
        provenance = self._provenance(prediction)
        if not self.inside:
            return with_changed_average(prediction, lambda probs: tempered(probs, self.temperature), provenance)
        samples = prediction._kept_samples("A temperature inside the average")
        summary = Summary.init(prediction.likelihood, provenance.block_size, True)
        for chunk in samples.split(max(1, 2**22 // samples[:1].numel())):
            summary = summary.update(_tempered_outputs(prediction.likelihood, chunk, self.temperature))
        changed = summary.result(provenance)
        assert isinstance(changed, Classes)
        return changed


def tempered(probs: Tensor, temperature: float) -> Tensor:
    """`p_c^(1/T) / sum_k p_k^(1/T)` over the last axis, the order of the greatest kept.

    Example:
        >>> import torch
        >>> tempered(torch.tensor([0.1, 0.9]), 0.5)
        tensor([0.0122, 0.9878])
    """
    greatest = probs.amax(dim=-1, keepdim=True)
    ratios = (probs / greatest).log_().div_(temperature).exp_()
    # a class that was behind by rounding alone would catch up in the power and in the division
    ratios = torch.where(probs < greatest, ratios.clamp(max=1 - 4 * torch.finfo(probs.dtype).eps), ratios)
    return ratios / ratios.sum(dim=-1, keepdim=True)


def _outer_loss(prediction: Classes, targets: ArrayLike) -> Callable[[float], float]:
    """Mean negative log-likelihood at a temperature of the average."""
    log_probs = averaged_probs(prediction).detach().flatten(0, -2).log()
    of_target = log_probs.gather(1, labels_of(prediction, targets).reshape(-1, 1))[:, 0]
    _check_possible(of_target)
    greatest = log_probs.amax(dim=1, keepdim=True)
    below, gap = log_probs - greatest, float((greatest[:, 0] - of_target).mean())

    def loss(temperature: float) -> float:
        # pieces that stay in the processor's cache: three times faster
        sums = (float((piece / temperature).exp_().sum(dim=1).log_().sum()) for piece in below.split(_PIECE))
        return sum(sums) / len(below) + gap / temperature

    return loss


def _inner_loss(prediction: Classes, targets: ArrayLike) -> Callable[[float], float]:
    """Mean negative log-likelihood at a temperature inside the average."""
    likelihood, samples = prediction.likelihood, prediction.samples.detach()

    def log_probs(temperature: float) -> Tensor:
        return log_mean_exp(likelihood.log_prob(_tempered_outputs(likelihood, samples, temperature), targets))

    _check_possible(log_probs(1.0))
    return lambda temperature: -float(log_probs(temperature).mean())


def _check_possible(log_probs: Tensor) -> None:
    impossible = int((log_probs == -torch.inf).sum())
    if impossible:
        raise InputError(
            f"{impossible} targets have probability 0, which no temperature changes: return logits from the model "
            "instead of rounded probabilities, or recalibrate by Isotonic."
        )


def _tempered_outputs(likelihood: Any, outputs: Tree, temperature: float) -> Tensor:
    """What the model would return at a temperature: logits over T, or the probabilities that belong to them."""
    if not likelihood.probs:
        return outputs / temperature
    if isinstance(likelihood, Binary):
        both = torch.stack([1 - accumulated(outputs), accumulated(outputs)], dim=-1)
        return tempered(both, temperature)[..., 1].to(outputs.dtype)
    assert isinstance(likelihood, Categorical)
    axis = likelihood._axis(outputs)
    return tempered(accumulated(outputs).movedim(axis, -1), temperature).movedim(-1, axis).to(outputs.dtype)


def _least(loss: Callable[[float], float]) -> float:
    """The temperature of the least loss: the best of 17 first, since the loss inside an average may have two minima."""
    # here, not above: the root of mcdrop imports this file and must not load SciPy
    from scipy import optimize

    ends = math.log(COLDEST), math.log(HOTTEST)
    grid = torch.linspace(*ends, 17, dtype=torch.float64).tolist()
    losses = [loss(math.exp(at)) for at in grid]
    best = min(range(len(grid)), key=losses.__getitem__)
    if max(losses) - min(losses) <= 1e-12 * (1 + abs(losses[best])):
        return 1.0
    if best in (0, len(grid) - 1):
        why = "the most probable classes alone say most" if best == 0 else "the probabilities say nothing about them"
        raise InputError(
            f"The negative log-likelihood falls all the way to the temperature {math.exp(grid[best]):g}: {why}. "
            "Fit on more held-out rows, which the model was not trained on."
        )
    around = grid[best - 1], grid[best + 1]
    found = optimize.minimize_scalar(
        lambda at: loss(math.exp(at)), bounds=around, method="bounded", options={"xatol": 1e-8}
    )
    return math.exp(float(found.x))

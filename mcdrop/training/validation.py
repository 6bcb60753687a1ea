"""The losses of the weight-scaled network and of the Monte Carlo average on data that were held out."""

import math

import torch
from torch import nn

from mcdrop.errors import NonFiniteError
from mcdrop.sampling import MCDropout
from mcdrop.training.objective import Objective
from mcdrop.training.rows import Arrays, Rows


class Validation:
    """Measures a network that is being trained; its modes are left to the caller.

    Args:
        model: The network.
        objective: Its loss.
        rows: The rows held out.
        num_samples: T of the Monte Carlo average; None leaves it out.
        seed: Of its masks, the same after every epoch.

    Raises:
        NoSiteError: T draws are asked of a network that has no dropout; see `MCDropout` for what else.
    """

    def __init__(self, model: nn.Module, objective: Objective, rows: Rows, num_samples: int | None, seed: int) -> None:
        self._model = model
        self._objective = objective
        self._rows = rows
        self._mc = None
        if num_samples is not None:
            likelihood, output = objective.likelihood, objective.output
            self._mc = MCDropout(model, likelihood=likelihood, num_samples=num_samples, seed=seed, output=output)
            args, kwargs, _ = next(rows.in_order())
            self._mc.sample(*args, **kwargs)  # a network without dropout is refused now, not after an epoch

    def losses(self) -> tuple[float, float | None]:
        """Of the weight-scaled network, and of the average of T sub-networks.

        Raises:
            NonFiniteError: One of them is NaN.
            InputError: Targets do not belong to the outputs.
        """
        self._model.eval()
        whole = average = 0.0
        count = 0
        with torch.no_grad():
            for args, kwargs, target in self._rows.in_order():
                rows = len(target)
                outputs = self._objective.select(self._model(*args, **kwargs))
                if not isinstance(self._rows, Arrays):  # whose targets were all checked before
                    self._objective.check_targets(outputs, target)
                whole += rows * float(self._objective.loss(outputs, target))
                if self._mc is not None:
                    average += rows * float(self._objective.average_loss(self._mc.sample(*args, **kwargs), target))
                count += rows
        if math.isnan(whole) or math.isnan(average):
            raise NonFiniteError("The loss on the validation data is NaN: the weights have become too large.")
        return whole / count, average / count if self._mc is not None else None

"""One pass in evaluation mode before the first step: what does not fit is said before anything has changed."""

from typing import Any

import torch
from torch import nn

from mcdrop.errors import InputError
from mcdrop.training.concrete import Penalties, check_learned, concrete_terms
from mcdrop.training.last_batch import check_last_batch
from mcdrop.training.objective import Objective
from mcdrop.training.rates import dropout_rates
from mcdrop.training.rows import Arrays, Rows
from mcdrop.tree import describe, tensors


def try_batch(model: nn.Module, objective: Objective, rows: Rows, name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Raises unless the model takes the inputs of the first batch, and the objective its outputs and all targets.

    Of a loader only the first batch is looked at.

    Args:
        model: The network; left in evaluation mode.
        objective: What is minimised.
        rows: The data.
        name: Of the data, for messages.

    Returns:
        Positional and keyword inputs of that batch.

    Raises:
        InputError, OutputError, NonFiniteError: See `Objective`.
    """
    model.eval()
    args, kwargs, target = next(rows.in_order())
    try:
        with torch.no_grad():
            outputs = objective.select(model(*args, **kwargs))
        if len(tensors(outputs)[0]) != len(target):
            raise InputError(
                f"The network returned {describe(outputs)} for {len(target)} rows; expected one output for each row."
            )
        objective.check_outputs(outputs)
        objective.check_targets(outputs, rows.targets if isinstance(rows, Arrays) else target)
    except Exception as error:
        weights = sorted({str(weight.dtype) for weight in model.parameters()})
        error.add_note(f"In the {name} data, before any step. Inputs: {describe((*args, kwargs))}; weights: {weights}.")
        raise
    return args, kwargs


def try_training(model: nn.Module, objective: Objective, rows: Rows) -> Penalties:
    """The KL term: the coefficient of each |W|^2 or what stands in its place, after `try_batch` on the training data.

    Raises:
        InputError: See there and `check_last_batch`; or the rates of the dropout or N are not known and the prior needs
            them; or rates are to be learned without a prior.
    """
    args, kwargs = try_batch(model, objective, rows, "training")
    check_last_batch(model, rows)
    check_learned(model, objective.prior, objective.protocol)
    if objective.prior is None:
        return {}
    if rows.num_rows is None:
        raise InputError(
            "A prior needs N, the number of training rows, which this loader does not tell. Use a DataLoader."
        )
    rates = objective.rates if objective.rates is not None else dropout_rates(model, *args, **kwargs)
    penalties = objective.penalties(model, rates, rows.num_rows)
    terms = concrete_terms(model, objective.prior, rows.num_rows, *args, **kwargs)
    behind = {name for term in terms for name in term.weights}
    plain = {name: coefficient for name, coefficient in penalties.items() if name not in behind}
    return plain | {term.weights[0]: term for term in terms}

"""What a precision becomes where targets are standardised, and rows on their way there and back."""

import pytest
import torch

import mcdrop
from mcdrop.data.scaling import measure
from mcdrop.errors import InputError
from mcdrop.posterior import Prior
from mcdrop.training import Objective
from mcdrop.training.units import Units

X = torch.tensor([[0.0, 10.0], [2.0, 30.0]], dtype=torch.float64)
Y = torch.tensor([[1.0], [7.0]], dtype=torch.float64)  # mean 4, standard deviation 3
PRIOR = Prior(0.5)


def test_standardised_rows_have_the_dtype_of_the_weights_and_outputs_go_back() -> None:
    units = Units.measured(measure, X, Y, torch.float32)
    assert torch.equal(units.inputs(X), torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
    assert torch.equal(units.targets(Y), torch.tensor([[-1.0], [1.0]]))
    assert torch.equal(units.restore(torch.tensor([[[2.0]]])), torch.tensor([[[10.0]]], dtype=torch.float64))


def test_without_a_scaling_nothing_changes() -> None:
    units = Units.measured(None, X, Y, torch.float32)
    assert units.inputs(X) is X
    assert units.targets(Y) is Y
    assert units.restore is None
    assert units.objective(2.0, PRIOR, "elbo") == Objective(mcdrop.Gaussian(2.0), PRIOR)


def test_tau_in_units_of_sd_is_tau_sd_squared_but_not_for_the_authors_of_2016() -> None:
    units = Units.measured(measure, X, Y, torch.float32)
    assert units.objective(2.0, PRIOR, "elbo") == Objective(mcdrop.Gaussian(18.0), PRIOR)
    assert units.objective(2.0, PRIOR, "gal2016") == Objective(mcdrop.Gaussian(2.0), PRIOR, protocol="gal2016")
    two = Units.measured(measure, X, torch.cat([Y, Y / 3], dim=1), torch.float32)
    assert two.objective(2.0, None, "elbo") == Objective(mcdrop.Gaussian((18.0, 2.0)))


def test_targets_that_cannot_be_scaled_are_refused_by_the_scaling(without_type_checks) -> None:
    with pytest.raises(InputError, match=r"A single column is targets\[:, None\]"):
        Units.measured(measure, X, Y[:, 0], torch.float32)

import numpy as np
import pytest
import sklearn.preprocessing
import torch

from mcdrop.data import scaling, uci
from mcdrop.errors import InputError


def _rows(n=40, dtype=torch.float64):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(0), dtype=dtype) * 5 + 7


def test_scikit_learns_scaler_agrees():
    train, test = _rows(), _rows(6) + 1
    ours, theirs = scaling.measure(train), sklearn.preprocessing.StandardScaler().fit(train.numpy())
    np.testing.assert_allclose(ours.mean, theirs.mean_, rtol=1e-12)
    np.testing.assert_allclose(ours.std, theirs.scale_, rtol=1e-12)
    np.testing.assert_allclose(ours.standardise(test), theirs.transform(test.numpy()), rtol=1e-10)


def test_the_training_part_gets_mean_0_and_standard_deviation_1_and_returns():
    train = _rows()
    measured = scaling.measure(train)
    standardised = measured.standardise(train)
    torch.testing.assert_close(standardised.mean(dim=0), torch.zeros(3, dtype=torch.float64), atol=1e-14, rtol=0)
    torch.testing.assert_close(standardised.std(dim=0, correction=0), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(measured.restore(standardised), train)


@pytest.mark.parametrize("value", [0.1, 1e8, -0.3, 0.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_column_becomes_exactly_0_whatever_its_rounding(value, dtype):
    train = torch.full((691, 1), value, dtype=dtype)
    measured = scaling.measure(train)
    assert measured.std.tolist() == [1]
    assert (measured.standardise(train) == 0).all()
    assert torch.equal(measured.restore(measured.standardise(train)), train)


def test_a_single_row_is_constant():
    measured = scaling.measure(_rows(1))
    assert measured.std.tolist() == [1, 1, 1]


def test_draws_of_rows_are_restored_like_rows():
    measured = scaling.measure(_rows())
    draws = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.equal(measured.restore(draws)[2], measured.restore(draws[2]))
    assert torch.equal(measured.standardise(draws)[3], measured.standardise(draws[3]))


def test_the_type_of_the_rows_is_kept():
    measured = scaling.measure(_rows(dtype=torch.float32))
    assert measured.mean.dtype == measured.standardise(_rows(dtype=torch.float32)).dtype == torch.float32


@pytest.mark.parametrize("split", [0, 13])
def test_a_published_split_is_standardised_as_its_authors_do(data_dir, split):
    rows = uci.load("boston", split=split)
    x, y = rows.train_x.numpy(), rows.train_y.numpy()
    mean, std = np.mean(x, 0), np.std(x, 0)
    std[std == 0] = 1
    np.testing.assert_allclose(
        scaling.measure(rows.train_x).standardise(rows.test_x), (rows.test_x.numpy() - mean) / std
    )
    assert scaling.measure(rows.train_y).std.item() == pytest.approx(np.std(y))


@pytest.mark.parametrize("shape", [(5,), (0, 3), (2, 3, 4)])
def test_what_is_no_table_of_rows_is_refused(shape, without_type_checks):
    with pytest.raises(InputError, match=r"train has shape \(.*\): \(N, D\) with at least one row.*targets\[:, None\]"):
        scaling.measure(torch.zeros(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value):
    train = _rows()
    train[3, 1] = value
    with pytest.raises(InputError, match="train holds NaN or infinity"):
        scaling.measure(train)

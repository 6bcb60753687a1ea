import numpy as np
import torch

from mcdrop.prediction.spread import accumulated, combine, spread


def test_weighted_spreads_combine_to_the_weighted_mean_and_sum_of_squares():
    values = torch.tensor([[1.0, -2.0], [4.0, 0.5], [10.0, 3.0], [11.0, 7.0]], dtype=torch.float64)
    weights = np.array([9, 9, 9, 4])
    both = combine(spread(values[:3], each=9), spread(values[3:], each=4))
    mean = np.average(values, axis=0, weights=weights)
    assert both.weight == 31
    np.testing.assert_allclose(both.centre, mean, rtol=1e-14)
    np.testing.assert_allclose(both.squares, (weights[:, None] * (values.numpy() - mean) ** 2).sum(axis=0), rtol=1e-14)


def test_none_is_neutral():
    part = spread(torch.tensor([1.0, 2.0]))
    assert combine(None, part) is part
    assert combine(part, None) is part
    assert combine(None, None) is None


def test_all_precisions_are_accumulated_in_float64():
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64):
        assert accumulated(torch.ones(2, dtype=dtype)).dtype == torch.float64

import torch

from mcdrop.report.series import evenly, floats


def test_ends_are_kept():
    for length, most in ((1, 5), (7, 7), (1000, 13)):
        places = evenly(length, most)
        assert places[0] == 0
        assert places[-1] == length - 1
        assert len(places) == min(length, most)
        assert places.diff().gt(0).all()


def test_numbers_keep_six_digits():
    assert floats(torch.tensor([1 / 3, 123456789.0], dtype=torch.float64)) == (0.333333, 123457000.0)

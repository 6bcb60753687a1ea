import numpy as np
import pytest
import torch

from mcdrop.errors import InputError
from mcdrop.plots.decision import plane

X1, X2, VALUES = [-1.0, 0.0, 1.0], [0.0, 2.0], torch.arange(6.0).view(2, 3)


def test_each_value_lies_about_its_point(ax) -> None:
    assert plane(X1, X2, VALUES, ax, name="mutual information", unit="nats") is ax
    (mesh,) = ax.collections
    np.testing.assert_array_equal(mesh.get_array(), VALUES)
    corners = mesh.get_coordinates()
    np.testing.assert_allclose(corners[0, :, 0], [-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_allclose(corners[:, 0, 1], [-1, 1, 3])
    assert [each.get_ylabel() for each in ax.figure.axes] == ["second input", "mutual information (nats)"]
    assert ax.get_xlabel() == "first input"


def test_points_of_a_class_share_a_marker(ax) -> None:
    points = torch.tensor([[0.0, 1.0], [0.5, 1.0], [-0.5, 0.0]])
    plane(X1, X2, VALUES, ax, points=points, classes=torch.tensor([0, 1, 0]))
    zero, one = ax.get_lines()
    assert zero.get_xydata().tolist() == [[0, 1], [-0.5, 0]]
    assert one.get_xydata().tolist() == [[0.5, 1]]
    assert zero.get_marker() != one.get_marker()
    assert zero.get_markerfacecolor() != one.get_markerfacecolor()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["class 0", "class 1"]


def test_points_without_classes_need_no_legend(ax) -> None:
    plane(X1, X2, VALUES, ax, points=np.zeros((1, 2)))
    assert ax.get_legend() is None
    assert len(ax.get_lines()) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"values": VALUES.T}, r"values of shape \(3, 2\) were given; expected \(len\(x2\), len\(x1\)\), \(2, 3\)"),
        ({"values": VALUES * torch.nan}, "values: 6 of 6 values are NaN"),
        ({"x1": [0.0, 0.0, 1.0]}, "x1 and x2 must ascend"),
        ({"classes": torch.zeros(1)}, "classes were given without points"),
        ({"points": torch.zeros(2, 3)}, r"points of shape \(2, 3\) were given; expected \(M, 2\)"),
        ({"points": torch.zeros(2, 2), "classes": torch.zeros(1)}, "2 points, 1 classes were given"),
        ({"points": torch.zeros(5, 2), "classes": torch.arange(5)}, "5 classes were given; at most 4"),
    ],
)
def test_what_does_not_fit_is_refused(changed, message, ax) -> None:
    given = {"x1": X1, "x2": X2, "values": VALUES, **changed}
    with pytest.raises(InputError, match=message):
        plane(given.pop("x1"), given.pop("x2"), given.pop("values"), ax, **given)

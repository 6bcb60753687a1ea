import numpy as np
import pytest
import torch

from mcdrop.errors import InputError, OutputError
from mcdrop.prediction import CategoricalPrediction, Identity, from_draws
from mcdrop.report.subject import checked
from tests.report import predictions

NOTHING = {
    "weight_scaled": None,
    "recalibrated": None,
    "other": None,
    "audit": None,
    "images": None,
    "class_names": None,
    "names": ("one", "two"),
    "unit": "",
}


def subject(kind="classes", **given):
    prediction, targets = predictions.KINDS[kind]()
    return checked(prediction, targets, **{**NOTHING, **given})


@pytest.mark.parametrize(
    ("kind", "what", "classes", "elements"),
    [
        ("classes", "classes", 3, 1),
        ("events", "events", 2, 1),
        ("pixels", "classes", 3, 30),
        ("numbers", "numbers", 0, 1),
        ("counts", "numbers", 0, 1),
        ("several numbers", "numbers", 0, 2),
    ],
)
def test_what_is_predicted_is_read_from_the_prediction(kind, what, classes, elements):
    found = subject(kind)
    assert (found.kind, found.num_classes, found.elements_per_row) == (what, classes, elements)
    assert found.class_names == tuple(map(str, range(classes)))


@pytest.mark.parametrize("kind", ["classes", "events", "pixels"])
def test_probabilities_become_a_predictor_without_draws(kind):
    prediction, _ = predictions.KINDS[kind]()
    found = subject(kind, weight_scaled=prediction.probs.numpy(), other=prediction.probs)
    assert isinstance(found.weight_scaled, type(prediction))
    torch.testing.assert_close(found.weight_scaled.probs, prediction.probs)
    assert found.weight_scaled.mc_error is None
    assert found.other[0] == "two"


def test_foreign_words_are_made_plain():
    found = subject(names=("a\nb", "c\x00"), class_names=["x\ty", "é", "<b>"], unit="m\u202e")
    assert (found.name, found.class_names, found.unit) == ("a b", ("x y", "é", "<b>"), "m\ufffd")


RAW = from_draws(torch.randn(4, 60, 3), Identity())


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (
            "classes",
            {"weight_scaled": torch.rand(60, 2)},
            r"weight_scaled= has the shape \(60, 2\); expected \(60, 3\)",
        ),
        ("classes", {"other": predictions.events()[0]}, "other= is a prediction of events; expected one of classes"),
        ("classes", {"other": RAW}, "a RawPrediction given as other=; expected one that MCDropout"),
        ("classes", {"recalibrated": torch.rand(60, 3)}, "recalibrated=a Tensor given; expected the prediction after"),
        ("classes", {"audit": "audit"}, r"audit=a str given; expected what mcdrop\.audit\(model, x\) returns"),
        ("classes", {"class_names": ["a"]}, "expected 3 names, one for each class"),
        ("classes", {"class_names": "abc"}, "expected 3 names, one for each class"),
        ("numbers", {"class_names": ["a"]}, "given for a prediction of numbers, which has no classes"),
        ("classes", {"names": "ab"}, "names='ab' given; expected two"),
        (
            "classes",
            {"images": torch.rand(59, 4, 4)},
            r"images= has the shape \(59, 4, 4\); expected one image for each",
        ),
        ("classes", {"images": torch.rand(60, 4)}, r"images= has the shape \(60, 4\)"),
        ("classes", {"images": torch.full((60, 4, 4), torch.nan)}, "images= has 960 values that are NaN or infinite"),
        ("numbers", {"weight_scaled": torch.full((60,), torch.nan)}, "60 predicted means are NaN or infinite"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_words(kind, given, message, without_type_checks):
    with pytest.raises(InputError, match=message):
        subject(kind, **given)


def test_probabilities_that_are_none_are_refused(without_type_checks):
    with pytest.raises(OutputError, match="sums over classes are off one"):
        subject(weight_scaled=torch.ones(60, 3))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.zeros(60), "class labels are integers from 0 to 2"),
        (torch.full((60,), 3), "labels of 3 classes go from 0 to 2"),
        (np.zeros((60, 1), dtype=int), r"Targets of shape \(60, 1\) given"),
        ([0] * 60, "A list given as targets"),
        (torch.zeros(0, dtype=torch.int64), r"Targets of shape \(0,\) given for predictions of 60 rows"),
    ],
)
def test_targets_that_do_not_fit_are_refused_in_words(targets, message, without_type_checks):
    prediction, _ = predictions.classes()
    with pytest.raises(InputError, match=message):
        checked(prediction, targets, **NOTHING)


@pytest.mark.parametrize("given", [torch.rand(60, 3), RAW, None])
def test_a_report_is_on_a_prediction(given, without_type_checks):
    with pytest.raises(InputError, match="given as the prediction; expected one that MCDropout"):
        checked(given, torch.zeros(60, dtype=torch.int64), **NOTHING)


def test_no_rows_make_no_report(without_type_checks):
    prediction, labels = predictions.classes()
    with pytest.raises(InputError, match="0 rows given, a report needs at least one"):
        checked(prediction[:0], labels[:0], **NOTHING)


def test_what_belongs_to_rows_is_thinned_with_them(monkeypatch):
    monkeypatch.setattr("mcdrop.report.thinning.MOST_LABELS", 30)
    prediction, labels = predictions.classes()
    images = torch.arange(60.0).reshape(60, 1, 1).expand(60, 2, 2)
    found = subject(images=images, weight_scaled=prediction.probs, recalibrated=prediction)
    assert torch.equal(found.images[:, 0, 0], torch.arange(0.0, 60, 2))
    assert torch.equal(found.targets, labels[::2])
    assert isinstance(found.weight_scaled, CategoricalPrediction)
    assert len(found.prediction) == len(found.weight_scaled) == len(found.recalibrated) == 30
    assert found.row_step == 2
    assert len(found.notes) == 1

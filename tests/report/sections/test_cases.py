import torch

from mcdrop.prediction import Categorical, from_draws
from mcdrop.report.pixels import png
from mcdrop.report.sections import cases
from mcdrop.report.subject import checked
from tests.report import predictions
from tests.report.test_subject import NOTHING, subject


def test_the_rows_of_largest_loss_come_first():
    prediction, labels = predictions.classes()
    worst, uncertain = cases.section(subject(class_names=["a", "b", "c"])).tables
    order = prediction.log_prob(labels).argsort()[: cases.MOST].tolist()
    assert [row[0] for row in worst.rows] == order
    assert [row[0] for row in uncertain.rows] == prediction.predictive_entropy.argsort(descending=True)[:8].tolist()
    cells = dict(zip(worst.columns, worst.rows[0], strict=True))
    assert cells["truth"] == "abc"[labels[order[0]]]
    assert cells["answer"] == "abc"[prediction.labels[order[0]]]
    assert cells["right or wrong"] == "wrong"


def test_images_are_those_of_the_rows():
    images = torch.arange(60.0).reshape(60, 1, 1).expand(60, 3, 3)
    table = cases.section(subject(images=images)).tables[0]
    assert table.images == tuple(png(images[row[0]], images) for row in table.rows)


def test_numbers_show_how_far_off_they_are_in_standard_deviations():
    prediction, targets = predictions.numbers()
    worst, uncertain = cases.section(subject("numbers")).tables
    row = worst.rows[0][0]
    assert row == int(prediction.log_prob(targets).argmin())
    cells = dict(zip(worst.columns, worst.rows[0], strict=True))
    off = (targets[row] - prediction.mean[row]) / prediction.std[row]
    assert cells["error in standard deviations"] == f"{off:.3g}".replace("-", "\u2212")
    assert "95 % interval" in cells
    assert uncertain.rows[0][0] == int(prediction.std.argmax())


def test_numbers_without_draws_are_listed_by_uncertainty_alone():
    prediction, targets = predictions.numbers(keep_samples=False)
    found = cases.section(checked(prediction, targets, **NOTHING))
    assert [table.caption for table in found.tables] == ["Least certain."]
    assert "95 % interval" not in found.tables[0].columns


def test_rows_of_many_labels_are_ranked_by_their_mean():
    prediction, labels = predictions.pixels()
    table = cases.section(subject("pixels")).tables[0]
    means = prediction.log_prob(labels).flatten(1).mean(dim=1)
    assert [row[0] for row in table.rows] == means.argsort().tolist()
    right = (prediction.labels == labels)[table.rows[0][0]].double().mean()
    assert table.rows[0][1] == f"{100 * right:.1f} %"


def test_several_numbers_of_a_row_have_a_common_error():
    prediction, targets = predictions.several_numbers()
    table = cases.section(subject("several numbers")).tables[0]
    row = table.rows[0][0]
    off = (prediction.mean[row] - targets[row]).square().mean().sqrt()
    assert table.rows[0][1] == f"{off:.3g}"


def test_rows_keep_the_numbers_that_they_were_given_with(monkeypatch):
    monkeypatch.setattr("mcdrop.report.thinning.MOST_LABELS", 30)
    prediction, labels = predictions.classes()
    table = cases.section(checked(prediction, labels, **NOTHING)).tables[0]
    order = (2 * prediction[::2].log_prob(labels[::2]).argsort()[: cases.MOST]).tolist()
    assert [row[0] for row in table.rows] == order


def test_tiny_probabilities_are_not_shown_as_none():
    draws = torch.tensor([[0.99998, 0.00002], [1.0, 1e-9]]).expand(3, 2, 2)
    prediction = from_draws(draws, Categorical(probs=True))
    table = cases.section(checked(prediction, torch.tensor([1, 1]), **NOTHING)).tables[0]
    given = [dict(zip(table.columns, row, strict=True))["probability of the truth"] for row in table.rows]
    assert given == ["less than 0.001 %", "0.002 %"]

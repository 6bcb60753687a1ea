import torch

from mcdrop.calibration import accuracy, brier_score
from mcdrop.prediction import Binary, Categorical, Gaussian, from_draws
from mcdrop.report import thinning
from mcdrop.report.thinning import Thinning, thinning_for
from tests.report import predictions


def test_what_can_be_ranked_in_seconds_stays_whole():
    for make in predictions.KINDS.values():
        assert thinning_for(*make()) == Thinning()


def test_of_very_many_rows_every_kth_is_taken(monkeypatch):
    monkeypatch.setattr(thinning, "MOST_LABELS", 25)
    prediction, labels = predictions.classes()
    thinned = thinning_for(prediction, labels)
    assert thinned.rows == 3
    assert thinned.notes == ("Of 60 rows every 3rd is scored: 60 labels in all, more than 25, take minutes.",)
    assert torch.equal(thinned.targets(labels), labels[::3])
    assert torch.equal(thinned.predicted(prediction).probs, prediction.probs[::3])


def test_of_very_many_pixels_every_kth_of_each_image_is_taken(monkeypatch):
    monkeypatch.setattr(thinning, "MOST_LABELS", 100)
    prediction, labels = predictions.pixels()  # 8 images of 30
    thinned = thinning_for(prediction, labels)
    assert (thinned.rows, thinned.elements) == (1, 3)
    assert thinned.notes[0].startswith("Of the 30 labels of each row every 3rd is scored, counted line by line")
    part, left = thinned.predicted(prediction), thinned.targets(labels)
    assert torch.equal(left, labels.flatten(1)[:, ::3])
    assert torch.equal(part.probs, prediction.probs.flatten(2)[:, :, ::3])
    # the same as a prediction made of these pixels alone, Monte Carlo errors included
    generator = torch.Generator().manual_seed(5)
    logits = 2 * torch.randn(8, 3, 6, 5, generator=generator)
    logits.softmax(dim=1).movedim(1, -1).reshape(-1, 3).multinomial(1, generator=generator)
    draws = logits + torch.randn(predictions.DRAWS, 8, 3, 6, 5, generator=generator)
    alone = from_draws(draws.flatten(3)[:, :, :, ::3], Categorical(class_dim=1))
    for score in (accuracy, brier_score):
        assert score(part, left) == score(alone, left)
    torch.testing.assert_close(part.mutual_information, alone.mutual_information)


def test_of_very_many_rows_of_a_few_labels_both_are_thinned(monkeypatch):
    prediction, labels = predictions.pixels()
    monkeypatch.setattr(thinning, "MOST_LABELS", 3)
    thinned = thinning_for(prediction, labels)  # 8 rows of 30 labels
    assert (thinned.rows, thinned.elements) == (3, 30)
    assert thinned.targets(labels).shape == thinned.predicted(prediction).labels.shape == (3, 1)
    assert thinned.notes[0].startswith("Of the 30 labels of each row every 30th is scored")
    assert "and of 8 rows every 3rd is scored: 240 labels in all" in thinned.notes[0]


def test_events_in_pixels_are_thinned_too(monkeypatch):
    monkeypatch.setattr(thinning, "MOST_LABELS", 10)
    draws = torch.randn(4, 2, 5, 3)
    prediction, happened = from_draws(draws, Binary()), torch.zeros(2, 5, 3)
    thinned = thinning_for(prediction, happened)
    assert torch.equal(thinned.predicted(prediction).probs, prediction.probs.flatten(1)[:, ::3])


def test_of_numbers_it_is_the_draws_that_count(monkeypatch):
    monkeypatch.setattr(thinning, "MOST_NUMBERS", 600)
    prediction = from_draws(torch.randn(20, 60), Gaussian(1.0))
    assert thinning_for(prediction, torch.zeros(60)).rows == 2

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from mcdrop.calibration.judged import judged, uncertainties
from mcdrop.errors import InputError, UnavailableError
from mcdrop.prediction import Binary, Categorical, from_draws

DRAWS = torch.rand(6, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(-1)
TARGETS = torch.tensor([0, 1, 2, 0, 1])


def test_measures_without_a_group_are_those_of_the_other_draws():
    prediction = from_draws(DRAWS, Categorical(probs=True))
    for row, kept in enumerate([DRAWS, *(torch.cat([DRAWS[:t], DRAWS[t + 1 :]]) for t in range(6))]):
        total = stats.entropy(kept.mean(dim=0), axis=1)
        expected = {
            "least_confidence": 1 - kept.mean(dim=0).amax(dim=1).numpy(),
            "predictive_entropy": total,
            "mutual_information": total - stats.entropy(kept, axis=2).mean(axis=0),
        }
        for measure, values in expected.items():
            found = uncertainties(prediction, measure)[row, :, 0]
            np.testing.assert_allclose(found, values, rtol=1e-9, atol=1e-12)


def test_an_array_is_taken_as_it_is_for_all_groups():
    given = np.arange(5.0)[::-1]
    of = judged(from_draws(DRAWS, Categorical(probs=True)), TARGETS, given)
    assert of.uncertainty.shape == of.wrong.shape == (7, 5, 1)
    assert (of.uncertainty[..., 0] == torch.from_numpy(given.copy())).all()


def test_rows_in_pieces_give_the_same(monkeypatch):
    prediction = from_draws(DRAWS[..., 0], Binary(probs=True))
    whole = uncertainties(prediction, "mutual_information")
    monkeypatch.setattr("mcdrop.calibration.judged.row_pieces", lambda *_: [slice(0, 2), slice(2, 5)])
    torch.testing.assert_close(uncertainties(prediction, "mutual_information"), whole)


def test_an_unknown_measure(without_type_checks):
    with pytest.raises(InputError, match="uncertainty='variance' given; expected an array of one number for each"):
        uncertainties(DRAWS[0], "variance")


def test_what_holds_no_entropies_of_its_draws_has_no_mutual_information():
    whole = from_draws(DRAWS, Categorical(probs=True))
    without = replace(whole, moments={"probs": whole.moments["probs"]})
    with pytest.raises(UnavailableError, match="expected_entropy needs the probabilities of each draw"):
        judged(without, TARGETS, "mutual_information")
    assert judged(without, TARGETS, "predictive_entropy").uncertainty.shape == (7, 5, 1)


def test_a_number_is_no_array_of_uncertainties():
    with pytest.raises(InputError, match=r"Uncertainties of shape \(\) given for 5 rows of 1 labels"):
        judged(DRAWS[0], TARGETS, np.array(1.0))

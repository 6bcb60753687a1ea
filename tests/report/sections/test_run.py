import torch

from mcdrop.prediction import Categorical, Provenance, from_draws
from mcdrop.report.sections import run
from mcdrop.report.subject import checked
from tests.report import predictions
from tests.report.test_subject import NOTHING


def test_what_was_run_is_listed_for_each_predictor():
    provenance = Provenance(
        num_samples=4, seed=7, design="Stratified(2)", block_size=2, execution="loop: <reason>", mcdrop_version="1.2"
    )
    draws = torch.randn(4, 60, 3)
    seeded = from_draws(draws, Categorical(), block_size=2, provenance=provenance)
    prediction, labels = predictions.classes()
    found = run.section(checked(seeded, labels, **{**NOTHING, "other": prediction}))
    first, second, versions = found.tables
    values = dict(first.rows)
    assert values["seed of the masks"] == 7
    assert values["draws, T"] == 4
    assert values["execution of the passes"] == "loop: <reason>"
    assert values["mcdrop"] == "1.2"
    assert values["all rows see the same draw"] == "yes"
    assert dict(second.rows)["seed of the masks"] == "\u2013"
    assert second.caption == "Prediction: two."
    assert {"numpy", "Python"} <= set(dict(versions.rows))

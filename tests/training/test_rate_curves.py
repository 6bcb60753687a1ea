"""The record of a sweep, from numbers made for it."""

import json

import torch
from torch import nn

from mcdrop.calibration import Score
from mcdrop.training import AtRate, History, OverSeeds, Sweep


def measured(value: float) -> OverSeeds:
    return OverSeeds(Score(value, 0.0, None, influence=torch.zeros(5)), (value,))


def point(rate: float, test: float, train: float, *, tree: float = 9.0, forest: float = 0.0) -> AtRate:
    def contenders(value: float) -> dict[str, OverSeeds]:
        return {"one tree": measured(tree), "weight-scaled net": measured(value), "forest": measured(forest)}

    losses = {f"{part}_{name}": contenders(value) for part, value in (("test", test), ("train", train))
              for name in ("loss", "error")}  # fmt: skip
    return AtRate(rate, **losses, models=(nn.Identity(),), histories=(History((2.0, 1.0)),))


SWEEP = Sweep((point(0.5, 2.0, 1.5), point(0.0, 3.0, 1.0, forest=-5.0), point(0.9, 4.0, 4.0)), (0,), 10, "rmse")


def test_rates_are_judged_by_the_weight_scaled_net() -> None:
    assert SWEEP.best.rate == 0.5
    assert SWEEP.fits == ("the best", "overfits", "underfits")
    assert SWEEP.answers[1] == (
        "p = 0: overfits; test loss 3 is 2 ± 0 above train loss 1; test loss is 1 ± 0 above that of p = 0.5, and train "
        "loss is 0.5 ± 0 below."
    )


def test_the_print_holds_both_tables_and_the_answers() -> None:
    lines = str(SWEEP).splitlines()
    assert lines[0].split("  ")[0] == "loss"
    assert " ".join(lines[2].split()) == "p = 0 9 ± 0 1 ± 0 -5 ± 0 9 ± 0 3 ± 0 -5 ± 0"  # train, then test
    assert lines[5].split("  ")[0] == "rmse"
    assert "one seed, so what another one would change is not in it; T = 10." in lines[10]
    assert tuple(lines[-3:]) == SWEEP.answers


def test_the_record_is_json() -> None:
    record = json.loads(json.dumps(SWEEP.to_dict()))
    assert record["best"] == 0.5
    assert [each["fit"] for each in record["points"]] == list(SWEEP.fits)
    assert record["points"][2]["test_loss"]["weight-scaled net"]["value"] == 4.0
    assert record["points"][2]["train_error"]["one tree"]["value"] == 9.0
    assert record["points"][0]["history"] == [[2.0, 1.0]]
    assert record["answers"] == list(SWEEP.answers)

import json
import os

import numpy as np
import pytest
import torch

import mcdrop
from mcdrop.cli import main, model
from mcdrop.cli.recorded import open_file


def _predict(*more, out="p.npz", network="network:build", source="data.npz:x", likelihood="categorical"):
    words = ["predict", network, "--input", source, "--likelihood", likelihood, "--out", out]
    return main([*words, "--num-samples", "10", *more])


def _inputs():
    return torch.from_numpy(np.load("data.npz")["x"]).float()


def _in_python(**options):
    mc = mcdrop.MCDropout(
        model.load("network:build"), likelihood=mcdrop.Categorical(), **{"num_samples": 10, "seed": 0, **options}
    )
    return mc(_inputs())


def test_the_file_holds_what_mcdropout_predicts(project, capsys):
    assert _predict() == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "CategoricalPrediction: 40 rows, T=10, seed=0" in shown.out
    assert "written to p.npz, with the answer of the weight-scaled network and the audit" in shown.out
    found, expected = open_file(project / "p.npz"), _in_python()
    assert torch.equal(mcdrop.load("p.npz").probs, expected.probs)
    assert torch.equal(found.prediction.mc_error, expected.mc_error)
    assert found.prediction.samples is None
    assert found.prediction.provenance == expected.provenance
    network = model.load("network:build")
    scaled = network(_inputs()).double().softmax(-1)
    torch.testing.assert_close(found.weight_scaled.probs, scaled)
    assert found.weight_scaled.mc_error is None
    assert found.audit == mcdrop.audit(network, _inputs()[:8])
    assert found.run["model"] == "network:build"
    assert found.run["inputs"] == ["data.npz:x"]
    assert found.run["rows"] == 40


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--seed", "3"], {"seed": 3}),
        (["--design", "stratified:5"], {"design": mcdrop.Stratified(5)}),
        (["--design", "antithetic"], {"design": mcdrop.Antithetic()}),
        (["--own-masks"], {"shared_masks": False}),
        (["--only", "2:dropout"], {"sites": mcdrop.Sites(only="2:dropout")}),
        (["--keep-samples"], {"keep_samples": True}),
        (["--batch-size", "7"], {}),
    ],
)
def test_options_are_those_of_mcdropout(project, words, options):
    assert _predict(*words) == 0
    found, expected = mcdrop.load("p.npz"), _in_python(**options)
    torch.testing.assert_close(found.probs, expected.probs)
    assert found.provenance.design == expected.provenance.design
    assert (found.samples is None) == (expected.samples is None)


def test_draws_are_kept_where_intervals_need_them_unless_they_are_refused(project):
    options = {"network": "network:mean", "likelihood": "gaussian:4"}
    assert _predict(**options) == 0
    assert mcdrop.load("p.npz").samples.shape == (10, 40, 1)
    assert _predict("--no-keep-samples", **options) == 0
    assert mcdrop.load("p.npz").samples is None


def test_columns_of_a_table_and_weights_of_a_file(project):
    source = {"source": "data.csv:-price"}
    assert _predict("--weights", "weights.pt", **source) == 0
    network = model.load("network:build", weights="weights.pt")
    expected = network(_inputs()).double().softmax(-1)
    torch.testing.assert_close(open_file(project / "p.npz").weight_scaled.probs, expected, rtol=1e-5, atol=1e-6)


def test_a_part_of_the_output_and_inputs_by_name(project, capsys):
    words = ["predict", "network:Two", "--input", "b=data.npz:x", "--input", "a=data.npz:x", "--out", "p.npz"]
    assert main([*words, "--likelihood", "categorical", "--num-samples", "4", "--output", "logits"]) == 0
    assert mcdrop.load("p.npz").probs.shape == (40, 3)
    assert "forward" not in capsys.readouterr().out


def test_json_is_strict_and_names_what_was_found(project, capsys):
    assert _predict("--json", network="network:mean", likelihood="gaussian:4") == 0
    shown = capsys.readouterr()
    record = json.loads(shown.out, parse_constant=pytest.fail)
    assert record["prediction"] == "RegressionPrediction"
    assert record["rows"] == 40
    assert record["means"]["aleatoric"] == pytest.approx(0.25)
    assert record["means"]["mean"] == pytest.approx(mcdrop.load("p.npz").mean.mean().item())
    assert record["provenance"]["num_samples"] == 10
    assert record["sites"] == ["2:dropout"]
    assert record["samples_kept"] is True


@pytest.mark.parametrize(
    ("network", "likelihood", "kind"),
    [
        ("mean", "binary", "BinaryPrediction"),
        ("pair", "categorical", "CategoricalPrediction"),
        ("pair", "gaussian:4,1", "RegressionPrediction"),
        ("pair", "heteroscedastic", "RegressionPrediction"),
        ("mean", "poisson", "RegressionPrediction"),
        ("pair", "identity", "RawPrediction"),
    ],
)
@pytest.mark.parametrize("num_samples", ["1", "10"])
def test_every_likelihood_makes_its_prediction_of_one_draw_too(project, capsys, network, likelihood, kind, num_samples):
    assert _predict("--json", "--num-samples", num_samples, network=f"network:{network}", likelihood=likelihood) == 0
    record = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    found = open_file(project / "p.npz")
    assert record["prediction"] == kind == type(found.prediction).__name__ == type(found.weight_scaled).__name__
    assert record["means"]
    assert found.prediction.num_samples == int(num_samples)


def test_the_same_command_writes_the_same_file_again(project):
    for name in ("one.npz", "two.npz"):
        assert _predict(out=name) == 0
    assert (project / "one.npz").read_bytes() == (project / "two.npz").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "network:ready"}, "No stochastic site in Linear: no dropout operation runs in it"),
        ({"source": "data.npz:z"}, "data.npz was given with the key 'z'"),
        ({"source": "data.npz:y"}, "network:build, run on the first rows of the inputs (int64 (8,)), raised"),
        ({"likelihood": "binary:probs"}, "Binary(probs=True)"),
        ({"out": "absent/p.npz"}, "There is no folder absent to write p.npz to"),
        ({"out": "."}, ". is a folder; expected the name of a file to write"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_no_file(project, capsys, options, message):
    before = set(os.listdir())
    assert _predict(**options) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.startswith("mcdrop: error: ")
    assert shown.err.count("\n") == 1
    assert set(os.listdir()) - {"__pycache__"} == before


def test_an_interruption_keeps_the_old_file_and_leaves_no_other(project, capsys, monkeypatch):
    assert _predict() == 0
    old, before = (project / "p.npz").read_bytes(), set(os.listdir())

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)  # all is written, nothing is in its place yet
    assert _predict("--seed", "5") == 130
    assert capsys.readouterr().err == "mcdrop: interrupted\n"
    assert (project / "p.npz").read_bytes() == old
    assert set(os.listdir()) == before


def test_a_full_disk_is_one_line(project, capsys, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device", "p.npz")

    monkeypatch.setattr(os, "fsync", full)
    assert _predict() == 1
    assert capsys.readouterr().err == "mcdrop: error: [Errno 28] No space left on device: 'p.npz'\n"
    assert not (project / "p.npz").exists()


def test_a_model_whose_rows_influence_each_other_has_no_audit_but_a_prediction(project, capsys):
    (project / "mixing.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.drop = nn.Dropout(0.5)\n\n    def forward(self, x):\n        return self.drop(x - x.mean(0))\n"
    )
    assert _predict(network="mixing:Net") == 1
    assert "The rows of the input influence each other" in capsys.readouterr().err
    assert _predict("--own-masks", network="mixing:Net") == 0
    assert open_file(project / "p.npz").audit is None
    assert "with the answer of the weight-scaled network\n" in capsys.readouterr().out

import json

import torch
import torch.nn.functional as F
from torch import nn

import mcdrop
from tests.networks import ConvNet, trained_looking

X = torch.randn(3, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Shuffle(nn.Module):
    """A random operation that mcdrop cannot control."""

    def forward(self, x):
        return x[torch.randperm(len(x))] if self.training else x


class Mixed(nn.Module):
    """One site of each kind, and what stays off."""

    def __init__(self) -> None:
        super().__init__()
        self.net = ConvNet()
        self.shuffle = Shuffle()

    def forward(self, x):
        out = F.dropout(self.net(x), 0.2, self.training)
        return F.dropout(self.shuffle(out), 0.5, False)


def test_the_table_says_what_there_is() -> None:
    audit = mcdrop.audit(trained_looking(Mixed()), X)
    assert audit.model == "Mixed"
    assert [(row["site"], row["p"], row["law"], row["rows on"]) for row in audit.rows()] == [
        ("net.body.3:dropout2d", "0.3", "Bernoulli(keep 0.7), whole channels", "axis 0"),
        ("net.body.7:dropout2d", "0.3", "Bernoulli(keep 0.7), whole channels", "axis 0"),
        ("net.head.1:dropout", "0.3", "Bernoulli(keep 0.7)", "axis 0"),
        ("(model):dropout", "0.2", "Bernoulli(keep 0.8)", "axis 0"),
    ]
    assert audit.sites[3].source.startswith("test_audit_table.py:")
    assert audit.sites[3].established.startswith("read of training at test_audit_table.py:")
    assert audit.off == ("(model):dropout#2: called with training=False",)
    assert len(audit.uncontrolled) == 1
    assert "randperm in Shuffle (shuffle)" in audit.uncontrolled[0]


def test_it_prints_as_text_and_html_and_json() -> None:
    audit = mcdrop.audit(trained_looking(Mixed()), X)
    lines = str(audit).splitlines()
    assert lines[0] == "Mixed: 4 dropout sites"
    assert lines[1].split() == ["site", "source", "p", "law", "rows", "on", "established", "by"]
    assert sum("NOT CONTROLLED" in line for line in lines) == 1
    html = audit._repr_html_()
    assert html.count("<tr>") == 5
    assert "&lt;" not in mcdrop.audit(nn.Dropout(), X)._repr_html_()
    record = json.loads(audit.to_json())
    assert record["sites"][0]["row"] == {"axis": 0, "outer": 1, "inner": 1}


def test_what_fires_in_evaluation_mode_gets_a_column_and_long_evidence_a_line_below() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.3)

        def forward(self, x):
            return F.dropout(self.drop(F.dropout(F.dropout(x, 0.1), 0.1)), 0.2, self.training)

    lines = str(mcdrop.audit(Both(), X)).splitlines()
    assert [line.split()[-4:] for line in lines[1:6]] == [
        ["in", "eval", "established", "by"],
        ["axis", "0", "fires", "[1]"],
        ["axis", "0", "fires", "[1]"],
        ["axis", "0", "off", "Dropout"],
        ["axis", "0", "off", "[2]"],
    ]
    assert lines[6] == "  [1] called with training=True"
    assert lines[7].startswith("  [2] read of training at test_audit_table.py:")
    assert len(lines) == 8


def test_a_coin_for_a_whole_layer_is_said_to_be_one() -> None:
    class Skipping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return x if self.training and torch.rand(()) < 0.5 else self.layer(x)

    (row,) = mcdrop.audit(Skipping(), torch.ones(2, 4)).rows()
    assert (row["law"], row["p"], row["rows on"]) == ("uniform(0, 1), a coin", "-", "-")


def test_hostile_names_cannot_inject_html() -> None:
    model = nn.Sequential()
    model.add_module("<script>alert(1)</script>", nn.Dropout())
    html = mcdrop.audit(model, X)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_model_without_dropout_is_a_result() -> None:
    assert str(mcdrop.audit(nn.Linear(4, 2), torch.ones(2, 4))) == "Linear: 0 dropout sites"

import torch
from torch import nn

import mcdrop
from mcdrop.report.sections import audited
from mcdrop.sites import Audit
from tests.report.test_subject import subject


def test_the_sites_of_the_audit_are_listed():
    audit = mcdrop.audit(nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.25), nn.Linear(4, 2)), torch.zeros(5, 3))
    found = audited.section(subject(audit=audit))
    assert found.tables[0].columns[0] == "site"
    assert found.tables[0].rows == tuple(tuple(row.values()) for row in audit.rows())
    assert "Sequential" in found.tables[0].caption


def test_what_did_not_take_part_is_listed_with_its_reason():
    audit = Audit("Net", (), ("noise on the input",), ("a custom operator",))
    found = audited.section(subject(audit=audit))
    assert found.tables[0].rows == (("off", "noise on the input"), ("not controlled", "a custom operator"))


def test_no_audit_and_an_empty_one_are_told_apart():
    assert "audit= takes what mcdrop.audit(model, x) returns" in audited.section(subject()).absent
    assert audited.section(subject(audit=Audit("Net", (), (), ()))).absent == "The audit of Net found no dropout site."

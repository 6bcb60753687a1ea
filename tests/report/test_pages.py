"""The reports that stand in the documentation."""

import json
from pathlib import Path

import jsonschema
import pytest

from tests.report.test_writing import SCHEMA, Structure, strict

FOLDER = Path(__file__).parents[2] / "docs" / "reports"
PAGES = sorted(FOLDER.glob("*.html"))


def test_there_are_three_and_the_page_on_reports_links_them():
    text = (FOLDER.parent / "report.md").read_text()
    assert [page.stem for page in PAGES] == ["digits", "energy", "rivals"]
    for page in PAGES:
        assert f"(reports/{page.name})" in text
        assert f"python docs/reports/examples.py {page.stem} --out docs/reports" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_is_a_report_of_today(page):
    found = strict(page.with_suffix(".json").read_text())
    jsonschema.validate(found, SCHEMA, jsonschema.Draft202012Validator)
    assert page.stat().st_size < 1_000_000
    shown = Structure(page.read_text())
    assert found["title"] in shown.texts
    text = " ".join(shown.texts).replace("\u00a0", " ")
    assert all(sentence["answer"] in text for sentence in found["verdict"])
    assert all(number["text"] in text for section in found["sections"] for number in section["numbers"])
    assert "unknown" not in json.dumps(found["provenance"])

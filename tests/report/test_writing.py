import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import matplotlib
import pytest
import torch

import mcdrop
from mcdrop import calibration, report
from mcdrop.calibration import Temperature
from mcdrop.errors import InputError
from tests.report import predictions

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</style></title><svg onload=alert(1)>",
    "javascript:alert(1)//{{ 7 * 7 }}{% include 'x' %}",
    "ünï\u202ecödé \x00\ud800 $\\frac{1}{0}$ _hidden & so on",
)


def strict(text: str) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


class Structure(HTMLParser):
    """The elements of a page and the names of their attributes: in order, and as a set of those within drawings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.drawn: set[str] = set()
        self.texts: list[str] = []
        self.in_drawing = False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        names = (tag, *(name for name, _ in attributes))
        self.in_drawing |= tag == "svg"
        if self.in_drawing:
            self.drawn |= set(names)
        else:
            self.elements.append(names)

    def handle_endtag(self, tag):
        self.in_drawing &= tag != "svg"

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("kind", predictions.KINDS)
def test_both_files_stand_for_every_kind_and_the_json_obeys_its_schema(kind, tmp_path):
    prediction, targets = predictions.KINDS[kind]()
    written = report.write(prediction, targets, tmp_path / "page.html")
    assert sorted(os.listdir(tmp_path)) == ["page.html", "page.json"]
    found = strict((tmp_path / "page.json").read_text())
    jsonschema.validate(found, SCHEMA, jsonschema.Draft202012Validator)
    assert found == json.loads(json.dumps(written.to_dict()))
    page = (tmp_path / "page.html").read_text()
    absent = [section for section in written.sections if section.absent]
    assert all(section.title in page for section in written.sections)
    assert all(not (s.numbers or s.pairs or s.tables or s.pictures) for s in absent)
    assert all(s.numbers or s.pairs or s.tables or s.pictures for s in written.sections if not s.absent)


def test_the_schema_is_one_and_refuses_what_is_no_report():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"format": "mcdrop.report"}, SCHEMA)


def everything(tmp_path, *, names=("MC dropout", "another"), words=("a", "b", "c"), title="Title", metadata=None):
    """A report with every section filled that classes have."""
    prediction, labels = predictions.classes()
    temperature = Temperature.fit(prediction, labels)
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout(0.5))
    return report.write(
        prediction,
        labels,
        tmp_path / "page.html",
        weight_scaled=prediction.probs[:, [1, 0, 2]],
        recalibrated=temperature(prediction),
        other=prediction.probs.square() / prediction.probs.square().sum(dim=1, keepdim=True),
        names=names,
        audit=mcdrop.audit(model, torch.zeros(2, 3)),
        images=torch.rand(len(labels), 4, 5),
        class_names=words,
        title=title,
        metadata=metadata or {"model": "b"},
    )


def test_every_number_names_a_public_function_that_is_there(tmp_path):
    def sources(value):
        if isinstance(value, dict):
            yield from ([value["source"]] if "source" in value else [])
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                yield from sources(each)

    everything(tmp_path)
    found = set(sources(json.loads((tmp_path / "page.json").read_text())))
    numbers, targets = predictions.numbers()
    report.write(numbers, targets, tmp_path / "page.html", weight_scaled=numbers.mean, other=numbers[:])
    found |= set(sources(json.loads((tmp_path / "page.json").read_text())))
    named = {name for source in found for name in re.findall(r"mcdrop(?:\.[A-Za-z_]+)+", source)}
    assert len(named) > 20
    for name in named:
        thing = mcdrop
        for part in name.split(".")[1:]:
            assert not part.startswith("_"), name
            thing = getattr(thing, part)
    unnamed = {source for source in found if "mcdrop." not in source}
    assert unnamed == {"the functions named in the table", "importlib.metadata.version"}


def test_the_numbers_are_those_of_the_functions_that_they_name(tmp_path):
    prediction, labels = predictions.classes()
    written = report.write(prediction, labels, tmp_path / "page.html")
    for number in written.section("scores").numbers:
        score = getattr(calibration, number.name)(prediction, labels)
        assert number.source == f"mcdrop.calibration.{number.name}"
        assert (number.value, number.standard_error, number.mc_error) == (
            score.value,
            score.standard_error,
            score.mc_error,
        )


def test_one_report_has_the_same_bytes_each_time(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        torch.manual_seed(0)  # of the images
        everything(folder)
    for name in ("page.html", "page.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_random_state_and_settings_of_matplotlib_stay_as_they_are(tmp_path):
    prediction, labels = predictions.classes()
    random, settings = torch.get_rng_state(), dict(matplotlib.rcParams)
    report.write(prediction, labels, tmp_path / "page.html")
    assert torch.equal(random, torch.get_rng_state())
    assert settings == dict(matplotlib.rcParams)


def test_hostile_words_add_no_element_and_no_attribute(tmp_path):
    everything(tmp_path, metadata={"k0": "v", "k1": "v", "k2": "v", "k3": "v", "k4": "v"})
    harmless = Structure((tmp_path / "page.html").read_text())
    metadata = {f"{index}{text}": text for index, text in enumerate(HOSTILE)}
    everything(tmp_path, names=(HOSTILE[0], HOSTILE[4]), words=HOSTILE[1:4], title=HOSTILE[2], metadata=metadata)
    page = (tmp_path / "page.html").read_text()
    found = Structure(page)
    assert found.elements == harmless.elements
    assert found.drawn == harmless.drawn  # how many ticks there are hangs on the room that words leave
    every = found.drawn.union(*found.elements)
    assert not every & {"script", "iframe", "object", "embed", "base", "form"}
    assert not [name for name in every if name.startswith("on")]
    assert HOSTILE[2] in found.texts  # seen as what it is
    assert "<script" not in page
    assert "\u202e" not in page
    assert HOSTILE[3] in found.texts  # computed by no template
    strict((tmp_path / "page.json").read_text())


def test_a_page_holds_nothing_that_is_fetched_or_run(tmp_path):
    everything(tmp_path)
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r"(?:src|href|action|data)\s*=\s*[\"'](?!data:|#)", page)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page


@pytest.mark.parametrize("name", ["report", "report.json", "report.pdf"])
def test_the_name_of_a_page_ends_in_html(name, tmp_path):
    prediction, labels = predictions.classes()
    with pytest.raises(InputError, match=r"expected a name that ends in \.html, such as 'report\.html'"):
        report.write(prediction, labels, tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_nothing_is_written_where_an_argument_does_not_fit(tmp_path):
    prediction, labels = predictions.classes()
    with pytest.raises(InputError, match=r"Targets of shape \(59,\) given for predictions of 60 rows"):
        report.write(prediction, labels[:-1], tmp_path / "page.html")
    assert os.listdir(tmp_path) == []


def test_a_file_that_cannot_be_replaced_leaves_no_half_written_one(tmp_path):
    prediction, labels = predictions.classes()
    (tmp_path / "page.html").write_text("before")
    (tmp_path / "page.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        report.write(prediction, labels, tmp_path / "page.html")
    assert sorted(os.listdir(tmp_path)) == ["page.html", "page.json"]


def test_a_report_that_is_there_is_replaced(tmp_path):
    prediction, labels = predictions.classes()
    for title in ("First", "Second"):
        report.write(prediction, labels, tmp_path / "page.htm", title=title)
    assert "<title>Second</title>" in (tmp_path / "page.htm").read_text()
    assert sorted(os.listdir(tmp_path)) == ["page.htm", "page.json"]


@pytest.mark.slow
def test_a_hundred_thousand_rows_of_ten_classes_make_a_page_below_three_megabytes(tmp_path):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(100_000, 10, generator=generator)
    labels = logits.softmax(dim=1).multinomial(1, generator=generator)[:, 0]
    draws = logits + torch.randn(20, 100_000, 10, generator=generator)
    prediction = mcdrop.prediction.from_draws(draws, mcdrop.Categorical())
    report.write(prediction, labels, tmp_path / "page.html", weight_scaled=logits.softmax(dim=1))
    assert (tmp_path / "page.html").stat().st_size < 3_000_000
    assert (tmp_path / "page.json").stat().st_size < 1_000_000

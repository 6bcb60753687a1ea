import re
import xml.etree.ElementTree as ET
from functools import partial

import matplotlib
import pytest

from mcdrop.report.figures import svg
from mcdrop.report.record import Picture


def picture(name: str, draw) -> Picture:
    return Picture(name, draw, "caption", "alternative", "source", {"x": (1.0,)})


def line(ax, label="a line"):
    ax.plot([0, 1], [0, 1], label=label)
    ax.text(0.5, 0.5, "text")
    ax.legend()


def test_a_drawing_is_one_element_that_html_can_hold():
    text = svg(picture("one", line))
    root = ET.fromstring(text)
    assert root.tag == "svg"
    assert "viewBox" in root.attrib
    assert not {"width", "height"} & set(root.attrib)  # as wide as the page lets it be
    assert not [element for element in root.iter() if ":" in element.tag or "}" in element.tag]
    assert "metadata" not in text
    assert "http" not in text


def test_text_has_the_colour_of_the_page_and_stays_text():
    text = svg(picture("one", line))
    assert "currentColor" in text
    assert "#010203" not in text
    assert ">text</text>" in text


def test_names_in_two_drawings_of_a_page_are_different_and_refer_to_their_own():
    first, second = (svg(picture(name, line)) for name in ("one", "two"))
    names = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (first, second)]
    assert names[0]
    assert not names[0] & names[1]
    for text, own in zip((first, second), names, strict=True):
        used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
        assert used == own


def test_hostile_labels_are_text():
    text = svg(picture("one", partial(line, label="</text><script>alert(1)</script>&\" onload='x'")))
    root = ET.fromstring(text)
    assert not [element for element in root.iter() if element.tag == "script"]
    assert "</text><script>alert(1)</script>&\" onload='x'" in [element.text for element in root.iter()]


def test_letters_that_matplotlib_has_not_are_left_to_the_browser():
    assert "漢字" in svg(picture("one", partial(line, label="漢字")))  # a warning would be an error here


def test_a_style_of_the_writer_changes_nothing():
    plain = svg(picture("one", line))
    with matplotlib.rc_context({"axes.grid": True, "font.size": 30, "lines.linewidth": 9, "figure.facecolor": "red"}):
        assert svg(picture("one", line)) == plain


def test_settings_return_to_what_they_were_when_drawing_fails():
    def fail(ax):
        raise RuntimeError("broken")

    before = dict(matplotlib.rcParams)
    with pytest.raises(RuntimeError, match="broken"):
        svg(picture("one", fail))
    assert dict(matplotlib.rcParams) == before

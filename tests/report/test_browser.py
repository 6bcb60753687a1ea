"""Reports in a real browser: Chromium, driven by Selenium. `MCDROP_NEEDS_BROWSER=1` makes its absence a failure."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mcdrop import report
from mcdrop.calibration import Temperature
from tests.report import predictions

pytestmark = pytest.mark.slow

WIDE, PHONE = 1100, 360
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def absent(why: str) -> None:
    if os.environ.get("MCDROP_NEEDS_BROWSER"):
        pytest.fail(f"MCDROP_NEEDS_BROWSER is set, and {why}")
    pytest.skip(why)


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        absent("there is no chromium or no chromedriver on the path (Debian: apt install chromium chromium-driver)")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        absent("selenium is not installed (pip install selenium)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()


@pytest.fixture(scope="module", params=["classes", "numbers", "pixels"])
def page(request, tmp_path_factory) -> Path:
    prediction, targets = predictions.KINDS[request.param]()
    path = tmp_path_factory.mktemp("report") / "page.html"
    if request.param == "numbers":
        report.write(prediction, targets, path, weight_scaled=prediction.mean, other=prediction[:], unit="m")
        return path
    probs = prediction.probs.square() / prediction.probs.square().sum(dim=1, keepdim=True)
    recalibrated = Temperature.fit(prediction, targets)(prediction)
    report.write(
        prediction,
        targets,
        path,
        weight_scaled=probs,
        other=probs,
        recalibrated=recalibrated,
        images=torch.rand(len(targets), 6, 5),
        class_names=["a", "<b>", "a rather long name of a class, which makes the table of cases a wide one"],
        names=("MC dropout", "another_predictor_whose_name_cannot_be_broken_anywhere_at_all"),
        metadata={"model": "m" * 150},
    )
    return path


def opened(browser, page: Path, *, width: int = WIDE, scheme: str = "light") -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # what was before
    browser.get(page.as_uri())


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, as the Web Content Accessibility Guidelines define it."""
    parts = [float(each) / 255 for each in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_the_console_stays_silent_and_nothing_is_fetched(browser, page, width):
    opened(browser, page, width=width)
    assert browser.get_log("browser") == []
    sent = [
        entry["message"] for entry in browser.get_log("performance") if 'Network.requestWillBeSent"' in entry["message"]
    ]
    assert any(page.as_uri() in message for message in sent)  # the log would show a request
    resources = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in resources if not name.startswith("data:")] == []


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_picture_is_seen_and_has_words(browser, page, width, scheme):
    opened(browser, page, width=width, scheme=scheme)
    drawings = browser.execute_script(
        """return [...document.querySelectorAll('figure')].map(figure => {
            const svg = figure.querySelector('svg'), box = svg.getBoundingClientRect();
            const marks = [...svg.querySelectorAll('path, use, text')].filter(
                mark => mark.getBoundingClientRect().width + mark.getBoundingClientRect().height > 0);
            const texts = [...svg.querySelectorAll('text')].map(text => text.getBoundingClientRect());
            return [box.width, box.height, marks.length,
                    figure.querySelector('[role=img]').getAttribute('aria-label'),
                    figure.querySelector('figcaption').innerText,
                    Math.max(...texts.map(text => text.right - box.right), ...texts.map(text => box.left - text.left))];
        })"""
    )
    assert drawings
    for wide, high, marks, words, caption, beyond in drawings:
        assert wide > 200
        assert high > 50
        assert marks > 10
        assert len(words) > 30
        assert len(caption) > 30
        assert beyond < 4  # no word is cut
    images = browser.execute_script(
        "return [...document.images].map(image => [image.complete, image.naturalWidth, image.width, image.alt])"
    )
    assert all(complete and natural and shown and words for complete, natural, shown, words in images)


def test_a_phone_shows_the_page_without_scrolling_to_the_side(browser, page):
    opened(browser, page, width=PHONE)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE
    cut = browser.execute_script(
        """return [...document.querySelectorAll('main p, main dd, main dt, h1, h2, figcaption, code, .numbers td')]
            .filter(e => e.offsetParent && e.closest('.scroll') === null || e.closest('.numbers'))
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 200))"""
    )
    assert cut == []
    boxes = browser.execute_script(
        """return [...document.querySelectorAll('table')].map(table => {
            const box = table.closest('.scroll');
            return box !== null && box.tabIndex === 0 && getComputedStyle(box).overflowX === 'auto';
        })"""
    )
    assert boxes
    assert all(boxes)  # a wide table scrolls in a box that the keyboard reaches


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_page(browser, page, scheme):
    opened(browser, page, scheme=scheme)
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (luminance(paper) > 0.5) == (scheme == "light")
    colours = browser.execute_script(
        """return [...new Set([...document.querySelectorAll('body *')].filter(e => e.innerText)
            .map(e => getComputedStyle(e).color))]"""
    )
    drawn = browser.execute_script(
        "return [...new Set([...document.querySelectorAll('svg text')].map(e => getComputedStyle(e).fill))]"
    )
    assert len(colours) > 1
    for colour in colours:
        assert contrast(colour, paper) > 4.5
    assert max(contrast(colour, paper) for colour in drawn) > 10
    assert min(contrast(colour, paper) for colour in drawn) > 3


def test_paper_is_white_in_print_whatever_the_screen(browser, page):
    opened(browser, page, scheme="dark")
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    style = "return getComputedStyle(document.body)"
    assert browser.execute_script(f"{style}.backgroundColor") == "rgb(255, 255, 255)"
    assert browser.execute_script(f"{style}.color") == "rgb(0, 0, 0)"
    assert browser.execute_script("return getComputedStyle(document.querySelector('nav')).display") == "none"


def test_a_reader_without_eyes_finds_headings_in_order_and_tables_with_heads(browser, page):
    opened(browser, page)
    levels = browser.execute_script("return [...document.querySelectorAll('h1,h2,h3')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert set(levels[1:]) == {2}
    missing = browser.execute_script(
        "return [...document.querySelectorAll('table')].filter(t => !t.querySelector('th[scope=col]')).length"
    )
    assert missing == 0
    broken = browser.execute_script(
        "return [...document.querySelectorAll('nav a')].filter(a => !document.querySelector(a.hash)).length"
    )
    assert broken == 0
    names = browser.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(names) == len(set(names))
    assert browser.execute_script("return document.documentElement.lang") == "en"
    assert browser.title == "Calibration report"

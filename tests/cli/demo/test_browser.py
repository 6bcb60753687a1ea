"""The demos' pages in a real browser: what holds for every report holds for them."""

from pathlib import Path

import pytest

from mcdrop.cli import main
from tests.report import test_browser as reports
from tests.report.test_browser import browser as browser

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["digits", "regression"])
def page(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "page.html"
    assert main(["demo", request.param, "--epochs", "20", "--num-samples", "20", "--page", str(path)]) == 0
    return path


test_the_console_stays_silent_and_nothing_is_fetched = reports.test_the_console_stays_silent_and_nothing_is_fetched
test_every_picture_is_seen_and_has_words = reports.test_every_picture_is_seen_and_has_words
test_a_phone_shows_the_page_without_scrolling_to_the_side = (
    reports.test_a_phone_shows_the_page_without_scrolling_to_the_side
)
test_words_stand_out_from_the_page = reports.test_words_stand_out_from_the_page

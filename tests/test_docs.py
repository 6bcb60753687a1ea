"""The pages of docs/: every interactive session prints what the page says."""

import doctest
import re
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).parents[1] / "docs"
SESSION = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(page for page in DOCS.rglob("*.md") if SESSION.search(page.read_text()))


def _examples(page: Path) -> doctest.DocTest:
    """One test of all sessions of a page, each at its line; a later session sees the names of the earlier ones."""
    parser, examples, text = doctest.DocTestParser(), [], page.read_text()
    for session in SESSION.finditer(text):
        first_line = text[: session.start(1)].count("\n")
        for example in parser.get_examples(session[1]):
            example.lineno += first_line
            examples.append(example)
    return doctest.DocTest(examples, {}, page.name, str(page), 0, text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_sessions_print_what_the_page_says(page):
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    with torch.random.fork_rng():
        result = runner.run(_examples(page), out=report.append)
    assert result.attempted
    assert not result.failed, "".join(report)


def test_a_wrong_output_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text\n\n```pycon\n>>> a = 1\n\n```\n\n```pycon\n>>> a + 1\n3\n\n```\n")
    test = _examples(page)
    assert [example.lineno for example in test.examples] == [3, 8]
    assert doctest.DocTestRunner().run(test, out=lambda text: None).failed == 1

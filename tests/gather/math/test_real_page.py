"""A real page of a book with MathJax: each formula of its source is in the text, between dollars, once."""

import html
import re
from collections import Counter
from pathlib import Path

from math_reading import formulas, read

from libertas.gather.page import page_text


def sources(page: str) -> list[str]:
    r"""What stands between `\(` and `\)` in the elements that Sphinx writes for formulas, in the raw HTML."""
    found = re.findall(r'class="math[^"]*"[^>]*>\\\((.*?)\\\)<', page, re.DOTALL)
    return [" ".join(html.unescape(one).split()) for one in found]


def test_every_formula_of_a_real_page_is_in_its_text_once(shared_data: Path) -> None:
    page = (shared_data / "documents" / "mathjax-logic.html").read_text("utf-8")
    wanted = Counter(sources(page))
    assert wanted.total() == page.count("\\(") == 52
    for text in (read(page), page_text(page).text):
        found = Counter(formulas(text))
        assert (wanted & found).total() >= 0.99 * wanted.total()
        assert found.total() == wanted.total()
        assert "\\(" not in text


def test_the_extractor_counts_the_formulas_of_a_real_page(shared_data: Path) -> None:
    page = (shared_data / "documents" / "mathjax-logic.html").read_text("utf-8")
    assert page_text(page).meta["formulas"] == 52

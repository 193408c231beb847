"""A small reader of pages for these tests: blocks of text, formulas delimited, nothing of the rest of the extractor."""

import re

from resiliparse.parse.html import ELEMENT, TEXT, HTMLTree, Node

from libertas.gather.math.encodings import write_out_math
from libertas.gather.math.marks import unmark
from libertas.gather.math.mathml import mathml_latex
from libertas.gather.math.prose import delimit

BLOCKS = {"p", "div", "li", "td", "th", "h1", "h2", "h3", "pre", "ul", "table", "tr", "section", "dd", "dt"}
FORMULA = re.compile(r"(?<!\\)(\$\$?)((?:\\.|[^$\\])+)\1", re.DOTALL)
"""A formula of a finished document: dollars that no backslash stands before, one or two."""
SILENT = {"script", "style", "noscript", "head", "title"}


def read_page(html: str, *, show: str = "") -> str:
    """The page's blocks, one a line; what matches `show` only if its style does not hide it."""
    tree = HTMLTree.parse(html)
    found = write_out_math(tree, html)
    assert tree.body is not None
    if show:
        for element in tree.body.query_selector_all(show).values():
            if "none" in (element.getattr("style") or ""):
                element.decompose()
    blocks: list[list[str]] = [[]]
    _collect(tree.body, blocks)
    texts = [delimit("".join(block).strip(), found.delimiters)[0] for block in blocks]
    return unmark("\n".join(text for text in texts if text))


def _collect(node: Node, blocks: list[list[str]]) -> None:
    for child in node.child_nodes.values():
        if child.node_type == TEXT:
            blocks[-1].append(child.value or "")
        elif child.node_type == ELEMENT and child.tag == "br":
            blocks[-1].append("\n")
        elif child.node_type == ELEMENT and child.tag not in SILENT:
            is_block = child.tag in BLOCKS
            if is_block:
                blocks.append([])
            _collect(child, blocks)
            if is_block:
                blocks.append([])


def read(html: str) -> str:
    """The page on one line."""
    return " ".join(read_page(html).split())


def formulas(text: str) -> list[str]:
    """What stands between the dollars of a finished document."""
    return [found[2] for found in FORMULA.finditer(text)]


def formulas_of(html: str) -> list[str]:
    """The formulas of a page, read back from its finished text by its dollars."""
    return formulas(read_page(html))


def converted(mathml: str) -> str:
    """The content of a `math` element as LaTeX."""
    tree = HTMLTree.parse(f"<math>{mathml}</math>")
    assert tree.document is not None
    math = tree.document.query_selector("math")
    assert math is not None
    return mathml_latex(math)

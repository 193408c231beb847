"""The main content of an HTML page: text or Markdown, its title, and what it says of itself."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

import libertas.kernel as kernel
from libertas.gather import content
from libertas.gather.blocks import LEAF_NUMBER, LINE_BREAK, Blocks, blocks_of, without_programs
from libertas.gather.comments import comment_blocks
from libertas.gather.extracted import PLAIN_TEXT, Extracted, ReadMode
from libertas.gather.markdown import markdown_text
from libertas.gather.markdown_inline import HARD_BREAK
from libertas.gather.math.delimiters import FORUM_DISPLAY, FORUM_INLINE, Delimiters
from libertas.gather.math.encodings import may_have_math, write_out_math
from libertas.gather.math.marks import PROTECTED, START, unmark
from libertas.gather.math.prose import delimit
from libertas.gather.metadata import page_metadata
from libertas.gather.normalize import decode, normalize
from libertas.gather.plain import plain_text

TERM, DEFINITION = LEAF_NUMBER["dt"], LEAF_NUMBER["dd"]
LEAST_CHARACTERS = 200
"""Where the kept blocks have less text than this, blocks that were nearly kept come too."""
NEARLY = 0.2
MOST_CHARACTERS = 10_000_000
"""HTML behind so many characters of a page's body is not read; `meta.cut` says so."""

SELF_CLOSED = re.compile(rb"<(script|style|title|textarea|iframe)\b([^<>]*)/>")
"""XHTML may close these at once; an HTML parser would take the rest of the page for what is in them."""
OWN_MARKS = "\ue000\ue001\ue002\ue003\ue00a"
"""Private-use characters that stand for formulas, code and line breaks here, and for icons where pages have them."""
MOST_HITS = 1000
HINT_OF_MATH = re.compile(
    rb"mathjax|(?<!=)math[/?]|<math|</math|:math[ >]|mwe-math|(?<!rank-)(?<!after)math-|(?<!rank)-math(?!e[mw])|"
    rb"asciimath|mathtex|katex|mimetex|(?<!trans)latex|"
    rb"arithmatex|data-tex|[\"' .\[/]tex[\"' .\]x]|\?tex=|texerror|class=.math(?!emati)|mathml|math\]|itex\]|"
    rb"[\s>(,;:-]\\\((?:\s*[a-z]\s*|(?=[^'\"|\n*\\<>?]{0,50}(?:[\^_={}+]|\\[a-z]))[^'\"|\n*]{1,90}?)\\\)",
    re.IGNORECASE,
)
"""What formulas are encoded in, in the neighbourhood of `tex` and `math`; or a formula in the text, where words in such
parentheses are none: programs that write Markdown escape them. `rank-math` is a plug-in for search engines."""


@dataclass(slots=True)
class Parsed:
    """A page taken apart."""

    tree: HTMLTree
    html: str
    """The body, serialized."""
    blocks: Blocks
    title: str


def parsed(tree: HTMLTree, *, everything: bool = False, programs: bool = False) -> Parsed:
    """Take a page apart; `programs` says that it was parsed with its scripts and comments, in which tags are none."""
    html = tree.body.html if tree.body is not None else ""
    html = without_programs(html.encode("utf-8", "replace")).decode("utf-8", "replace") if programs else html
    return Parsed(tree, html, blocks_of(html[:MOST_CHARACTERS], everything=everything), tree.title or "")


def page_text(source: str, mode: ReadMode = PLAIN_TEXT) -> Extracted:
    """What a page, or a part of one, says."""
    return page_of(source.encode("utf-8", "replace"), "utf-8", mode)


def page_of(body: bytes, charset: str | None, mode: ReadMode = PLAIN_TEXT, url: str = "") -> Extracted:
    """What a page says.

    Args:
        body: the HTML of a page, in any encoding.
        charset: what the server said of its encoding, or None.
        mode: which of its text, and in which form.
        url: where it was found, if known; the metadata refer to it.
    """
    if body[:100].lstrip().startswith(b"<?xml"):
        body = SELF_CLOSED.sub(rb"<\1\2></\1>", body)
    hinted = _has_hint_of_math(body)
    source = decode(body, charset, html=True) if hinted or mode.metadata else ""
    mathematical = hinted and may_have_math(source)
    page_source = source if mathematical else decode(without_programs(body), charset, html=True)
    tree = HTMLTree.parse(_without_own_marks(page_source))
    found = write_out_math(tree, source) if mathematical else None
    page = parsed(tree, everything=mode.everything, programs=mathematical)
    kept = kept_blocks(page, mode)
    if not kept.any():  # all there is stands in navigation, or is nothing that looks like content
        page = parsed(tree, everything=True, programs=mathematical)
        kept = np.ones(len(page.blocks.text), np.bool_)
    if found is not None:
        _keep_formulas(page.blocks, kept, found.delimiters)
    text = markdown_text(page.blocks, kept, links=mode.links) if mode.markdown else plain_text(page.blocks, kept)
    meta: dict[str, Any] = {}
    if found is not None:
        text, formulas = _with_formulas(text, found.delimiters, HARD_BREAK if mode.markdown else LINE_BREAK)
        meta["formulas"] = formulas
    if mode.metadata:
        meta |= page_metadata(tree, source, url)
    if mode.agreement:
        meta["agreement"] = _agreement(text, tree)
    if len(page.html) > MOST_CHARACTERS:
        meta["cut"] = len(page.html) - MOST_CHARACTERS
    title = meta.pop("title", "") or " ".join(normalize(page.title).split())
    return Extracted(normalize(text), title, {k: v for k, v in meta.items() if v not in (0, "", [])})


def _has_hint_of_math(body: bytes) -> bool:
    """Whether `tex` or `math` stands in the page, in any case, and next to it what formulas are encoded in.

    Looking for short words in all bytes at once costs a twentieth of looking for all encodings; most pages have them
    only in `text` and `Math.floor`.
    """
    near = near_hints(body) if kernel.native is None else kernel.native.near_hints(body)
    return HINT_OF_MATH.search(near) is not None


def near_hints(body: bytes) -> bytes:
    r"""What stands around `tex`, `math` and `\(`, each with a space behind it; without the kernel."""
    if len(body) < 4:
        return b""
    letters = np.frombuffer(body, np.uint8) | 32
    t, e, x, after = letters[:-3], letters[1:-2], letters[2:-1], letters[3:]
    hits = np.flatnonzero((x == 120) & (e == 101) & (t == 116) & (after != 116))[:MOST_HITS].tolist()
    m, a, t, h, after = letters[:-4], letters[1:-3], letters[2:-2], letters[3:-1], letters[4:]
    hits += np.flatnonzero((h == 104) & (t == 116) & (a == 97) & (m == 109) & (after != 46))[:MOST_HITS].tolist()
    near = [body[max(i - 8, 0) : i + 12] for i in hits]
    letters = np.frombuffer(body, np.uint8)
    opened = np.flatnonzero((letters[:-1] == 92) & (letters[1:] == 40))[:MOST_HITS].tolist()
    near += [body[max(i - 1, 0) : i + 100] for i in opened]
    return b"".join([piece + b" " for piece in near])


def _without_own_marks(source: str) -> str:
    if kernel.native is not None and not kernel.native.may_have_marks(source):
        return source
    for mark in OWN_MARKS:
        source = source.replace(mark, " ")
    return source


def kept_blocks(page: Parsed, mode: ReadMode = PLAIN_TEXT) -> NDArray[np.bool_]:
    """Which blocks of a page belong to its text."""
    blocks = page.blocks
    if mode.everything:
        return np.ones(len(blocks.text), np.bool_)
    probable = content.network().probabilities(blocks, page.title)
    kept: NDArray[np.bool_] = probable > content.KEEP
    if sum(len(blocks.text[i]) for i in np.flatnonzero(kept)) < LEAST_CHARACTERS:
        kept = probable > NEARLY
    _keep_terms(blocks, kept)
    return kept | comment_blocks(blocks, kept) if mode.comments else kept


def _keep_terms(blocks: Blocks, kept: NDArray[np.bool_]) -> None:
    """Keeps the terms of kept definitions: a signature is short and looks like no prose, but the prose is about it."""
    if TERM not in blocks.leaf:
        return
    for i in range(len(kept) - 2, -1, -1):
        if blocks.leaf[i] == TERM and kept[i + 1] and blocks.leaf[i + 1] in (TERM, DEFINITION):
            kept[i] = True


def _keep_formulas(blocks: Blocks, kept: NDArray[np.bool_], delimiters: Delimiters) -> None:
    """Keeps blocks that begin with a formula beside kept ones: a formula on lines of its own looks like no prose."""
    pairs = (*delimiters.inline, *delimiters.display, *delimiters.ascii, *FORUM_INLINE, *FORUM_DISPLAY)
    begins = (START, "$", "\\begin{", *(opening for opening, _ in pairs))
    beginning = [i for i, text in enumerate(blocks.text) if text.startswith(begins)]
    formulas = [i for i in beginning if delimit(blocks.text[i], delimiters)[0][0] == START]
    for places, step in ((formulas, -1), (formulas[::-1], 1)):
        for i in places:
            if 0 <= i + step < len(kept) and kept[i + step]:
                kept[i] = True


def _with_formulas(text: str, delimiters: Delimiters, line_break: str) -> tuple[str, int]:
    """A text with its formulas between dollars, paragraph by paragraph, and how many there are.

    `line_break` is how a line break is written; one inside of a formula is a space.
    """
    pieces = PROTECTED.split(text.replace(line_break, LINE_BREAK + "\n"))
    for i, piece in enumerate(pieces):
        if not PROTECTED.match(piece):
            pieces[i] = "\n\n".join([delimit(paragraph, delimiters)[0] for paragraph in piece.split("\n\n")])
    pieces = PROTECTED.split("".join(pieces))
    pieces = [piece.replace(LINE_BREAK, "") if piece[:1] == START else piece for piece in pieces]
    return unmark("".join(pieces).replace(LINE_BREAK + "\n", line_break)), sum(p[:1] == START for p in pieces)


def _agreement(text: str, tree: HTMLTree) -> float:
    """Share of words that this text and resiliparse's have in common (Dice): 1 is the same words, 0 none."""
    ours, theirs = Counter(text.split()), Counter(extract_plain_text(tree, main_content=True, alt_texts=False).split())
    return round(2 * (ours & theirs).total() / max(ours.total() + theirs.total(), 1), 3)

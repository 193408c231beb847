"""Formulas that a page encodes in elements, attributes, scripts and images, written out as text.

Each reader below knows one family and is tried in turn, the one that says most first: what MathJax and KaTeX rendered
keeps its source somewhere, and the rendering, previews and fallback images beside it go. Facts on the markup: the
libraries' documentation and pages themselves; the list of families: OpenWebMath (arXiv:2310.06786, section 3).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from resiliparse.parse.html import ELEMENT, TEXT, ElementNode, HTMLTree, Node

from libertas.gather.math.asciimath import asciimath_latex
from libertas.gather.math.delimiters import Delimiters, page_delimiters
from libertas.gather.math.images import image_formula
from libertas.gather.math.marks import CODE_END, CODE_START, MARKS, marked
from libertas.gather.math.mathml import math_source

HINTS = (
    ("MathJax", ()), ("katex", ()), ("latex.php", ()), ("mjx-", ()), ("KaTeX", ()), ("codecogs", ()), ("tex.cgi", ()),
    ("math", ("mathjax", "<math>", "<math ", "<math\n", "</math", ":math>", ":math ", "math/tex", "math/TeX",
        "math/mml", "asciimath", "mwe-math", "render/math?", "upmath.", "math-container", "-render-math",
        "language-math", 'class="math"', 'class="math ')),
    ("latex", ("data-latex=", 'class="latex', "$latex ")), ("?cht=tx", ()), ("equation?tex=", ()),
    ("data-", ("data-tex=", "data-mml=", "data-expr=")), ("x-ck12", ()), ('class="tex"', ()), ('class="tex ', ()),
    ("arithmatex", ()), ("texerror", ()), ("ql-", ("ql-formula", "ql-img-")), ("</MATH", ()),
    ("[/", ("[/itex]", "[/tex]", "[/texx]", "[/math]", "[/latex]", "[/ITEX]", "[/TEX]", "[/MATH]", "[/LATEX]")),
)  # fmt: skip
"""What pages with encoded formulas have somewhere in their HTML: a word and, where that is too little, one of these."""
TEXT_HINT = re.compile(
    r"\\(?:begin\{(?:equation|align|gather|eqnarray|multline|[pbv]?matrix|cases)"
    r"|(?:frac|d?sqrt|sum|int|mathbb|mathcal|mathrm|mathbf|alpha|beta|lambda|theta|infty|leq?|geq?|times|cdot)(?![A-Za-z])"
    r"|\((?<=[\s>(,;:-]\\\()(?!\?)[^'\"|\n*]{1,80}?\\\)|\[(?<=[\s>]\\\[)[^]'\"/|?*]{1,200}\\\])"
)
"""TeX in the text. Regular expressions in scripts have `\\(` too: what stands between must not look like one."""
DISPLAY_HINT = re.compile(r"\$\$(?<=[\s>]\$\$)[^$'\"(]{1,200}\$\$(?=[\s<.,;])")
HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|clip|position\s*:\s*absolute", re.IGNORECASE)
WRAPPERS = 4
"""Levels above a formula that are un-hidden, if they hold nothing else."""
NEIGHBORS = 4
"""Nodes on each side looked at to see whether a formula is alone."""
MOST_PREFIXES = 5
"""Namespace prefixes of MathML in one page."""
CODE = "pre, code, kbd, samp, tt, textarea, .tex2jax_ignore, .mathjax_ignore, .no-mathjax"
"""Where MathJax and KaTeX look for no formulas; also what pages mark so."""
OUTER = re.compile(
    r"^(?:\$\$(?P<a>.+)\$\$|\\\[(?P<b>.+)\\\]|(?P<c>\\begin\{(?:equation|align|gather|multline|eqnarray).+)"
    r"|\$(?:latex )?(?P<d>[^$]+)\$|\\\((?P<e>.+)\\\)|#(?P<f>.+)#|`(?P<g>.+)`)$",
    re.DOTALL,
)
"""A formula with its delimiters on; the first three are display."""
STYLE = re.compile(r"^\{?\\(displaystyle|textstyle)(?![A-Za-z])\s*")


@dataclass(frozen=True, slots=True)
class MathFound:
    """What `write_out_math` found in a page."""

    formulas: int = 0
    delimiters: Delimiters = field(default_factory=Delimiters)
    """For the formulas that stand in its text."""


Formula = tuple[str, bool]
"""LaTeX, and whether it is set on a line of its own."""


def may_have_math(source: str) -> bool:
    """Whether the HTML of a page has any sign of formulas; quick, and says yes too often rather than too seldom."""
    return (
        any(word in source and (not more or any(m in source for m in more)) for word, more in HINTS)
        or ("\\" in source and TEXT_HINT.search(source) is not None)
        or ("$$" in source and DISPLAY_HINT.search(source) is not None)
    )


def write_out_math(tree: HTMLTree, source: str) -> MathFound:
    r"""Replace each encoded formula in the tree by one text node, and say how many and how the page delimits others.

    The text of a formula is `$..$` or `$$..$$` on one line between the marks of `libertas.gather.math.marks`; code
    gets its marks too, and marks of the page's own are taken away. What repeats a formula (previews, renderings,
    assistive copies, fallback images) goes, and what hid it (`display: none`) no longer does. `source` is the HTML that
    the tree was made of.
    """
    body = tree.body
    if body is None:
        return MathFound()
    assert tree.document is not None, "a tree with a body has a document"
    scripts = [s.text or "" for s in tree.document.get_elements_by_tag_name("script").values()]
    delimiters = page_delimiters(source, scripts)
    _remove_own_marks(body)
    prefixes = sorted(set(re.findall(r"<(\w{1,9}):math\b", source, re.IGNORECASE)))[:MOST_PREFIXES]
    prefixed = [(f"{prefix.lower()}\\:math", _mathml) for prefix in prefixes]
    count = sum(_replaced(tree, body, selector, read) for selector, read in (*READERS, *prefixed))
    _mark_code(tree, body)
    return MathFound(count, delimiters)


def _replaced(tree: HTMLTree, body: ElementNode, selector: str, read: Callable[[ElementNode], Formula | None]) -> int:
    """Make text of the formulas that a reader knows; how many there were."""
    count = 0
    tried: ElementNode | None = None
    for element in body.query_selector_all(selector).values():
        if tried is not None and tried.contains(element):
            continue  # what is within one that was read, or could not be, comes with it
        tried = element
        formula = read(element)
        if formula is None:
            continue
        latex, display = _plain(*formula)
        if text := marked(latex, display=display):
            node = tree.create_text_node(text)
            assert node is not None, "text can be made"
            element.replace_with(node)
            _unhide(node)
            count += 1
    return count


def _plain(latex: str, display: bool) -> Formula:
    """Without delimiters, and without what only says that it is display or text style."""
    latex = latex.strip()
    if found := OUTER.match(latex):
        name = found.lastgroup or ""
        latex, display = found[name].strip(), display or name in "abc"
    if (style := STYLE.match(latex)) and style[0][0] == "{" and _closes_at_end(latex):
        latex = latex[style.end() : -1].strip()
    elif style and style[0][0] != "{" and style[1] == "displaystyle":
        latex = latex[style.end() :]
    return latex, display


def _closes_at_end(latex: str) -> bool:
    """Whether the brace at the beginning is closed by the one at the end."""
    depth = 0
    for found in re.finditer(r"\\.|[{}]", latex, re.DOTALL):
        depth += (found[0] == "{") - (found[0] == "}")
        if depth == 0:
            return found.end() == len(latex)
    return False


def _unhide(node: Node) -> None:
    """Show what hides nothing but a formula."""
    for _ in range(WRAPPERS):
        wrapper = node.parent_element
        if wrapper is None or wrapper.tag in ("body", "html") or not _is_alone(node):
            return
        for name in ("hidden", "aria-hidden"):
            wrapper.remove_attribute(name)
        if HIDDEN.search(wrapper.getattr("style") or ""):
            wrapper.remove_attribute("style")
        if re.search(r"a11y|sr-only|hidden|assistive", wrapper.class_name or "", re.IGNORECASE):
            wrapper.remove_attribute("class")
        node = wrapper


def _remove_own_marks(body: ElementNode) -> None:
    if MARKS.search(body.text or ""):
        for node in list(body):
            if node.node_type == TEXT and MARKS.search(node.value or ""):
                node.value = MARKS.sub("", node.value or "")


def _mark_code(tree: HTMLTree, body: ElementNode) -> None:
    for element in body.query_selector_all(CODE).values():
        parent = element.parent_element
        if parent is None or parent.closest(CODE) is not None:
            continue
        text = element.text or ""
        if not re.search(r"[$\\`\[]", text) or MARKS.search(text):
            continue  # it holds a formula, or nothing to protect
        before, after = tree.create_text_node(CODE_START), tree.create_text_node(CODE_END)
        assert before is not None, "text can be made"
        assert after is not None, "text can be made"
        element.insert_before(before, element.first_child)
        element.append_child(after)


def _script(element: ElementNode) -> Formula | None:
    """MathJax 2: the source in a script, its preview or rendering before it."""
    kind = (element.getattr("type") or "").lower()
    source = element.text or ""
    display = "display" in kind
    if not source.strip():
        return None
    if "asciimath" in kind:
        source = asciimath_latex(source)
    elif "mml" in kind:
        found = _parsed_mathml(source)
        if found is None:
            return None
        source, display = found[0], display or found[1]
    for _ in range(3):  # preview, rendering, message
        before = element.previous_element_sibling
        if before is None or not re.match(r"MathJax|MJX|mjx|math-preview", before.class_name or before.tag or ""):
            break
        display = display or "display" in (before.class_name or "").lower()
        before.remove()
    return re.sub(r"^\s*%?\s*<!\[CDATA\[|%?\s*\]\]>\s*$", "", source), display


def _parsed_mathml(source: str) -> Formula | None:
    """MathML in an attribute or a script."""
    found = HTMLTree.parse(re.sub(r"<(/?)\w{1,9}:", r"<\1", source))
    math = found.document.query_selector("math") if found.document else None
    return _mathml(math) if math is not None else None


def _mathml(element: ElementNode) -> Formula | None:
    display = element.getattr("display") == "block" or (element.getattr("mode") or "") == "display"
    return math_source(element), display


def _first_math(element: ElementNode) -> Formula | None:
    math = element.query_selector("math")
    return _mathml(math) if math is not None else None


def _from_attributes(element: ElementNode) -> Formula | None:
    """The source that a rendering keeps in an attribute."""
    display = (element.getattr("display") or element.getattr("data-display") or "").lower() in ("true", "block", "1")
    display = display or "display" in (element.getattr("data-mode") or "")
    for name in ("data-tex", "data-latex", "data-expr", "data-value", "data-original", "data-math"):
        if source := element.getattr(name):
            return source, display
    for name in ("data-mml", "data-mathml"):
        if (source := element.getattr(name)) and (found := _parsed_mathml(source)):
            return found[0], display or found[1]
    return None


def _mathjax(element: ElementNode) -> Formula | None:
    """MathJax 3 and 4, or 2 without its script: attributes of the container or below, or the assistive copy."""
    display = element.getattr("display") == "true" or "display" in (element.class_name or "").lower()
    inner = element.query_selector("mjx-math[data-latex], [data-tex], [data-mml], [data-mathml]")
    found = (
        _from_attributes(element) or (_from_attributes(inner) if inner is not None else None) or _first_math(element)
    )
    return (found[0], display or found[1]) if found and found[0] else None


def _katex(element: ElementNode) -> Formula | None:
    display = "katex-display" in (element.class_name or "").split()
    found = _first_math(element)
    return (found[0], display or found[1]) if found else None


def _wikipedia(element: ElementNode) -> Formula | None:
    found = _first_math(element)
    image = element.query_selector("img[alt]")
    if found is None or not found[0]:
        found = (image.getattr("alt") or "", False) if image is not None else None
    shown = element.query_selector(".mwe-math-mathml-display, .mwe-math-fallback-image-display") is not None
    return (found[0], found[1] or shown) if found else None


def _inner_text(element: ElementNode) -> Formula | None:
    """The source as the element's text; no formula if it was rendered to further elements."""
    if element.first_element_child is not None or not (source := (element.text or "").strip()):
        return None
    bare = OUTER.match(source) is None
    if bare and (re.search(r"\$|\\[(\[]", source) or not re.search(r"[\\^_={}<>+]|^.{1,3}$", source)):
        return None  # words with formulas among them, whose delimiters are read later; or only words
    block = element.tag in ("div", "pre") or re.search(r"display|math-container", element.class_name or "") is not None
    return source, bare and block


def _image(element: ElementNode) -> Formula | None:
    found = image_formula(element.getattr("src") or element.getattr("data-src") or "", element.getattr("alt") or "",
        element.class_name or "")  # fmt: skip
    if found is None or not found.strip():
        return None
    words = element.class_name or ""
    return found, bool(re.search(r"displayed|latexblock|fallback-image-display|mathdisplay", words)) or (
        found.lstrip().startswith("\\displaystyle") and _is_alone(element)
    )


def _is_alone(node: Node) -> bool:
    """Whether its parent has nothing else to show."""
    for step in ("previous_sibling", "next_sibling"):
        beside = getattr(node, step)
        for _ in range(NEIGHBORS):
            if beside is None:
                break
            if beside.node_type == ELEMENT or (beside.node_type == TEXT and (beside.value or "").strip()):
                return False
            beside = getattr(beside, step)
        else:
            return False
    return True


def _wordpress(element: ElementNode) -> Formula | None:
    source = element.text or ""
    return (source, element.getattr("data-display") == "true") if element.query_selector("math, img") is None else None


READERS: tuple[tuple[str, Callable[[ElementNode], Formula | None]], ...] = (
    ('script[type^="math/"]', _script),
    ("mjx-container", _mathjax),
    (".mwe-math-element", _wikipedia),
    (".katex-display", _katex),
    (".katex", _katex),
    (".MathJax_Display, .MathJax, .MathJax_SVG, .MathJax_CHTML, .mjx-chtml, .MathJax_MathML", _mathjax),
    (".wp-katex-eq", _wordpress),
    (".tex[data-expr], .ql-formula[data-value], [data-tex], [data-latex], [data-mml], [data-mathml]", _from_attributes),
    ("math", _mathml),
    ("mathjax, .math-container, .texerror, .katex-error, .arithmatex, .js-render-math, code.language-math, .tex-math, "
        "tex-math, span.math, div.math, span.tex, span.latex", _inner_text),
    ("img", _image),
    (".MathJax_Preview, .katex-html, mjx-assistive-mml, .MJX_Assistive_MathML", lambda element: _removed(element)),
)  # fmt: skip
"""Selector and reader of each family, in the order in which they are tried."""


def _removed(element: ElementNode) -> None:
    if not element.text or element.closest(".katex, mjx-container") is None:
        element.remove()

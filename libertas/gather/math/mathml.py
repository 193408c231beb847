"""MathML (W3C, versions 2 to Core) to LaTeX.

The tree is walked with a stack, children before their parent, and every element's children are already LaTeX when it is
its turn. What lies deeper than `DEEPEST` is taken as text. A TeX annotation, where there is one, is better than any
conversion; `math_source` prefers it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

from resiliparse.parse.html import ELEMENT, TEXT, ElementNode, Node

from libertas.gather.math.symbols import (
    CLOSING,
    FUNCTIONS,
    OPENING,
    OVER,
    TAKES_LIMITS,
    TALL,
    UNDER,
    VARIANTS,
    WIDE,
    character_latex,
    joined,
    text_latex,
)

DEEPEST = 200
"""Levels of nesting; a formula that people read has fewer than 30."""
EMPTY = frozenset({"mspace", "none", "mprescripts", "mglyph", "maligngroup", "malignmark"})
"""Elements without content. With a prefix, HTML does not know that `<m:mspace/>` ends at once and puts all that follows
inside; so their children count as their next siblings."""
ENCLOSED = {
    "box": "boxed", "radical": "sqrt", "updiagonalstrike": "cancel", "downdiagonalstrike": "bcancel", "top": "overline",
    "bottom": "underline", "updiagonalstrike downdiagonalstrike": "xcancel",
    "downdiagonalstrike updiagonalstrike": "xcancel",
}  # fmt: skip
"""menclose's notation to a command; others become `\\enclose`, as MathJax writes them."""
SPACES = ((1.9, "\\qquad "), (0.9, "\\quad "), (0.26, "\\;"), (0.2, "\\:"), (0.01, "\\,"), (-0.01, ""))
"""Least width in em, and what makes it."""
TO_EM = {"em": 1.0, "ex": 0.43, "px": 1 / 16, "pt": 1 / 12, "mu": 1 / 18}
"""Lengths in em, at the usual 16 px or 12 pt."""
WIDTH = re.compile(r"\s*(-?[\d.]{1,9})\s*(em|ex|px|pt|mu)")
NAMED_WIDTHS = {"veryverythinmathspace": 1 / 18, "verythinmathspace": 2 / 18, "thinmathspace": 3 / 18,
    "mediummathspace": 4 / 18, "thickmathspace": 5 / 18, "verythickmathspace": 6 / 18,
    "veryverythickmathspace": 7 / 18}  # fmt: skip
"""MathML 3, section 2.1.5.2, in em."""


@dataclass(slots=True)
class _Piece:
    """A converted element."""

    tag: str
    latex: str
    raw: str = ""
    """The characters of a token element."""
    children: "list[_Piece]" = None  # type: ignore[assignment]
    attributes: dict[str, str] = None  # type: ignore[assignment]


@dataclass(slots=True)
class _Frame:
    tag: str
    attributes: dict[str, str]
    todo: list[Node]
    """Children not yet seen, the next one last."""
    done: list[_Piece]
    words: list[str]
    variant: str


def math_source(math: ElementNode) -> str:
    """The formula of a `math` element: its TeX annotation, else its alttext if that is TeX, else converted."""
    for node in math:
        if node.node_type == ELEMENT and _local(node) == "annotation":
            encoding = (node.getattr("encoding") or "").lower()  # type: ignore[attr-defined]
            if "tex" in encoding and (source := (node.text or "").strip()):
                return source
    if source := (math.getattr("data-latex") or "").strip():
        return source
    alt = (math.getattr("alttext") or "").strip()
    return alt if "\\" in alt else mathml_latex(math) or alt


def mathml_latex(math: ElementNode) -> str:
    """Presentation MathML to LaTeX; annotations are not looked at."""
    frames = [_frame(math, "")]
    while True:
        top = frames[-1]
        if top.todo:
            node = top.todo.pop()
            if node.node_type == TEXT:
                top.words.append(node.value or "")
            elif node.node_type == ELEMENT and not _local(node).startswith("annotation"):
                if len(frames) == DEEPEST:
                    top.done.append(_Piece("mtext", text_latex((node.text or "").strip())))
                else:
                    below = _frame(node, top.variant)  # type: ignore[arg-type]
                    if below.tag in EMPTY:
                        top.todo += below.todo
                        below.todo = []
                    frames.append(below)
            continue
        frames.pop()
        piece = _convert(top)
        if not frames:
            return piece.latex.strip()
        frames[-1].done.append(piece)


def _frame(element: ElementNode, variant: str) -> _Frame:
    attributes = {name: element.getattr(name) or "" for name in element.attrs}
    nodes = element.child_nodes.values()[::-1]
    return _Frame(_local(element), attributes, nodes, [], [], attributes.get("mathvariant", variant))


def _local(node: Node) -> str:
    return (node.tag or "").rpartition(":")[2].lower()


def _convert(frame: _Frame) -> _Piece:
    words = "".join(frame.words)
    raw = " ".join(words.split())
    if frame.tag in TOKENS:
        inside = [piece for piece in frame.done if piece.latex]  # HTML
        if not all(piece.raw for piece in inside):  # with formulas: LaTeX already, which must not be escaped again
            own = TOKENS[frame.tag](raw, frame)
            pieces = [_Piece(frame.tag, own, raw), *inside] if own else inside
            return _Piece("mrow", _row(pieces), "", pieces, frame.attributes)
        if inside:
            words = raw = " ".join([raw, *(piece.raw for piece in inside)]).strip()
        latex = TOKENS[frame.tag](words if frame.tag == "mtext" else raw, frame)
        return _Piece(frame.tag, latex, raw, [], frame.attributes)
    children = frame.done
    maker = MAKERS.get(frame.tag)
    least = LEAST_CHILDREN.get(frame.tag, 0)
    if maker is None or len(children) < least:
        latex = _row(children)
        if raw and not children:
            return _Piece(frame.tag, text_latex(raw), raw, [], frame.attributes)
        if frame.tag in ("mrow", "mstyle", "mpadded", "semantics", "math") and len(children) == 1:
            only = children[0]
            return _Piece(only.tag, latex, only.raw, only.children, only.attributes or {})
        return _Piece(frame.tag, latex, "", children, frame.attributes)
    return _Piece(frame.tag, maker(children, frame.attributes), "", children, frame.attributes)


def _identifier(raw: str, frame: _Frame) -> str:
    own = frame.attributes.get("mathvariant", "")
    if raw in FUNCTIONS and own in ("", "normal"):
        return f"\\{raw}"
    pieces = joined([character_latex(c) for c in raw])
    if len(raw) > 1 and raw.isalpha() and raw.isascii() and frame.variant in ("", "normal"):
        return f"\\mathrm{{{raw}}}"
    if own == "normal" and not (raw.isalpha() and raw.isascii()):
        return pieces
    command = VARIANTS.get(frame.variant)
    return f"\\{command}{{{pieces}}}" if command and raw else pieces


def _number(raw: str, frame: _Frame) -> str:
    pieces = joined([character_latex(c) for c in raw])
    command = VARIANTS.get(frame.variant) if frame.variant != "normal" else None
    return f"\\{command}{{{pieces}}}" if command and raw else pieces


def _operator(raw: str, frame: _Frame) -> str:
    if raw in FUNCTIONS:
        return f"\\{raw}"
    if len(raw) > 1 and raw.isalpha():
        return f"\\operatorname{{{raw}}}"
    return joined([character_latex(c) for c in raw])


def _words(raw: str, frame: _Frame) -> str:
    return text_latex(raw)


def _quoted(raw: str, frame: _Frame) -> str:
    quotes = frame.attributes
    return text_latex(f"{quotes.get('lquote', chr(34))}{raw}{quotes.get('rquote', chr(34))}")


def _space(raw: str, frame: _Frame) -> str:
    if frame.attributes.get("linebreak") == "newline":
        return "\\\\ "
    width = frame.attributes.get("width", "")
    found = WIDTH.match(width)
    try:
        em = float(found[1]) * TO_EM[found[2]] if found else NAMED_WIDTHS.get(width.strip(), 0.0)
    except ValueError:  # two points
        return ""
    return next((space for least, space in SPACES if em >= least), "\\!")


def _nothing(raw: str, frame: _Frame) -> str:
    return ""


TOKENS: dict[str, Callable[[str, _Frame], str]] = {
    "mi": _identifier, "mn": _number, "mo": _operator, "mtext": _words, "ms": _quoted, "mspace": _space,
    "none": _nothing, "mprescripts": _nothing, "mglyph": lambda raw, frame: text_latex(frame.attributes.get("alt", "")),
    "maligngroup": _nothing, "malignmark": _nothing,
}  # fmt: skip


def _row(children: list[_Piece]) -> str:
    """Elements in a row; fences around a table become its kind of matrix, around something tall they grow."""
    if len(children) >= 2 and children[0].tag == "mo" and children[0].raw in OPENING:
        opened, inner = children[0].raw, children[1:]
        closed = inner[-1].raw if inner[-1].tag == "mo" and (inner[-1].raw in CLOSING or not inner[-1].raw) else None
        if opened == "{" and len(inner) - (closed == "") == 1 and inner[0].tag == "mtable" and not closed:
            return _table(inner[0].children, "cases")
        if closed:
            return _fenced(opened, inner[:-1], closed)
    return joined([child.latex for child in children])


def _fenced(opened: str, inner: list[_Piece], closed: str) -> str:
    if len(inner) == 1 and inner[0].tag == "mtable":
        kind = {"()": "pmatrix", "[]": "bmatrix", "{}": "Bmatrix", "||": "vmatrix", "‖‖": "Vmatrix"}.get(
            opened + closed
        )
        if kind:
            return _table(inner[0].children, kind)
    if len(inner) == 1 and inner[0].tag == "mfrac" and opened + closed == "()" and _is_atop(inner[0].attributes):
        top, bottom = inner[0].children
        return f"\\binom{{{top.latex}}}{{{bottom.latex}}}"
    body = joined([child.latex for child in inner])
    left, right = OPENING.get(opened, opened), CLOSING.get(closed, closed)
    if any(command in body for command in TALL):
        return joined([f"\\left{left or '.'}", body, f"\\right{right or '.'}"])
    return joined([left, body, right])


def _mfenced(children: list[_Piece], attributes: dict[str, str]) -> str:
    opened, closed = attributes.get("open", "(").strip(), attributes.get("close", ")").strip()
    separators = "".join(attributes.get("separators", ",").split())
    if opened == "{" and not closed and len(children) == 1 and children[0].tag == "mtable":
        return _table(children[0].children, "cases")
    inner: list[_Piece] = []
    for number, child in enumerate(children):
        if number and separators:
            mark = separators[min(number, len(separators)) - 1]
            inner.append(_Piece("mo", character_latex(mark), mark))
        inner.append(child)
    return _fenced(opened, inner, closed)


def _is_atop(attributes: dict[str, str] | None) -> bool:
    return (
        bool(attributes) and re.fullmatch(r"0(\.0*)?[a-z%]*", (attributes or {}).get("linethickness", "1")) is not None
    )


def _fraction(children: list[_Piece], attributes: dict[str, str]) -> str:
    top, bottom = children[0].latex, children[1].latex
    if _is_atop(attributes):
        return f"{{{top} \\atop {bottom}}}"
    return f"{{{top}}}/{{{bottom}}}" if attributes.get("bevelled") == "true" else f"\\frac{{{top}}}{{{bottom}}}"


def _root(children: list[_Piece], attributes: dict[str, str]) -> str:
    return f"\\sqrt[{children[1].latex}]{{{children[0].latex}}}"


def _base(piece: _Piece) -> str:
    """A base that a script may follow: one letter, number, command or group."""
    simple = piece.tag in ("mi", "mn", "mo") or len(piece.latex) == 1 or piece.tag in ("mover", "munder", "munderover")
    fenced = bool(piece.children) and piece.children[-1].raw in CLOSING
    return piece.latex if piece.latex and (simple or fenced) else f"{{{piece.latex}}}"


def _scripts(base: str, below: str, above: str) -> str:
    if above and not above.replace("'", ""):  # primes
        above = above if len(above) < 4 else f"^{{{above}}}"
        return f"{base}{above}" + (f"_{{{below}}}" if below else "")
    return base + (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")


def _sub(children: list[_Piece], attributes: dict[str, str]) -> str:
    return _scripts(_base(children[0]), children[1].latex, "")


def _sup(children: list[_Piece], attributes: dict[str, str]) -> str:
    return _scripts(_base(children[0]), "", children[1].latex)


def _subsup(children: list[_Piece], attributes: dict[str, str]) -> str:
    return _scripts(_base(children[0]), children[1].latex, children[2].latex)


def _stacked(base: _Piece, below: _Piece | None, above: _Piece | None) -> str:
    """Something below or above a base: limits, accents, braces, or plain stacking."""
    if base.latex.rstrip() in TAKES_LIMITS or base.latex.endswith("\\limits"):
        return _scripts(base.latex, below.latex if below else "", above.latex if above else "")
    latex = base.latex
    if above is not None and above.latex:
        command = OVER.get(above.raw, "")
        wide = command in WIDE and (len(base.raw) != 1 or base.tag == "mrow")
        command = WIDE[command] if wide else command
        if latex.startswith("\\overbrace{") and base.tag == "mover":
            latex = f"{latex}^{{{above.latex}}}"
        else:
            latex = f"\\{command}{{{latex}}}" if command else f"\\overset{{{above.latex}}}{{{latex}}}"
    if below is not None and below.latex:
        command = UNDER.get(below.raw, "")
        if latex.startswith("\\underbrace{") and base.tag == "munder":
            return f"{latex}_{{{below.latex}}}"
        if latex.startswith("\\operatorname{") and base.tag == "mo":
            return f"\\operatorname*{latex[13:]}_{{{below.latex}}}"
        latex = f"\\{command}{{{latex}}}" if command else f"\\underset{{{below.latex}}}{{{latex}}}"
    return latex


def _under(children: list[_Piece], attributes: dict[str, str]) -> str:
    return _stacked(children[0], children[1], None)


def _over(children: list[_Piece], attributes: dict[str, str]) -> str:
    return _stacked(children[0], None, children[1])


def _underover(children: list[_Piece], attributes: dict[str, str]) -> str:
    return _stacked(children[0], children[1], children[2])


def _multiscripts(children: list[_Piece], attributes: dict[str, str]) -> str:
    cut = next((i for i, child in enumerate(children) if child.tag == "mprescripts"), len(children))
    empty = _Piece("none", "")
    after, before = children[1:cut], children[cut + 1 :]

    def written(pieces: list[_Piece]) -> list[str]:
        pairs = zip_longest(pieces[::2], pieces[1::2], fillvalue=empty)
        return ["{}" * bool(i) + _scripts("", sub.latex, sup.latex) for i, (sub, sup) in enumerate(pairs)]

    return joined([*(f"{{}}{s}" if not s.startswith("{}") else s for s in written(before) if s),
        _base(children[0]), *written(after)])  # fmt: skip


def _cells(rows: list[_Piece]) -> str:
    written = []
    for row in rows:
        cells = row.children if row.tag in ("mtr", "mlabeledtr") else [row]
        tag = f" \\tag{{{cells[0].latex}}}" if row.tag == "mlabeledtr" and cells else ""
        written.append(" & ".join(cell.latex for cell in cells[1 if row.tag == "mlabeledtr" else 0 :]) + tag)
    return " \\\\ ".join(written)


def _table(rows: list[_Piece], kind: str) -> str:
    return f"\\begin{{{kind}}} {_cells(rows)} \\end{{{kind}}}"


def _mtable(children: list[_Piece], attributes: dict[str, str]) -> str:
    columns = attributes.get("columnalign", "").split()
    lines = attributes.get("columnlines", "").split()
    if columns[:2] == ["right", "left"]:
        return _table(children, "aligned")
    if any(line in ("solid", "dashed") for line in lines):
        width = max((len(row.children or []) for row in children), default=1)
        bars = ["|" if line in ("solid", "dashed") else "" for line in lines[:width]]
        letters = [(columns[i] if i < len(columns) else "center")[0] for i in range(width)]
        spec = "".join(a + b for a, b in zip_longest(letters, bars, fillvalue=""))
        return f"\\begin{{array}}{{{spec}}} {_cells(children)} \\end{{array}}"
    return _table(children, "gathered" if attributes.get("displaystyle") == "true" else "matrix")


def _enclosed(children: list[_Piece], attributes: dict[str, str]) -> str:
    notation = " ".join(attributes.get("notation", "longdiv").split())
    command = ENCLOSED.get(notation)
    body = _row(children)
    return f"\\{command}{{{body}}}" if command else f"\\enclose{{{notation}}}{{{body}}}"


def _wrapped(command: str) -> Callable[[list[_Piece], dict[str, str]], str]:
    return lambda children, attributes: f"\\{command}{{{_row(children)}}}"


def _chosen(children: list[_Piece], attributes: dict[str, str]) -> str:
    return children[0].latex


MAKERS: dict[str, Callable[[list[_Piece], dict[str, str]], str]] = {
    "mfrac": _fraction, "msqrt": _wrapped("sqrt"), "mroot": _root, "msub": _sub, "msup": _sup, "msubsup": _subsup,
    "munder": _under, "mover": _over, "munderover": _underover, "mmultiscripts": _multiscripts, "mtable": _mtable,
    "mfenced": _mfenced, "menclose": _enclosed, "mphantom": _wrapped("phantom"), "maction": _chosen,
    "semantics": _chosen,
}  # fmt: skip
LEAST_CHILDREN = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3,
    "mmultiscripts": 1, "maction": 1, "semantics": 1}  # fmt: skip
"""With fewer, the element is broken and read as a row."""

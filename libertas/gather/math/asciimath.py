"""AsciiMath (asciimath.org, its grammar and tables of symbols) to LaTeX.

    v ::= a letter, a number, a symbol, "text"
    S ::= v | l E r | unary S | binary S S
    I ::= S | S_S | S^S | S_S^S
    E ::= I E | I/I E

`[[a,b],[c,d]]` is a matrix, `{(a,b),(c,d):}` has cases. Brackets nested deeper than `DEEPEST` are taken as they are.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from libertas.gather.math.symbols import joined, text_latex

DEEPEST = 40
"""Levels of brackets and of operators waiting for their operand."""


def _table(words: str) -> dict[str, str]:
    pairs = words.split()
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


_SAME_NAMES = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega sum prod int oint partial "
    "nabla sin cos tan sec csc cot sinh cosh tanh coth arcsin arccos arctan log ln exp lim min max sup inf det dim "
    "gcd ker deg arg ldots cdots vdots ddots times div cdot pm le ge ne in notin subset supset approx equiv cong "
    "propto forall exists emptyset infty to mapsto rightarrow leftarrow leftrightarrow uparrow downarrow Rightarrow "
    "Leftarrow Leftrightarrow vee wedge neg cap cup circ oplus otimes odot ast star angle triangle square diamond "
    "therefore because aleph quad qquad prec succ preceq succeq perp models vdash bot top frown hbar"
)
SYMBOLS = {
    **{name: f"\\{name}" for name in _SAME_NAMES.split()},
    **_table(
        "+- \\pm -+ \\mp ** \\ast *** \\star * \\cdot // / \\\\ \\backslash setminus \\backslash xx \\times -: \\div "
        "|>< \\ltimes ><| \\rtimes |><| \\bowtie @ \\circ o+ \\oplus ox \\otimes o. \\odot ^^ \\wedge ^^^ \\bigwedge "
        "vv \\vee vvv \\bigvee nn \\cap nnn \\bigcap uu \\cup uuu \\bigcup != \\ne <= \\le >= \\ge lt < gt > leq \\le "
        "geq \\ge lt= \\le gt= \\ge mlt \\ll mgt \\gg -< \\prec >- \\succ -<= \\preceq >-= \\succeq !in \\notin "
        "sub \\subset sup \\supset sube \\subseteq supe \\supseteq -= \\equiv ~= \\cong ~~ \\approx prop \\propto "
        "not \\neg => \\Rightarrow implies \\Rightarrow <=> \\Leftrightarrow iff \\Leftrightarrow AA \\forall "
        "EE \\exists _|_ \\bot TT \\top |-- \\vdash |== \\models oint \\oint del \\partial grad \\nabla +-- \\pm "
        "O/ \\emptyset oo \\infty :. \\therefore :' \\because /_ \\angle ... \\ldots darr \\downarrow uarr \\uparrow "
        "rarr \\rightarrow larr \\leftarrow harr \\leftrightarrow rArr \\Rightarrow lArr \\Leftarrow hArr "
        "\\Leftrightarrow -> \\to |-> \\mapsto >-> \\rightarrowtail ->> \\twoheadrightarrow CC \\mathbb{C} "
        "NN \\mathbb{N} QQ \\mathbb{Q} RR \\mathbb{R} ZZ \\mathbb{Z} lcm \\operatorname{lcm} lub \\operatorname{lub} "
        "glb \\operatorname{glb} % \\% # \\# & \\& $ \\$ mod \\operatorname{mod} dx dx dy dy dz dz dt dt ' '"
    ),
}  # fmt: skip
"""Names and signs that stand for one LaTeX symbol."""
UNARY = {
    "sqrt": "\\sqrt{%s}", "hat": "\\hat{%s}", "vec": "\\vec{%s}", "dot": "\\dot{%s}", "ddot": "\\ddot{%s}",
    "tilde": "\\tilde{%s}", "cancel": "\\cancel{%s}",
    "bar": "\\overline{%s}", "ul": "\\underline{%s}", "underline": "\\underline{%s}", "overline": "\\overline{%s}",
    "ubrace": "\\underbrace{%s}", "underbrace": "\\underbrace{%s}", "obrace": "\\overbrace{%s}",
    "overbrace": "\\overbrace{%s}", "abs": "\\left|%s\\right|", "norm": "\\left\\|%s\\right\\|",
    "floor": "\\left\\lfloor %s\\right\\rfloor", "ceil": "\\left\\lceil %s\\right\\rceil", "bb": "\\mathbf{%s}",
    "mathbf": "\\mathbf{%s}", "bbb": "\\mathbb{%s}", "mathbb": "\\mathbb{%s}", "cc": "\\mathcal{%s}",
    "mathcal": "\\mathcal{%s}", "fr": "\\mathfrak{%s}", "mathfrak": "\\mathfrak{%s}", "sf": "\\mathsf{%s}",
    "tt": "\\mathtt{%s}", "widehat": "\\widehat{%s}", "widetilde": "\\widetilde{%s}",
}  # fmt: skip
"""What takes one operand; `%s` is its place."""
BINARY = {"frac": "\\frac{%s}{%s}", "root": "\\sqrt[%s]{%s}", "stackrel": "\\overset{%s}{%s}",
    "overset": "\\overset{%s}{%s}", "underset": "\\underset{%s}{%s}", "color": "{\\color{%s}%s}"}  # fmt: skip
"""What takes two operands."""
OPENING = {"(": "(", "[": "[", "{": "\\{", "(:": "\\langle", "<<": "\\langle", "{:": "", "langle": "\\langle"}
CLOSING = {")": ")", "]": "]", "}": "\\}", ":)": "\\rangle", ">>": "\\rangle", ":}": "", "rangle": "\\rangle"}
_SIGNS = {*SYMBOLS, *UNARY, *BINARY, *OPENING, *CLOSING}
TOKEN = re.compile(
    r'"[^"]*"|(?:text|mbox)\([^()]*\)|\d+(?:\.\d+)?|'
    + "|".join(map(re.escape, sorted(_SIGNS, key=lambda sign: (-len(sign), sign))))
    + r"|\S"
)
"""One token, the longest sign first."""
TALL = ("\\frac", "\\sum", "\\int", "\\prod", "\\sqrt")


@dataclass(slots=True)
class _Operand:
    latex: str
    opened: str = ""
    """The bracket it stood in, or empty."""
    closed: str = ""
    parts: list[str] | None = None
    """What commas separated, inside brackets."""
    rows: "list[_Operand] | None" = None
    """Brackets that commas separated, inside brackets: the rows of a matrix."""

    @property
    def bare(self) -> str:
        """Without the round, square or curly brackets that only group."""
        grouped = self.opened in ("(", "[", "{", "{:") and self.closed in (")", "]", "}", ":}")
        return ",".join(self.parts) if grouped and self.parts is not None else self.latex


class _Reader:
    def __init__(self, source: str) -> None:
        self.tokens = TOKEN.findall(source)
        self.next = 0
        self.depth = 0

    def peek(self) -> str:
        return self.tokens[self.next] if self.next < len(self.tokens) else ""

    def take(self) -> str:
        self.next += 1
        return str(self.tokens[self.next - 1])

    def expression(self, stops: Callable[[str], bool]) -> list[_Operand]:
        """Operands up to a token that stops it, or the end."""
        done: list[_Operand] = []
        while (token := self.peek()) and not stops(token):
            top = self.scripted()
            if self.peek() == "/":
                self.take()
                if self.peek() and not stops(self.peek()):
                    top = _Operand(f"\\frac{{{top.bare}}}{{{self.scripted().bare}}}")
                else:
                    top = _Operand(top.latex + "/")
            done.append(top)
        return done

    def scripted(self) -> _Operand:
        base = self.simple()
        scripts = ""
        for mark in "_^":
            if self.peek() == mark:
                self.take()
                scripts += f"{mark}{{{self.simple().bare}}}"
        return _Operand(joined([base.latex, scripts])) if scripts else base

    def simple(self) -> _Operand:
        token = self.take() if self.peek() else ""
        if self.depth < DEEPEST:
            self.depth += 1
            try:
                if token in OPENING or (token == "|" and self.closes_bar()):
                    return self.bracketed(token)
                if token in UNARY:
                    return _Operand(UNARY[token].replace("%s", self.simple().bare))
                if token in BINARY:
                    first = self.simple().bare
                    return _Operand(BINARY[token].replace("%s", first, 1).replace("%s", self.simple().bare, 1))
            finally:
                self.depth -= 1
        if token.startswith(("text(", "mbox(")):
            return _Operand(text_latex(token[5:-1]))
        if len(token) > 1 and token[0] == '"':
            return _Operand(text_latex(token[1:-1]))
        known = SYMBOLS.get(token) or OPENING.get(token) or CLOSING.get(token)
        return _Operand(known if known is not None else f"\\{token}" if token in UNARY or token in BINARY else token)

    def closes_bar(self) -> bool:
        ahead = self.tokens[self.next : self.next + 50]
        return "|" in ahead[1:]

    def bracketed(self, opened: str) -> _Operand:
        def stops(token: str) -> bool:
            return token == "," or (token == "|" if opened == "|" else token in CLOSING)

        groups: list[list[_Operand]] = []
        while True:
            groups.append(self.expression(stops))
            if self.peek() != ",":
                break
            self.take()
        closed = self.take() if self.peek() else ""
        parts = [joined([operand.latex for operand in group]) for group in groups]
        rows = [group[0] for group in groups if len(group) == 1 and group[0].opened in ("(", "[")]
        if len(rows) == len(groups) and opened != "|":
            width = len(rows[0].parts or [])
            if (len(rows) > 1 or opened == "[") and all(len(r.parts or []) == width for r in rows) and (
                width > 1 or len(rows) > 1
            ):  # fmt: skip
                return _Operand(_matrix(opened, closed, rows))
        body = ",".join(parts)
        left, right = ("|", "|") if opened == "|" else (OPENING[opened], CLOSING.get(closed, ""))
        if any(command in body for command in TALL):
            latex = joined([f"\\left{left or '.'}", body, f"\\right{right or '.'}"])
        else:
            latex = joined([left, body, right])
        return _Operand(latex, opened, closed, parts)


def _matrix(opened: str, closed: str, rows: list[_Operand]) -> str:
    kinds = {"()": "pmatrix", "[]": "bmatrix", "{}": "Bmatrix", "{:}": "cases", "{::}": "matrix"}
    kind = kinds.get(opened + closed, "matrix")
    cells = " \\\\ ".join(" & ".join(row.parts or []) for row in rows)
    return f"\\begin{{{kind}}} {cells} \\end{{{kind}}}"


def asciimath_latex(source: str) -> str:
    """A formula in AsciiMath as LaTeX."""
    reader = _Reader(source)
    return joined([operand.latex for operand in reader.expression(lambda token: False)])

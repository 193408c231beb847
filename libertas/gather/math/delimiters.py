"""Formulas that stand in the text between delimiters: which delimiters a page uses, and where its formulas are.

The delimiters are those of the page's own configuration of MathJax 2 (`tex2jax`, `asciimath2jax`), MathJax 3 and 4
(`tex`, `asciimath`, with the additive `'[+]'`) or KaTeX's auto-render (`delimiters`), read from its scripts; without
one, the defaults of the libraries (docs.mathjax.org, katex.org/docs/autorender): `\\(..\\)`, `\\[..\\]` and `$$..$$`.

Forums' `[tex]` and the like, and the environments of amsmath, are always read. A single dollar that nothing configured
is a delimiter only around what has the look of TeX.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

Pairs = tuple[tuple[str, str], ...]
"""What opens and what closes a formula."""

PARENTHESES: Pairs = (("\\(", "\\)"),)
DOLLARS_AND_BRACKETS: Pairs = (("$$", "$$"), ("\\[", "\\]"))
FORUM_INLINE: Pairs = tuple((f"[{n}]", f"[/{n}]") for n in ("itex", "math", "latex", "ITEX", "MATH", "LATEX"))
FORUM_DISPLAY: Pairs = tuple((f"[{n}]", f"[/{n}]") for n in ("tex", "texx", "TEX"))
_ENVIRONMENTS = (
    "equation align gather multline eqnarray alignat flalign displaymath math split aligned gathered cases array "
    "matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix smallmatrix subequations CD numcases dcases"
)
ENVIRONMENTS = frozenset(_ENVIRONMENTS.split())
"""Environments that hold formulas; also with a star. Others (itemize, document, ...) are TeX, but no formula."""
LONGEST_SCRIPT = 100_000
"""Characters; longer scripts are libraries, and hold no page's configuration."""
LONGEST_VALUE = 2_000
"""Tokens of a configured value."""
DEEPEST_VALUE = 6
LONGEST_DELIMITER = 20
KEYS = ("inlineMath", "displayMath", "delimiters", "processEscapes")
MOST_VALUES = 40
"""Configured values read of one page."""
JS_TOKEN = re.compile(
    r"""/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:[^"\\\n]|\\.)*+"?|'(?:[^'\\\n]|\\.)*+'?|`(?:[^`\\]|\\.)*+`?|[A-Za-z_$][\w$]*|[][{}:,=]""",
    re.DOTALL,
)
"""Comments, strings, names and marks of JavaScript. What is not closed ends where it must, so that no character is
tried twice."""


@dataclass(frozen=True, slots=True)
class Delimiters:
    """How a page delimits the formulas in its text."""

    inline: Pairs = PARENTHESES
    display: Pairs = DOLLARS_AND_BRACKETS
    ascii: Pairs = ()
    """Around AsciiMath."""
    escapes: bool = False
    """Whether `\\$` is how the page writes a dollar; otherwise it stays as it is, and is no delimiter either way."""
    dollar_if_tex: bool = True
    """A single dollar is a delimiter too, but only around what looks like TeX."""


def page_delimiters(source: str, scripts: Iterator[str] | list[str]) -> Delimiters:
    """The delimiters of the page with this HTML; `scripts` are the texts of its script elements."""
    ascii_on = re.search(r"config=[\w-]*AM_|input/asciimath|asciimath2jax|ASCIIMathML\.js|/mml-am|asciimath-", source)
    found: dict[str, Any] = {"inline": (), "display": (), "ascii": (), "escapes": None, "values": 0}
    for script in scripts:
        if len(script) <= LONGEST_SCRIPT and any(key in script for key in KEYS):
            _read_script(script, found)
    if not (found["inline"] or found["display"]):
        plain = Delimiters()
    elif found["inline"]:
        plain = Delimiters(found["inline"], found["display"] or DOLLARS_AND_BRACKETS, dollar_if_tex=False)
    else:
        plain = Delimiters(display=found["display"])
    ascii_pairs = found["ascii"] or ((("`", "`"),) if ascii_on else ())
    return replace(plain, ascii=ascii_pairs, escapes=bool(found["escapes"]))


def _read_script(script: str, found: dict[str, Any]) -> None:
    tokens = [t for t in JS_TOKEN.findall(script) if not t.startswith(("//", "/*"))]
    section = ""
    for place, token in enumerate(tokens[:-2]):
        name = token.strip("'\"")
        if tokens[place + 1] not in (":", "="):
            if name in ("renderMathInElement", "tex", "asciimath"):  # MathJax.tex.inlineMath = ..., calls
                section = name
            continue
        if name in ("tex2jax", "tex", "asciimath2jax", "asciimath"):
            section = name
        if name == "processEscapes":
            found["escapes"] = tokens[place + 2] == "true"
        elif name in KEYS and found["values"] < MOST_VALUES:
            found["values"] += 1
            value = _value(tokens[place + 2 : place + 2 + LONGEST_VALUE])
            if name == "inlineMath":
                found["inline"] = _merged(found["inline"], value, PARENTHESES)
            elif name == "displayMath":
                found["display"] = _merged(found["display"], value, DOLLARS_AND_BRACKETS)
            elif section.startswith("asciimath"):
                found["ascii"] = _merged(found["ascii"], value, (("`", "`"),))
            else:
                for pair in _pairs_of_katex(value):
                    kind = "display" if pair[2] else "inline"
                    found[kind] = tuple(dict.fromkeys([*found[kind], pair[:2]]))


def _merged(known: Pairs, value: Any, default: Pairs) -> Pairs:
    """What is known and what a value adds: pairs, or `{'[+]': pairs}`, which keeps the default, or `{'[-]': pairs}`."""
    if isinstance(value, dict):
        less = _pairs(value.get("[-]"))
        return tuple(dict.fromkeys([*known, *(p for p in default if p not in less), *_pairs(value.get("[+]"))]))
    return tuple(dict.fromkeys([*known, *_pairs(value)]))


def _is_delimiter(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_DELIMITER and not value.isalnum() and "{" not in value


def _pairs(value: Any) -> list[tuple[str, str]]:
    pairs = value if isinstance(value, list) else []
    return [(p[0], p[1]) for p in pairs if isinstance(p, list) and len(p) == 2 and all(map(_is_delimiter, p))]


def _pairs_of_katex(value: Any) -> Iterator[tuple[str, str, bool]]:
    for item in value if isinstance(value, list) else []:
        if isinstance(item, dict) and _is_delimiter(item.get("left")) and _is_delimiter(item.get("right")):
            yield item["left"], item["right"], item.get("display") == "true"


def _value(tokens: list[str]) -> Any:
    """A JavaScript literal at the beginning of `tokens`: strings, names as strings, lists, objects; None if broken."""
    stack: list[Any] = []
    keys: list[str | None] = []
    for place, token in enumerate(tokens):
        made: Any
        if token in "[{":
            stack.append([] if token == "[" else {})
            keys.append(None)
            if len(stack) > DEEPEST_VALUE:
                return None
            continue
        if token in "]}":
            if not stack:
                return None
            made = stack.pop()
            keys.pop()
        elif token in ":,=":
            continue
        else:
            made = _unquoted(token)
            if stack and isinstance(stack[-1], dict) and keys[-1] is None and tokens[place + 1 : place + 2] == [":"]:
                keys[-1] = made
                continue
        if not stack:
            return made
        if isinstance(stack[-1], list):
            stack[-1].append(made)
        elif keys[-1] is not None:
            stack[-1][keys[-1]] = made
            keys[-1] = None
    return None


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL) if token[0] in "'\"`" else token

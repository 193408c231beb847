"""HTML from text that may hold anything: what is not `Markup` is escaped, so a document cannot speak to the browser."""

import html
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

VOID = ("br", "link", "meta")
"""Elements that have no content and no end tag (HTML Living Standard, 13.1.2)."""


class Markup(str):
    """HTML that is safe to stand in a page as it is."""


Child = str | int | None | Iterable["Child"]
"""What an element may hold: markup, text that gets escaped, numbers, nothing, or several of these."""


def element(name: str, attributes: Mapping[str, str | float | None], *children: Child) -> Markup:
    """An element; an attribute that is None is left out, one that is empty stands without a value.

    Places in a drawing have two decimals at most.
    """
    written = "".join(
        f" {key}" if value == "" else f' {key}="{html.escape(_visible(_short(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>" if name in VOID else f"<{name}{written}>{join(children)}</{name}>")


def _short(value: str | float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def join(children: Child) -> Markup:
    """Children one after the other; text is escaped."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str | int):
        return Markup(html.escape(_visible(str(children))))
    return Markup("".join(join(c) for c in children))


def _visible(text: str) -> str:
    """Characters that HTML cannot hold (control characters, lone surrogates) stand as U+FFFD."""
    return "".join(
        c if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f" and not _lone(c)) else "\ufffd" for c in text
    )


def _lone(character: str) -> bool:
    return "\ud800" <= character <= "\udfff"


def embedded_json(value: Any) -> Markup:
    """A value as JSON that may stand in a script element: no `<`, so that no text in it can end the element."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    return Markup("".join(escapes.get(c, c) for c in text))


def table(headings: Iterable[Child], rows: Iterable[Iterable[Child]], names: int = 1) -> Markup:
    """A table that scrolls sideways where it is too wide; the first `names` columns are words, the others numbers."""

    def kind(column: int) -> dict[str, str | int | None]:
        return {"class": None if column < names else "number"}

    head = element("tr", {}, [element("th", {"scope": "col", **kind(i)}, h) for i, h in enumerate(headings)])
    body = [element("tr", {}, [element("td", kind(i), cell) for i, cell in enumerate(row)]) for row in rows]
    return element(
        "div",
        {"class": "scroll", "tabindex": 0},
        element("table", {}, element("thead", {}, head), element("tbody", {}, body)),
    )


def facts_list(pairs: Iterable[tuple[str, Child]]) -> Markup:
    """Names and values, as a definition list; pairs without a value are left out."""
    shown = [(name, value) for name, value in pairs if value not in (None, "")]
    return element("dl", {}, [[element("dt", {}, name), element("dd", {}, value)] for name, value in shown])


def plural(count: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def compact(number: float) -> str:
    """A number in three digits: 1,234,567 -> 1.23 M."""
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(number) >= size:
            return f"{number / (size if size != 1e4 else 1e3):.3g}{unit}"
    return f"{number:,.0f}"


def size_of(count: int) -> str:
    """Bytes for people, in powers of 1000."""
    return f"{count:,} B" if count < 1000 else f"{count / 1e3:,.0f} kB" if count < 1e6 else f"{count / 1e6:,.2f} MB"


def percent(share: float, digits: int = 0) -> str:
    """A share in percent."""
    return f"{100 * share:.{digits}f}\u202f%"


def duration(seconds: float) -> str:
    """Milliseconds to hours."""
    if seconds < 0.95:
        return f"{1000 * seconds:.0f}\u202fms"
    if seconds < 100:
        return f"{seconds:.1f}\u202fs"
    return f"{seconds / 60:.1f}\u202fmin" if seconds < 6000 else f"{seconds / 3600:.1f}\u202fh"


def moment(stamp: str) -> str:
    """A manifest's time as people write it, in UTC."""
    return f"{datetime.fromisoformat(stamp).astimezone(UTC):%d %B %Y, %H:%M} UTC".removeprefix("0")

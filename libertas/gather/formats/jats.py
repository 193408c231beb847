"""JATS, the XML of journal articles (ANSI/NISO Z39.96; PubMed Central's .nxml): text, tables, formulas and metadata.

One walk over the tree without recursion. References go, and so do articles within the article (peer reviews).
Formulas become `$...$` and `$$...$$` from their TeX, or from their MathML.
"""

import html
import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from lxml import etree
from resiliparse.parse.html import HTMLTree

from libertas.document import Drop
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.license import spdx
from libertas.gather.math.marks import marked, unmark
from libertas.gather.math.mathml import math_source
from libertas.gather.normalize import normalize

MOST_BYTES = 100 << 20
"""Of the XML: 100 MiB; articles have 0.1."""
XLINK = "{http://www.w3.org/1999/xlink}href"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
UNREAD = frozenset(
    {
        "ref-list", "sub-article", "response", "graphic", "inline-graphic", "media", "supplementary-material",
        "object-id", "alt-text", "long-desc", "processing-meta", "floats-wrap", "front", "colgroup", "sec-meta",
        "permissions", "attrib", "def-head", "term-head", "fn-type", "journal-meta", "alternatives-graphic",
    }
)  # fmt: skip
"""Elements that hold nothing to read, or what becomes metadata."""
BLOCKS = frozenset(
    {
        "p", "sec", "list", "list-item", "def-list", "def-item", "def", "disp-quote", "verse-group", "verse-line",
        "boxed-text", "fig", "fig-group", "table-wrap", "table-wrap-foot", "caption", "statement", "ack", "app",
        "abstract", "fn", "fn-group", "preformat", "code", "body", "back", "notes", "glossary", "kwd-group", "speech",
        "disp-formula-group", "term", "table", "tr", "bio", "floats-group", "title", "subtitle",
    }
)  # fmt: skip
"""Elements that begin and end a paragraph."""
HEADED = frozenset({"sec", "ack", "app", "notes", "glossary", "fn-group", "abstract"})
"""Elements whose title is a heading."""
RAISED = str.maketrans("0123456789+-−=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿ")
LOWERED = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
ALL_RAISED = re.compile(r"[0-9+\-−=()n]+")
TEX_BODY = re.compile(r"\\begin\{document\}(.*?)(?:\\end\{document\}|$)", re.DOTALL)
CREATIVE_COMMONS = re.compile(r"https?://creativecommons\.org/[\w./-]*\w/?")
MATHML_NAME = re.compile(r"[A-Za-z][A-Za-z-]*")
DEEPEST_INDENT = 10
"""Levels of lists that are shown by indenting."""
MOST_CELLS = 200_000
"""Of one table."""


def read_jats(body: bytes, mode: ReadMode) -> Extracted | Drop:
    """The text of a journal article; anything but an `article` at the root is dropped."""
    if len(body) > MOST_BYTES:
        return Drop("jats", "larger than the cap", len(body))
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True, remove_pis=True)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        return Drop("jats", "not XML", str(error))
    if root is None or _name(root) != "article":
        return Drop("jats", "not an article", None if root is None else _name(root))
    title = _text(root.find("{*}front//{*}article-title"))
    walk = _Walk(mode.markdown)
    if title:
        walk.write(title)
        walk.flush("# " if mode.markdown else "")
    for abstract in root.iterfind("{*}front//{*}abstract"):
        if abstract.get("abstract-type") in (None, "summary", "executive-summary", "section", "plain-language-summary"):
            walk.over(abstract)
    for part in ("body", "floats-group", "back"):
        for found in root.iterfind(f"{{*}}{part}"):
            walk.over(found)
    return Extracted(unmark(normalize("".join(walk.paragraphs))), unmark(title), _metadata(root))


@dataclass(slots=True)
class _Walk:
    """What a walk has written, and where it is."""

    markdown: bool
    paragraphs: list[str] = field(default_factory=list)
    """With the line breaks between them."""
    line: list[str] = field(default_factory=list)
    depth: int = 1
    """Of sections."""
    lists: list[tuple[str, int]] = field(default_factory=list)
    mark: str = ""
    """Stands before the next paragraph: a bullet, a number, a label."""
    rows: list[list[str]] | None = None
    """Of the table that the walk is in."""
    notes: int = 0
    """Notes open within a paragraph."""

    def write(self, text: str | None) -> None:
        if text:
            self.line.append(text)

    def flush(self, mark: str = "") -> None:
        """End a paragraph, if anything was written since the last one."""
        text = " ".join("".join(self.line).split(" ")) if mark == KEEP else " ".join("".join(self.line).split())
        self.line = []
        if not text.strip():
            return
        indent = "   " * min(max(len(self.lists) - 1, 0), DEEPEST_INDENT)
        block = f"{indent}{'' if mark == KEEP else mark}{self.mark}{text}"
        listed = self.lists and (self.mark or self.lists) and self.paragraphs
        if (listed and self.lists[-1][1] > 1 and self.mark) or (listed and len(self.lists) > 1):
            self.paragraphs += ["\n", block]
        else:
            self.paragraphs += ["\n\n", block]
        self.mark = ""

    def over(self, top: Any) -> None:
        """Walk over an element and all that it holds."""
        walker = etree.iterwalk(top, events=("start", "end", "comment"))
        for event, element in walker:
            if not isinstance(element.tag, str):  # a comment, or an entity that the file does not declare
                if event != "end":
                    self.write(_entity(element))
                    self.write(element.tail)
                continue
            name = _name(element)
            if event == "start":
                if name in UNREAD or _only_citations(name, element):
                    walker.skip_subtree()
                elif name in ("inline-formula", "disp-formula", "tex-math", "math"):
                    self.formula(element, display=name == "disp-formula")
                    walker.skip_subtree()
                elif name in ("sub", "sup"):
                    self.write(_shifted(name, _text(element)))
                    walker.skip_subtree()
                elif name == "label":
                    self.label(element)
                    walker.skip_subtree()
                else:
                    self.start(name, element)
            else:
                self.end(name, element)
                if element is not top:
                    self.write(element.tail)

    def start(self, name: str, element: Any) -> None:
        """What happens at an opening tag."""
        if name == "fn" and self.line and self.rows is None:
            self.notes += 1
            self.write(" (")
        elif name in BLOCKS and self.notes == 0 and self.rows is None:
            self.flush()
        if name == "sec":
            self.depth += 1
        elif name == "list":
            self.lists.append((element.get("list-type", "bullet"), 0))
        elif name == "list-item" and self.lists:
            kind, count = self.lists[-1]
            self.lists[-1] = (kind, count + 1)
            self.mark = f"{count + 1}. " if kind == "order" else "- "
        elif name == "table":
            self.rows = []
        elif name == "tr" and self.rows is not None:
            self.rows.append([])
            self.line = []
        elif name == "disp-quote" and self.markdown:
            self.mark = "> "
        elif name == "break":
            self.write(" ")
        self.write(element.text)

    def end(self, name: str, element: Any) -> None:
        """What happens at a closing tag."""
        if self.rows is not None:
            if name in ("td", "th") and self.rows:
                self.rows[-1].append(" ".join("".join(self.line).split()))
                self.line = []
            elif name == "p":
                self.write(" ")
            elif name == "table":
                self.table()
        elif name == "fn" and self.notes:
            self.notes -= 1
            self.write(")")
        elif name in ("title", "subtitle"):
            heading = self.markdown and self.depth > 1 and _name(element.getparent()) in HEADED
            self.flush("#" * min(self.depth, 6) + " " if heading else "")
        elif name in ("preformat", "code"):
            self.flush(KEEP)
        elif name in BLOCKS and self.notes == 0:
            self.flush()
        if name == "sec":
            self.depth -= 1
        elif name == "list" and self.lists:
            self.lists.pop()

    def table(self) -> None:
        """Write the rows of the table that ends here."""
        rows = [row for row in self.rows or [] if any(row)]
        self.rows, self.line = None, []
        width = max(map(len, rows), default=0)
        if not rows:
            return
        if self.markdown and width * len(rows) <= MOST_CELLS:
            lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
            lines.insert(1, "|" + " --- |" * width)
        else:
            lines = [" | ".join(row) for row in rows]
        self.paragraphs += ["\n\n", "\n".join(lines)]

    def label(self, element: Any) -> None:
        """The number of a section, figure or table goes before its title; that of a list item is its bullet."""
        text = _text(element)
        if text and self.rows is None and self.notes == 0:
            self.flush()
            self.mark = f"{text} "
        elif text:
            self.write(f"{text} ")

    def formula(self, element: Any, display: bool) -> None:
        """Write a formula between dollar signs; what holds neither TeX nor MathML is text."""
        tex = _tex(element)
        if tex and display and self.rows is None and self.notes == 0:
            self.flush()
            self.paragraphs += ["\n\n", marked(tex, display=True)]
        elif tex:
            self.write(marked(tex, display=False))
        else:
            self.write(_text(element))


KEEP = "\0"
"""Given to `flush` where line breaks are meant."""


def _name(element: Any) -> str:
    """Its name without namespace, or with a prefix that the file does not declare; nothing for comments."""
    return element.tag.rpartition("}")[2].rpartition(":")[2] if isinstance(element.tag, str) else ""


def _entity(element: Any) -> str:
    return html.unescape(element.text or "") if element.tag is etree.Entity else ""


def _text(element: Any) -> str:
    """All text of an element on one line, without footnotes and with formulas."""
    if element is None:
        return ""
    pieces = []
    walker = etree.iterwalk(element, events=("start", "end"))
    for event, one in walker:
        name = _name(one)
        if event == "end":
            pieces.append((one.tail or "") if one is not element else "")
        elif name in ("fn", "xref") and one is not element and one.get("ref-type") != "fig":
            walker.skip_subtree()
        elif name in ("tex-math", "math") or (name.endswith("-formula") and one is not element):
            tex = _tex(one)
            pieces.append(marked(tex, display=False) if tex else "".join(one.itertext()))
            walker.skip_subtree()
        elif name in ("sub", "sup") and one is not element:
            pieces.append(_shifted(name, "".join(one.itertext())))
            walker.skip_subtree()
        else:
            pieces.append(_entity(one) if not name else one.text or "")
    return " ".join("".join(pieces).split())


def _shifted(name: str, text: str) -> str:
    """Text above or below the line: the characters that Unicode has for it, else after ^ or _."""
    text = text.strip()
    table, pattern = (RAISED, ALL_RAISED) if name == "sup" else (LOWERED, ALL_RAISED)
    if pattern.fullmatch(text) and not (name == "sub" and "n" in text):
        return text.translate(table)
    return f"{'^' if name == 'sup' else '_'}{text}" if text else ""


def _only_citations(name: str, element: Any) -> bool:
    return name == "sup" and any(x.get("ref-type") == "bibr" for x in element.iterfind("{*}xref"))


def _tex(element: Any) -> str:
    """The TeX of a formula, or its MathML as TeX, or nothing."""
    for found in element.iter("{*}tex-math"):
        source = "".join(found.itertext())
        body = TEX_BODY.search(source)
        return " ".join((body[1] if body else source).strip().strip("$").split())
    for found in (one for one in element.iter() if _name(one) == "math"):
        bare = deepcopy(found)
        for one in bare.iter(etree.Element):
            one.tag = name if MATHML_NAME.fullmatch(name := _name(one)) else "mrow"
        etree.cleanup_namespaces(bare)
        source = etree.tostring(bare, method="html", encoding="unicode", with_tail=False)
        page = HTMLTree.parse(source).body
        math = page.query_selector("math") if page else None
        return math_source(math) if math else ""
    return ""


def _metadata(root: Any) -> dict[str, Any]:
    front = root.find("{*}front")
    if front is None:
        return {}
    ids = {e.get("pub-id-type"): _text(e) for e in front.iterfind(".//{*}article-meta/{*}article-id")}
    authors = [_author(c) for c in front.iterfind(".//{*}article-meta/{*}contrib-group/{*}contrib")
               if c.get("contrib-type", "author") == "author"]  # fmt: skip
    authors = [a for a in authors if a]
    dates = (_date(d) for d in front.iterfind(".//{*}article-meta/{*}pub-date"))
    keywords = [_text(k) for k in front.iterfind(".//{*}article-meta/{*}kwd-group/{*}kwd")]
    known = {
        "author": authors[0] if len(authors) == 1 else authors,
        "published": min((d for d in dates if d), default=""),
        "language": root.get(LANGUAGE, ""),
        "license": _license(front.find(".//{*}permissions")),
        "site": _text(front.find(".//{*}journal-title")),
        "doi": ids.get("doi", ""),
        "pmid": ids.get("pmid", ""),
        "pmcid": ids.get("pmc", ids.get("pmcid", "")),
        "canonical": f"https://doi.org/{ids['doi']}" if ids.get("doi") else "",
        "keywords": [k for k in keywords if k],
    }
    return {key: value for key, value in known.items() if value}


def _author(contributor: Any) -> str:
    parts = [_text(contributor.find(f".//{{*}}{part}")) for part in ("given-names", "surname", "suffix")]
    name = " ".join(part for part in parts if part)
    return name or _text(contributor.find("{*}collab")) or _text(contributor.find("{*}string-name"))


def _date(date: Any) -> str:
    """In ISO 8601, as exact as it is given."""
    if date.get("pub-type", "") == "retracted" or date.get("date-type", "pub") not in ("pub", "collection"):
        return ""
    parts = [_text(date.find(f"{{*}}{part}")) for part in ("year", "month", "day")]
    if not re.fullmatch(r"\d{4}", parts[0]):
        return ""
    given = [parts[0]]
    for part in parts[1:]:
        if not re.fullmatch(r"\d{1,2}", part):
            break
        given.append(f"{int(part):02}")
    return "-".join(given)


def _license(permissions: Any) -> str:
    """The SPDX identifier if the license has one, else its address."""
    if permissions is None:
        return ""
    addresses = [_text(reference) for reference in permissions.iter("{*}license_ref")]
    addresses += [one.get(XLINK, "") for one in permissions.iter("{*}license", "{*}ext-link")]
    addresses += CREATIVE_COMMONS.findall("".join(permissions.itertext()))
    licenses = (spdx(address) or (address if "license" in address else "") for address in addresses)
    return next((one for one in licenses if one), "")

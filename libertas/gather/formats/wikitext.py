"""Wikitext to text or Markdown, in one pass over the source and in time linear in its length.

Templates live in a wiki, not in its pages: the few that stand for words are put into words by `wikitemplates.py`, the
others are left out, and so are references, pictures, categories and navigation. Syntax: mediawiki.org, pages "Links",
"Tables" and "Formatting" of its help. Which marks close which: "Preprocessor ABNF", where a closing mark counts only
for the mark that was opened last.
"""

import html
import re
from dataclasses import dataclass, field
from urllib.parse import quote

from libertas.gather.formats.wikiblocks import BREAK, CODE_LINE, BlockLine, joined_blocks
from libertas.gather.formats.wikitemplates import template_text

DEEPEST_MARKS = 40
"""Marks opened inside this many others are plain text; MediaWiki itself refuses templates nested more than 40 deep."""
TAG_CHARACTERS = 1000
"""A tag ends within so many characters, or it is none."""
MOST_COLUMNS = 100
TOKEN = re.compile(
    r"\{\{\{(?!\{)|\{\{|\}\}\}?|\[\[|\]\]?|\[(?=(?:https?:|ftp:|mailto:|)//|mailto:)|\|\||\||!!|<!--|</?[A-Za-z][A-Za-z0-9]*"
    r"|\n[ \t:]*\{\||\n[ \t]*\|[-}+]|\n[ \t]*[|!]|\n|__[A-Z]{3,20}__"
)
_RAW = (
    "nowiki math chem ce pre syntaxhighlight source ref references gallery timeline score imagemap graph mapframe "
    "maplink templatestyles indicator hiero inputbox categorytree templatedata rss includeonly"
)
RAW = {name: re.compile(rf"</{name}\s{{0,9}}>", re.IGNORECASE) for name in _RAW.split()}
"""Elements whose content is not wikitext, or is left out, with what ends them."""
MATH = frozenset({"math", "chem", "ce"})
CODE = frozenset({"pre", "syntaxhighlight", "source"})
_LINES = "div center blockquote ul ol dl dt dd table tr caption h1 h2 h3 h4 h5 h6"
LINES = dict.fromkeys(_LINES.split(), "\n") | {"p": "\n\n", "br": BREAK, "hr": "\n\n", "td": " ", "th": " "}
"""What tags of HTML become that begin or end a line."""
_INLINE = (
    "b i u s em strong small big span font sub sup del ins strike abbr cite q var dfn bdi bdo code tt kbd samp mark "
    "ruby rb rp rt time wbr data noinclude onlyinclude section nobr poem"
)
INLINE = frozenset(_INLINE.split())
POWER = re.compile(r"<sup>\s{0,9}([-+−]?\d{1,9})\s{0,9}</sup>", re.IGNORECASE)
NAVIGATION = re.compile(r"\b(?:navbox|vertical-navbox|infobox|metadata|[a-z]*mbox|sidebar|toccolours)\b")
"""Classes of tables that are no table of the article."""
PICTURES = frozenset({"file", "image", "media", "category"})
LANGUAGE_LINK = re.compile(r"[a-z]{2,3}(?:-[a-z]{2,9}){0,2}:")
COLUMNS = re.compile(r"colspan\s{0,9}=\s{0,9}[\"']?(\d{1,3})")
CODE_LANGUAGE = re.compile(r"\blang\s{0,9}=\s{0,9}[\"']?([\w+#-]{1,30})")
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
QUOTES = re.compile("'{2,}")
CODE_START = re.compile(r" [ \t]*(?=[^\s{|!<])")


@dataclass(slots=True)
class _Frame:
    """A mark that was opened: what stood behind it so far, split at `|`."""

    kind: str
    mark: str
    parts: list[list[str]] = field(default_factory=lambda: [[]])
    state: str = ""
    """Of a table: what the current text is (attributes, caption, th, td)."""
    attributes: str = ""
    caption: str = ""
    columns: int = 1
    rows: list[list[str]] = field(default_factory=list)

    def text(self, part: int = -1) -> str:
        return "".join(self.parts[part])


def wikitext_text(
    source: str, *, markdown: bool = False, base: str = "", left_out: frozenset[str] = frozenset()
) -> str:
    """What a page says.

    Args:
        source: its wikitext.
        markdown: headings, lists, tables, code and emphasis as Markdown; otherwise as plain text.
        base: address before the name of a page; with it, and in Markdown, links keep their addresses.
        left_out: namespaces in lower case whose links are left out, beside the English `file`, `image` and `category`.
    """
    return _Page(CONTROLS.sub("", source.replace("\r\n", "\n")), markdown, base, PICTURES | left_out).read()


class _Page:
    def __init__(self, source: str, markdown: bool, base: str, left_out: frozenset[str]) -> None:
        self.source, self.markdown, self.base, self.left_out = "\n" + source, markdown, base, left_out
        self.at = 0
        self.frames = [_Frame("page", "")]
        self.kept: list[tuple[str, str]] = []
        """Text that must come through as it is: kind (`inline` or `block`) and the text."""
        self.unclosed: set[str] = set()
        """Marks that nothing closes any more: looking for their end again would take quadratic time."""
        self.verse = False

    def read(self) -> str:
        source = self.source
        while found := TOKEN.search(source, self.at):
            self.put(source[self.at : found.start()])
            self.at = found.end()
            self.token(found[0], found.start())
        self.put(source[self.at :])
        while len(self.frames) > 1:
            self.flatten()
        text = joined_blocks(self.frames[0].text(), self.inline, markdown=self.markdown)
        return self.restored(text)

    def put(self, text: str) -> None:
        if text:
            self.frames[-1].parts[-1].append(text)

    def keep(self, text: str, *, block: bool = False) -> str:
        """A stand-in for text that nothing may change."""
        self.kept.append(("block" if block else "inline", text))
        mark = f"\x01{len(self.kept) - 1}\x01"
        return f"\n{BlockLine.MARK}{mark}\n" if block else mark

    def restored(self, text: str) -> str:
        """Text with its stand-ins replaced; they nest no deeper than the marks do."""
        return re.sub("\x01(\\d+)\x01", lambda m: self.restored(self.kept[int(m[1])][1]), text)

    def inline(self, text: str) -> str:
        """One line or cell: emphasis and entities."""
        if "''" in text:
            text = _with_elision(text)
            text = _emphasis(text) if self.markdown else QUOTES.sub(_apostrophes, text)
        return html.unescape(text).replace("\u00a0", " ")

    def token(self, mark: str, start: int) -> None:
        top = self.frames[-1]
        if mark[0] == "\n":
            self.line(mark, start)
        elif mark[0] == "<":
            self.comment() if mark == "<!--" else self.tag(mark, start)
        elif mark in ("{{", "{{{", "[[", "["):
            kind = {"{{": "template", "{{{": "argument", "[[": "link", "[": "external"}[mark]
            self.open(kind, mark)
        elif mark[0] == "}":
            self.close_braces(mark, start)
        elif mark[0] == "]":
            self.close_brackets(mark, start)
        elif mark in ("|", "||", "!!"):
            self.bar(mark, start, top)
        # what remains is a switch such as __NOTOC__

    def open(self, kind: str, mark: str) -> None:
        if len(self.frames) > DEEPEST_MARKS:
            self.put(mark)
        else:
            self.frames.append(_Frame(kind, mark))

    def flatten(self) -> None:
        """Take back the mark that was opened last: it was none."""
        frame = self.frames.pop()
        if frame.kind == "table":
            self.put(self.table(frame))
            return
        self.put(frame.mark)
        for number, part in enumerate(frame.parts):
            self.put("|" if number else "")
            self.frames[-1].parts[-1] += part

    def close_braces(self, mark: str, start: int) -> None:
        if any(f.kind in ("template", "argument") for f in self.frames):
            while self.frames[-1].kind in ("external", "table"):
                self.flatten()
        top = self.frames[-1]
        if top.kind == "argument" and mark == "}}}":
            self.frames.pop()
            self.put(top.text(1) if len(top.parts) > 1 else "")
        elif top.kind == "template":
            self.at = start + 2
            self.frames.pop()
            self.put(self.template(top))
        else:
            self.put(mark)

    def template(self, frame: _Frame) -> str:
        text, kind = template_text([frame.text(i) for i in range(len(frame.parts))])
        if kind == "math":
            return self.keep(f"${text}$")
        if kind == "quote":
            lines = self.inline(text.strip().replace(BREAK, "\n")).split("\n")
            return self.keep("\n".join(f"> {line}" if self.markdown else line for line in lines), block=True)
        return text

    def close_brackets(self, mark: str, start: int) -> None:
        top = self.frames[-1]
        if top.kind == "external":
            self.at = start + 1
            self.frames.pop()
            url, _, label = top.text().partition(" ")
            label = label.strip()
            self.put(f"[{label}]({self.keep(url)})" if label and self.markdown and self.base else label)
        elif top.kind == "link" and mark == "]]":
            self.frames.pop()
            self.put(self.link(top))
        else:
            self.put(mark)

    def link(self, frame: _Frame) -> str:
        target = frame.text(0).strip()
        name, label = target.lstrip(":"), frame.text().strip() if len(frame.parts) > 1 else ""
        space = name.partition(":")[0].strip().lower().replace("_", " ") if ":" in name else ""
        if target[:1] != ":" and (space in self.left_out or (not label and LANGUAGE_LINK.match(name))):
            return ""
        label = label or name
        if self.markdown and self.base and name and name[0] != "#":
            return f"[{label}]({self.keep(self.base + quote(name.replace(' ', '_'), safe='/:#(),'))})"
        return label

    def comment(self) -> None:
        end = -1 if "<!--" in self.unclosed else self.source.find("-->", self.at)
        if end < 0:
            self.unclosed.add("<!--")
            self.at = len(self.source)  # MediaWiki: an unclosed comment goes on to the end
        else:
            self.at = end + 3

    def tag(self, mark: str, start: int) -> None:
        name, end = mark.lstrip("</").lower(), self.source.find(">", self.at, self.at + TAG_CHARACTERS)
        if end < 0 or not (name in RAW or name in LINES or name in INLINE or name == "li"):
            self.put(mark)
            return
        if name == "sup" and (power := POWER.match(self.source, start)):
            self.put(f"^{power[1]}")
            self.at = power.end()
            return
        attributes = self.source[self.at : end]
        self.at = end + 1
        if name in RAW and mark[1] != "/" and not attributes.endswith("/"):
            self.raw(name, attributes)
        elif name == "li":
            self.put("\n* " if mark[1] != "/" else "\n")
        elif name == "poem":
            self.verse = mark[1] != "/"
            self.put("\n\n")
        elif name in ("code", "tt") and self.markdown:
            self.put("`")
        else:
            self.put(LINES.get(name, ""))

    def raw(self, name: str, attributes: str) -> None:
        found = None if name in self.unclosed else RAW[name].search(self.source, self.at)
        if found is None:
            self.unclosed.add(name)
            return
        content = self.source[self.at : found.start()]
        self.at = found.end()
        if name == "nowiki":
            self.put(self.keep(html.unescape(content)))
        elif name in MATH:
            formula = content.strip() if name == "math" else f"\\ce{{{content.strip()}}}"
            dollars = "$$" if "block" in attributes else "$"
            self.put(self.keep(f"{dollars}{formula}{dollars}") if content.strip() else "")
        elif name in CODE:
            code = (html.unescape(content) if name == "pre" else content).strip("\n")
            language = CODE_LANGUAGE.search(attributes)
            if "inline" in attributes:
                self.put(self.keep(f"`{code}`" if self.markdown else code))
            elif self.markdown:
                self.put(self.keep(f"```{language[1] if language else ''}\n{code}\n```", block=True))
            else:
                self.put(self.keep(code, block=True))

    def line(self, mark: str, start: int) -> None:
        """The end of a line, and what of tables stands at the beginning of the next."""
        while (top := self.frames[-1]).kind == "external" or (top.kind == "link" and len(top.parts) == 1):
            self.flatten()
        sign = mark.strip()
        if sign == "{|" and top.kind != "link":
            self.put("\n")
            self.open("table", "")
            self.frames[-1].state = "attributes" if self.frames[-1].kind == "table" else ""
        elif top.kind == "table" and sign:
            if sign == "|}":
                self.frames.pop()
                self.put(self.table(top))
                return
            self.cell_ends(top)
            if sign == "|-":
                top.rows.append([])
                top.state = "row"
            else:
                top.state = {"|+": "caption", "|": "td", "!": "th"}[sign]
        else:
            self.at = start + 1
            code = len(self.frames) == 1 and CODE_START.match(self.source, self.at)
            self.put(BREAK if self.verse else f"\n{CODE_LINE}" if code else "\n")

    def bar(self, mark: str, start: int, top: _Frame) -> None:
        if top.kind in ("template", "link", "argument") and mark != "!!":
            self.at = start + 1
            top.parts.append([])
        elif top.kind != "table":
            self.put(mark)
        elif mark == "|":
            before = top.text()
            if top.state in ("td", "th", "caption") and "\n" not in before and ("=" in before or not before.strip()):
                columns = COLUMNS.search(before)
                top.columns = min(int(columns[1]), MOST_COLUMNS) if columns else 1
                top.parts = [[]]
            else:
                self.put(mark)
        elif top.state == "th" or (top.state == "td" and mark == "||"):
            self.cell_ends(top)
        else:
            self.put(mark)

    def cell_ends(self, frame: _Frame) -> None:
        text = " ".join(re.sub(r"(?m)^[*#:;]+[ \t]*", "", frame.text().replace(BREAK, " ")).split())
        if frame.state == "attributes":
            frame.attributes = frame.text()
        elif frame.state == "caption":
            frame.caption = text
        elif frame.state in ("td", "th"):
            if not frame.rows:
                frame.rows.append([])
            frame.rows[-1] += [self.inline(text), *[""] * (frame.columns - 1)]
        frame.parts, frame.columns = [[]], 1

    def table(self, frame: _Frame) -> str:
        self.cell_ends(frame)
        rows = [row for row in frame.rows if any(row)]
        if not rows or NAVIGATION.search(frame.attributes):
            return ""
        width = max(map(len, rows))
        if width == 1:  # layout, or a list
            return "\n\n" + "\n\n".join(row[0] for row in rows) + "\n\n"
        lines = [" | ".join(row).rstrip(" |") for row in rows]
        if self.markdown:
            rows = [[*(c.replace("|", "\\|") for c in row), *[""] * (width - len(row))] for row in rows]
            lines = [f"| {' | '.join(row)} |" for row in rows]
            lines.insert(1, "|" + " --- |" * width)
        caption = [self.inline(frame.caption), ""] if frame.caption else []
        return self.keep("\n".join([*caption, *lines]), block=True)


def _with_elision(line: str) -> str:
    """A line in which neither bold nor italic come in pairs: some three apostrophes are one and then italic.

    MediaWiki's rule (Parser::doQuotes): the first ones behind a word of one letter, else behind any, else at all.
    """
    runs = list(QUOTES.finditer(line))
    threes = [run.start() for run in runs if len(run[0]) == 3]
    bold, italic = (sum(len(r[0]) != 2 for r in runs), sum(len(r[0]) == 2 or len(r[0]) >= 5 for r in runs))
    if not threes or bold % 2 == 0 or italic % 2 == 0:
        return line

    def likely(at: int) -> int:
        if line[at - 1 : at] in ("", " "):
            return 2
        return 0 if at == 1 or line[at - 2] == " " else 1

    at = min(threes, key=likely)
    return f"{line[:at]}&#39;''{line[at + 3 :]}"


def _apostrophes(found: re.Match[str]) -> str:
    """Apostrophes in front of the two, three or five that are marks."""
    n = len(found[0])
    return "'" * (1 if n == 4 else max(0, n - 5))


def _emphasis(line: str) -> str:
    """Apostrophes of one line as asterisks, or without marks where they do not come in pairs."""
    runs = QUOTES.findall(line)
    bold = sum(len(r) != 2 for r in runs)
    italic = sum(len(r) == 2 or len(r) >= 5 for r in runs)
    if bold % 2 or italic % 2:
        return QUOTES.sub(_apostrophes, line)
    stars = {2: "*", 3: "**", 4: "**"}
    return QUOTES.sub(lambda m: _apostrophes(m) + stars.get(len(m[0]), "***"), line)

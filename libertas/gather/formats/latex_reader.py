r"""LaTeX to text, formulas kept: one pass over the source, as TeX would read it but without typesetting.

Comments go, \input is followed, macros that the source defines are expanded, formulas stay as `$...$` and `$$...$$`.
References and citations become their key in brackets. The pass has no recursion: input and open groups are stacks of
its own, and everything that can grow (macro expansion, the search for a closing brace) is paid from a budget, so that
its time is linear in the source.

pylatexenc, the library at hand, expands no macros and descends one Python frame with every brace.
"""

import posixpath
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from libertas.gather.formats import latex_words as words
from libertas.gather.math.marks import marked
from libertas.gather.normalize import decode, normalize

WORK = 1_000_000
"""Characters that expansion and searching may cost, beyond `WORK_FACTOR` times the length of the sources."""
WORK_FACTOR = 8
DEEPEST = 400
"""Inputs and expansions open at once; deeper ones are not followed."""
MOST_CAPTURES = 10
"""Tables, headings, footnotes and the like within each other; deeper ones are read as plain text."""
LONGEST_OPTION = 2_000
"""Characters of an optional argument."""
CELL, ROW = "\ue010", "\ue011"
"""Stand for & and \\\\ until their table is complete; private use, so no source means them."""
HARD_SPACE = "\u00a0"
"""A space that counts, in code and before nested items; `normalize` makes it plain."""

AND = "\ue012"
"""Stands between two authors."""
LINE = "\ue013"
"""A line break that swallows all breaks around it."""

TOKEN = re.compile(
    r"\\([a-zA-Z]+)\*?|\\([\s\S])|(%[^\n]*\n?[ \t]*)|(\n[ \t]*(?:\n[ \t]*)+)|(\$\$?)"
    r"|([{}~&\n`'#-])|[^\\%$\n{}~&`'#-]+|\\"
)
CONTROL = re.compile(r"\\(?:[a-zA-Z@]+|[\s\S])")
BRACES = re.compile(r"\\[\s\S]|[{}]|%[^\n]*")
ALL_BRACES = re.compile(r"\\[\s\S]|[{}]")
"""For addresses, where a percent sign is no comment."""
SPACE = re.compile(r"[ \t]*\n?[ \t]*")
OWN_MARKS = re.compile("[\0\ue000-\ue01f]")
"""Private characters that a source had better not hold, because they mean something here."""
ENCODING = re.compile(rb"\\usepackage\s*\[([\w-]+)\]\s*\{inputenc\}")
DEFINERS = words.listed(
    "newcommand renewcommand providecommand DeclareRobustCommand def gdef edef xdef let newenvironment "
    "renewenvironment newtheorem DeclareMathOperator DeclarePairedDelimiter"
)


Commands = Mapping[str, Callable[["TexReader", str], None]]
"""What is done at a command, by its name."""


class _Macro(NamedTuple):
    arguments: int
    default: str | None
    body: str


class _Open(NamedTuple):
    """A group or environment that has begun, and what is done with its text at the end."""

    name: str
    start: int
    finish: Callable[[str], str] | None


class _Formula(NamedTuple):
    closing: str
    depth: int
    start: int


def tidy(text: str) -> str:
    """What was written, with plain spaces and without the marks of this module."""
    if LINE in text:
        text = "\n".join(piece.strip(" \n") for piece in text.split(LINE) if piece.strip(" \n"))
    text = re.sub(r"(?<![ \t])[ \t]+", " ", text.replace(CELL, " ").replace(ROW, "\n"))
    return normalize("\n".join(line.strip(" ") for line in text.split("\n")))


def _source(body: bytes) -> str:
    named = ENCODING.search(body[:100_000])
    charset = named[1].decode() if named else None
    text = decode(body, words.CHARSETS.get(charset or "", charset), html=False).lstrip("\ufeff")
    return OWN_MARKS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


class TexReader:
    """The state of one pass: what is left to read, what is open, what has been written."""

    def __init__(self, files: dict[str, bytes], markdown: bool, commands: Commands) -> None:
        """Begin with `files` at hand for what the source asks for, and the commands that mean more than a symbol."""
        self.commands = commands
        self.files, self.markdown = files, markdown
        self.input: list[list[Any]] = []  # [text, position] of every source that is being read
        self.out: list[str] = []
        self.open: list[_Open] = []
        self.counts: dict[str, int] = {}  # how often each environment is open
        self.items: list[int] = []  # the number of the last item, of each list that is open
        self.lists: list[str] = []  # and its environment
        self.capturing = 0  # groups open of which the text will be rewritten
        self.formula: _Formula | None = None
        self.macros: dict[str, _Macro] = {}
        self.environments: dict[str, tuple[_Macro, str]] = {}
        self.theorems = dict(words.THEOREMS)
        self.found: dict[str, str] = {}
        self.authors: list[str] = []
        self.notes: list[str] = []
        self.missing: set[str] = set()
        self.budget = WORK  # characters that expansion may still write
        self.patience = WORK  # characters that may still be searched in vain
        self.depth = 0  # braces open, in the present formula or not
        self.done = False
        self.stopped = False  # whether some expansion was refused
        self.documents = 0  # how often a document has begun; an included file may be one of its own
        self.note_count = 0

    # What is read

    def open_file(self, name: str) -> None:
        """Read on in a file, which may be named without its suffix."""
        name = posixpath.normpath(name.strip().strip('"'))
        for candidate in (name, f"{name}.tex", posixpath.basename(name), f"{posixpath.basename(name)}.tex"):
            if candidate in self.files and not candidate.endswith((".bbl", ".sty", ".cls", ".eps", ".pdf")):
                self.push(_source(self.files[candidate]))
                self.budget += WORK_FACTOR * len(self.files[candidate]) * (candidate == next(iter(self.files)))
                return
        self.missing.add(name[:200])

    def push(self, text: str) -> None:
        """Read on in this text, and then go on where the reader is now."""
        if len(self.input) < DEEPEST and self.budget > 0:
            self.budget -= len(text) + 20 if self.input else 0
            self.input.append([text, 0])
        else:
            self.stopped = True

    def rest(self) -> tuple[str, int] | None:
        """The source that is being read and the position in it, or None at the end of all."""
        while self.input and self.input[-1][1] >= len(self.input[-1][0]):
            self.input.pop()
        return (self.input[-1][0], self.input[-1][1]) if self.input else None

    def peek(self) -> str:
        """The next character that is no white space, which is skipped; empty at the end and before a new paragraph."""
        while (here := self.rest()) is not None:
            text, at = here
            end = SPACE.match(text, at).end()  # type: ignore[union-attr]
            self.input[-1][1] = end
            if end < len(text):
                if text[end] != "%":
                    return "" if text[end] == "\n" else text[end]
                newline = text.find("\n", end)
                self.input[-1][1] = len(text) if newline < 0 else newline + 1
        return ""

    def group(self, braces: re.Pattern[str] = BRACES) -> str:
        """The next argument as it stands in the source: a group without its braces, a command, or a character."""
        first = self.peek()
        here = self.rest()
        if not first or here is None or first == "}":
            return ""
        text, at = here
        if first != "{":
            found = CONTROL.match(text, at)
            self.input[-1][1] = found.end() if found else at + 1
            return text[at : self.input[-1][1]]
        depth, limit = 0, at + max(self.patience, 0)
        for brace in braces.finditer(text, at, limit):
            depth += {"{": 1, "}": -1}.get(brace[0], 0)
            if depth == 0:
                self.input[-1][1] = brace.end()
                return text[at + 1 : brace.start()]
        self.patience -= min(limit, len(text)) - at
        self.input[-1][1] = at + 1  # never closed: the brace is skipped, and what follows is read as text
        return ""

    def option(self) -> str | None:
        """The next argument in square brackets, if there is one."""
        if self.peek() != "[":
            return None
        text, at = self.input[-1]
        depth = 0
        for end in range(at + 1, min(len(text), at + min(LONGEST_OPTION, self.patience))):
            if text[end] == "]" and depth == 0:
                self.input[-1][1] = end + 1
                return str(text[at + 1 : end])
            depth += {"{": 1, "}": -1}.get(text[end], 0)
        self.patience -= LONGEST_OPTION
        return None

    def until(self, mark: str) -> str:
        """The source up to a mark, which is skipped; all of it where there is none."""
        here = self.rest()
        if here is None:
            return ""
        text, at = here
        end = text.find(mark, at)
        self.input[-1][1] = len(text) if end < 0 else end + len(mark)
        return text[at : end if end >= 0 else len(text)]

    # What is written

    def run(self) -> None:
        """Read to the end."""
        while not self.done and (here := self.rest()) is not None:
            text, at = here
            token = TOKEN.match(text, at)
            assert token is not None, "every character begins some token"
            self.input[-1][1] = token.end()
            if token[3] is not None:
                continue
            (self.in_formula if self.formula else self.in_text)(token)

    def in_text(self, token: re.Match[str]) -> None:
        """One token outside of formulas."""
        word = token[0]
        if token[1] or token[2]:
            self.command(token[1] or token[2])
        elif token[4]:
            self.paragraph()
        elif token[5]:
            self.begin_formula(word)
        elif word == "{":
            self.begin_group(None)
        elif word == "}":
            self.end_group()
        elif word == "&":
            self.out.append(CELL if any(e.name in words.TABLES for e in self.open[-8:]) else "&")
        elif word in "`'-":
            self.punctuation(word)
        else:
            self.out.append({"~": " ", "\n": " ", "#": ""}.get(word, word))

    def punctuation(self, mark: str) -> None:
        """Quotes and dashes of TeX: `` '' -- ---."""
        text, at = self.input[-1]
        count = 1
        while count < 3 and text[at : at + 1] == mark and not (mark != "-" and count == 2):
            at, count = at + 1, count + 1
        self.input[-1][1] = at
        self.out.append({"`": "‘“", "'": "'”", "-": "-–—"}[mark][count - 1])

    def paragraph(self) -> None:
        """End a paragraph, and write the footnotes that it made."""
        notes, self.notes = self.notes, []
        self.out += ["\n\n", *(note for n in notes for note in (n, "\n\n"))]

    def begin_group(self, finish: Callable[[str], str] | None) -> None:
        """Open a brace, of which `finish` rewrites what it holds."""
        self.depth += 1
        self.open_up("{", finish)

    def open_up(self, name: str, finish: Callable[[str], str] | None) -> None:
        """Open a group or an environment."""
        finish = finish if self.capturing < MOST_CAPTURES else None
        self.capturing += finish is not None
        self.open.append(_Open(name, len(self.out), finish))

    def end_group(self) -> None:
        """Close a brace, if one is open."""
        if self.open and self.open[-1].name == "{":
            self.depth -= 1
            self.close()

    def close(self) -> None:
        """Close whatever was opened last."""
        done = self.open.pop()
        if done.name != "{":
            self.counts[done.name] -= 1
        if done.finish is not None:
            self.capturing -= 1
            piece = "".join(self.out[done.start :])
            del self.out[done.start :]
            self.out.append(done.finish(piece))

    def close_all(self) -> str:
        """All that was written."""
        if self.formula:
            self.end_formula()
        while self.open:
            self.close()
        self.paragraph()
        return "".join(self.out)

    def captured(self, finish: Callable[[str], str]) -> None:
        """Read the next argument as text, and write what `finish` makes of it."""
        if self.peek() == "{":
            self.input[-1][1] += 1
            self.begin_group(finish)

    # Formulas

    def begin_formula(self, opening: str, closing: str = "") -> None:
        """What follows is a formula, up to `closing`, or up to another `opening`."""
        self.formula = _Formula(closing or opening, self.depth, len(self.out))

    def end_formula(self, whole: bool = True) -> None:
        """Write the formula that has been read; if it was not whole, without its delimiters."""
        assert self.formula is not None, "only called inside one"
        closing, _, start = self.formula
        piece = "".join(self.out[start:]).strip()
        del self.out[start:]
        self.formula = None
        if not whole:
            self.out.append("$" + piece)
        elif closing in ("$", "\\)", "}", "\\end{math}"):
            self.out.append(marked(piece, display=False))
        else:
            name = closing[len("\\end{") : -1] if closing.startswith("\\end") else ""
            if name and name.rstrip("*") not in words.BARE:
                piece = f"\\begin{{{name}}} {piece} \\end{{{name}}}"
            self.out.append(f"\n{marked(piece, display=True)}\n")

    def in_formula(self, token: re.Match[str]) -> None:
        """One token of a formula."""
        assert self.formula is not None, "only called inside one"
        word, name = token[0], token[1] or token[2]
        closing, depth, _ = self.formula
        if token[4]:
            if closing in ("$", "\\)"):  # TeX ends a formula of the text at a blank line, with an error
                self.end_formula(whole=False)
                self.paragraph()
            else:
                self.out.append("\n")
        elif word == closing and word != "}" and self.depth <= depth:
            self.end_formula()
        elif word == "$$" and closing == "$" and self.depth <= depth:
            self.input[-1][1] -= 1
            self.end_formula()
        elif name == "end" and closing.startswith("\\end"):
            ended = self.group()
            if f"\\end{{{ended}}}" == closing:
                self.end_formula()
            else:
                self.out.append(f"\\end{{{ended}}}")
        elif name in ("label", "ensuremath", "nonumber", "notag"):
            if name == "label":
                self.group()
        elif name and name in self.macros:
            self.expand(name)
        elif name in DEFINERS:
            self.define(name)
        else:
            self.symbol(word, closing, depth)

    def symbol(self, word: str, closing: str, depth: int) -> None:
        """One token of a formula, as it stands."""
        if word == "{":
            self.begin_group(None)
        elif word == "}":
            if closing == "}" and self.depth <= depth:
                return self.end_formula()
            if self.depth <= depth:
                return None  # closes nothing
            self.end_group()
        elif word[0].isalpha() and self.out and re.match(r"\\[a-zA-Z]+$", self.out[-1][-40:]):
            word = " " + word  # what a macro ended with must not grow into another name
        self.out.append(word)
        return None

    # Commands of the text

    def command(self, name: str) -> None:
        """One command outside of formulas."""
        if name in self.macros:
            return self.expand(name)
        if name in self.commands:
            self.commands[name](self, name)
        elif name in words.ACCENTS and (not name.isalpha() or self.peek() in ("{", "\\") or len(name) == 1):
            self.accent(name)
        elif name in words.SYMBOLS:
            self.out.append(words.SYMBOLS[name])
            if name.isalpha() and words.SYMBOLS[name].strip():
                self.swallow_space()
        elif name in words.SWALLOWED:
            self.option()
            for _ in range(words.SWALLOWED[name]):
                self.group()
                self.option()
        elif name in words.CITATIONS:
            while self.option() is not None:
                pass
            self.out.append(f"[{', '.join(self.group().replace(',', ' ').split())}]")
        elif name in words.KEPT_LAST:
            self.option()
            for _ in range(words.KEPT_LAST[name]):
                self.group()
        elif not name.isalpha():
            self.out.append({"\\": "\n", "$": "$", "/": "", "-": "", "!": "", "@": ""}.get(name, name))
        return None

    def swallow_space(self) -> None:
        """Skip the space that ends a command's name."""
        here = self.rest()
        if here is not None and here[0][here[1]] in " \t":
            self.input[-1][1] += 1

    def expand(self, name: str) -> None:
        """Read on in the body of a macro that the source defines."""
        self.expand_macro(self.macros[name], name)

    def expand_macro(self, macro: _Macro, name: str) -> None:
        """Read on in a macro's body, filled with the arguments that follow."""
        arguments = []
        if macro.default is not None:
            given = self.option()
            arguments.append(macro.default if given is None else given)
        while len(arguments) < macro.arguments:
            arguments.append(self.group())
        if macro.arguments == 0 and name.isalpha():
            self.swallow_space()
        if len(macro.body) + macro.body.count("#") * max(map(len, arguments), default=0) <= self.budget:
            self.push(_filled(macro.body, arguments))
        else:
            self.stopped = True

    def begin_environment(self, kind: str, finish: Callable[[str], str] | None) -> None:
        """Open an environment of the text, of which `finish` rewrites what it holds."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.open_up(kind, finish)

    def keep_abstract(self, piece: str) -> str:
        """Remember the abstract, and leave it where it stands."""
        self.found.setdefault("abstract", piece)
        return f"\n\n{piece}\n\n"

    def define(self, name: str) -> None:
        """Take up a definition of any of the kinds in `DEFINERS`."""
        if name == "newtheorem":
            kind = self.group()
            self.option()
            self.theorems[kind] = _plain(self.group())
            self.option()
        elif name in ("newenvironment", "renewenvironment"):
            kind, count, default = self.group(), self.option(), self.option()
            begin, end = self.group(), self.group()
            if kind not in words.MATH | words.TABLES | words.LISTS | words.VERBATIM | self.theorems.keys():
                self.environments[kind] = (_Macro(_number(count), default, begin), end)
        else:
            self.define_command(name)

    def define_command(self, name: str) -> None:
        """Take up the definition of one command."""
        defined = self.group().strip().removeprefix("\\")
        if name == "let":
            if self.peek() == "=":
                self.input[-1][1] += 1
            other = self.group()
            macro = self.macros.get(other.removeprefix("\\")) or _Macro(0, None, other)
        elif name == "DeclareMathOperator":
            macro = _Macro(0, None, f"\\operatorname{{{self.group()}}}")
        elif name == "DeclarePairedDelimiter":
            macro = _Macro(1, None, f"\\left{self.group()} #1 \\right{self.group()}")
        elif name.endswith("def"):
            pattern = self.until("{")
            if self.input:
                self.input[-1][1] -= 1
            macro = _Macro(pattern.count("#"), None, self.group())
            if re.sub(r"#\d|\s", "", pattern):
                return  # delimited arguments: the macro stays unknown
        else:
            macro = _Macro(_number(self.option()), self.option(), self.group())
        if defined and defined not in self.commands and macro.body != f"\\{defined}":
            self.macros[defined] = macro

    def accent(self, name: str) -> None:
        """A letter with an accent."""
        letters = self.group()
        letters = {"\\i": "i", "\\j": "j"}.get(letters.strip(), letters)
        if letters.startswith("\\"):
            self.push(letters)
        else:
            self.out.append(unicodedata.normalize("NFC", letters[:1] + words.ACCENTS[name]) + letters[1:])


def _filled(body: str, arguments: list[str]) -> str:
    if not arguments:
        return body.replace("##", "#")

    def argument(mark: re.Match[str]) -> str:
        place = mark[1]
        return "#" if place == "#" else arguments[int(place) - 1] if int(place) <= len(arguments) else ""

    return re.sub(r"#([1-9#])", argument, body)


def _number(text: str | None) -> int:
    return int(text) if text and text.strip() in {*"0123456789"} else 0


def _plain(source: str) -> str:
    return re.sub(r"\\[a-zA-Z]+|[{}$]", "", source).strip()

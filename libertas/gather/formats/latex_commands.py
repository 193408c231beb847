"""What `latex_reader.py` does at each command of LaTeX that means more than a symbol."""

import posixpath
import re
from collections.abc import Callable

from libertas.gather.formats import latex_words as words
from libertas.gather.formats.latex_reader import (
    ALL_BRACES,
    AND,
    CELL,
    DEFINERS,
    HARD_SPACE,
    LINE,
    LONGEST_OPTION,
    ROW,
    Commands,
    TexReader,
    tidy,
)
from libertas.gather.math.marks import CODE_END, CODE_START

DEEPEST_INDENT = 10
"""Levels of lists that are shown by indenting."""
MOST_COLUMNS = 100
"""Of a table in Markdown, where short rows are filled up."""

CONDITION = re.compile(r"\\(?:if[a-zA-Z]*|fi)(?![a-zA-Z])")


def _heading(reader: TexReader, name: str) -> None:
    level = words.SECTIONS[name]
    reader.option()

    def finish(piece: str) -> str:
        title = " ".join(tidy(piece).split())
        mark = "#" * level + " " if reader.markdown and title else ""
        return f"\n\n{mark}{title}\n\n"

    reader.captured(finish)


def _kept_aside(reader: TexReader, name: str) -> None:
    r"""\\title, \\author and the like: not written here, but remembered."""
    reader.option()

    def finish(piece: str) -> str:
        if name == "author":
            reader.authors += [re.split(f"[{ROW}\n]", one.strip())[0] for one in piece.split(AND)]
        else:
            reader.found.setdefault(name, piece)
        return ""

    reader.captured(finish)


def _footnote(reader: TexReader, name: str) -> None:
    reader.option()

    def finish(piece: str) -> str:
        note = " ".join(tidy(piece).split())
        if not reader.markdown:
            return f" ({note})" if note else ""
        reader.note_count += 1
        reader.notes.append(f"[^{reader.note_count}]: {note}")
        return f"[^{reader.note_count}]"

    reader.captured(finish)


def _caption(reader: TexReader, name: str) -> None:
    reader.option()
    reader.captured(lambda piece: f"\n\n{piece.strip()}\n\n")


def _item(reader: TexReader, name: str) -> None:
    label = reader.option()
    numbered = "enum" in "".join(reader.lists[-1:])
    mark = "- "
    if reader.items:
        reader.items[-1] += 1
        if numbered:
            mark = f"{reader.items[-1]}. "
    indent = HARD_SPACE * (3 if numbered else 2) * min(max(len(reader.items) - 1, 0), DEEPEST_INDENT)
    reader.out.append(f"{LINE if len(reader.items) > 1 or reader.items[-1:] > [1] else ''}{indent}{mark}")
    if label:
        reader.push(label + " ")


def _begin(reader: TexReader, name: str) -> None:
    kind = reader.group().strip()
    base = kind.rstrip("*")
    if kind == "document" and reader.documents:
        reader.documents += 1
    elif kind == "document":
        reader.documents = 1
        reader.out, reader.open, reader.notes = [], [], []
        reader.counts.clear()
        reader.items, reader.lists, reader.capturing = [], [], 0
        reader.depth = 0
    elif base in words.MATH:
        for _ in range(words.WITH_ARGUMENTS.get(base, 0)):
            reader.group()
        reader.begin_formula("", f"\\end{{{kind}}}")
    elif base in words.VERBATIM:
        here = reader.rest()
        if here is not None and here[0].startswith("[", here[1]):
            reader.option()
        language = reader.group() if base == "minted" else ""
        code = reader.until(f"\\end{{{kind}}}").strip("\n").replace(" ", HARD_SPACE).replace("\t", HARD_SPACE * 4)
        code = CODE_START + code + CODE_END
        reader.out.append(f"\n\n```{language}\n{code}\n```\n\n" if reader.markdown else f"\n\n{code}\n\n")
    elif base in words.UNREAD:
        reader.until(f"\\end{{{kind}}}")
    elif kind in reader.environments:
        macro, _ = reader.environments[kind]
        reader.begin_environment(kind, None)
        reader.out.append("\n\n")
        reader.expand_macro(macro, kind)
    else:
        _begin_known(reader, kind, base)


def _begin_known(reader: TexReader, kind: str, base: str) -> None:
    option = reader.option()
    for _ in range(words.WITH_ARGUMENTS.get(base, 0)):
        reader.group()
    finish: Callable[[str], str] | None = None
    if base in words.TABLES:
        finish = _table_in_markdown if reader.markdown else _table
    elif base == "abstract":
        finish = reader.keep_abstract
    reader.begin_environment(kind, finish)
    if base in words.LISTS:
        reader.items.append(0)
        reader.lists.append(base)
    if finish is None:
        reader.out.append("" if len(reader.items) > 1 else "\n\n")
    printed = reader.theorems.get(kind) or reader.theorems.get(base)
    if printed:
        reader.out.append(f"**{printed}" if reader.markdown else printed)
        reader.out.append(".** " if reader.markdown and not option else "" if option else ". ")
        if option:
            reader.push(f" ({option}).{'**' if reader.markdown else ''} ")


def _end(reader: TexReader, name: str) -> None:
    kind = reader.group().strip()
    if kind == "document" and reader.documents > 1 and reader.input:
        reader.documents -= 1
        reader.input.pop()
    elif kind == "document":
        reader.done = True
    elif reader.counts.get(kind):
        while reader.open:
            ended = reader.open[-1].name
            if ended == "{":
                reader.depth -= 1
            elif ended.rstrip("*") in words.LISTS and reader.items:
                reader.items.pop()
                reader.lists.pop()
            reader.close()
            if ended == kind:
                break
        if kind in reader.environments:
            reader.push(reader.environments[kind][1] + "\n\n")
        elif kind.rstrip("*") not in words.TABLES:
            reader.out.append(LINE if reader.items and kind.rstrip("*") in words.LISTS else "\n\n")


def _rows(piece: str) -> list[list[str]]:
    rows = [[" ".join(tidy(cell).split()) for cell in row.split(CELL)] for row in piece.split(ROW)]
    return [row for row in rows if any(row)]


def _table(piece: str) -> str:
    return "\n\n" + "\n".join(" | ".join(row) for row in _rows(piece)) + "\n\n"


def _table_in_markdown(piece: str) -> str:
    rows = _rows(piece)
    width = max(map(len, rows), default=0)
    if width > MOST_COLUMNS:
        return _table(piece)
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    return "\n\n" + "\n".join([*lines[:1], "|" + " --- |" * width, *lines[1:]]) + "\n\n" if rows else ""


def _input(reader: TexReader, name: str) -> None:
    folder = reader.group() if name in ("import", "subimport") else ""
    if reader.peek() == "{":
        asked = reader.group()
    else:  # TeX's own form: a name that ends at white space
        here = reader.rest()
        found = re.compile(r"[^\s{}\\%]*").match(*here) if here else None
        asked = found[0] if found else ""
        if found:
            reader.input[-1][1] = found.end()
    if asked:
        reader.open_file(posixpath.join(folder, asked))


def _verb(reader: TexReader, name: str) -> None:
    here = reader.rest()
    if here is not None:
        text, at = here
        reader.input[-1][1] = at + 1
        end = text.find(text[at], at + 1, at + LONGEST_OPTION)
        if end > 0:
            reader.input[-1][1] = end + 1
            code = CODE_START + text[at + 1 : end].replace(" ", HARD_SPACE) + CODE_END
            reader.out.append(f"`{code}`" if reader.markdown else code)


def _address(reader: TexReader, name: str) -> None:
    reader.option()
    reader.out.append(reader.group(ALL_BRACES).replace("\\", ""))


def _link(reader: TexReader, name: str) -> None:
    if reader.option() is None:  # \\hyperref[label]{text} has no address
        reader.group(ALL_BRACES)


def _formula(reader: TexReader, name: str) -> None:
    if name == "ensuremath":
        if reader.peek() == "{":
            reader.input[-1][1] += 1
            reader.begin_formula("", "}")
    else:
        reader.begin_formula("", {"(": "\\)", "[": "\\]"}[name])


def _row(reader: TexReader, name: str) -> None:
    here = reader.rest()
    if here is not None and here[0].startswith("*", here[1]):
        reader.input[-1][1] += 1
    if here is not None and here[0].startswith("[", here[1]):
        reader.option()
    reader.out.append(ROW)


def _and(reader: TexReader, name: str) -> None:
    reader.out.append(AND)


def _unless(reader: TexReader, name: str) -> None:
    """A comment by `iffalse`: up to its `fi`, whatever conditionals lie between."""
    depth, here = 1, reader.rest()
    if here is None:
        return
    text, at = here
    for found in CONDITION.finditer(text, at):
        depth += -1 if found[0] == "\\fi" else 1
        if depth == 0:
            reader.input[-1][1] = found.end()
            reader.swallow_space()
            return
    reader.input[-1][1] = len(text)


COMMANDS: Commands = {
    **dict.fromkeys(words.SECTIONS, _heading),
    **dict.fromkeys(("title", "author", "icmltitle", "Title", "Author"), _kept_aside),
    **dict.fromkeys(("footnote", "footnotetext"), _footnote),
    **dict.fromkeys(("input", "include", "subfile", "import", "subimport"), _input),
    **dict.fromkeys(("url", "path", "nolinkurl"), _address),
    **dict.fromkeys(("(", "[", "ensuremath"), _formula),
    **dict.fromkeys(("and", "And", "AND"), _and),
    **dict.fromkeys(DEFINERS, lambda reader, name: reader.define(name)),
    "caption": _caption,
    "item": _item,
    "begin": _begin,
    "end": _end,
    "verb": _verb,
    "lstinline": _verb,
    "href": _link,
    "hyperref": _link,
    "\\": _row,
    "tabularnewline": _row,
    "iffalse": _unless,
}
"""What the reader does at a command; all others print a symbol, are skipped, or leave their arguments as text."""

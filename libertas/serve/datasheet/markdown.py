"""The same datasheet as Markdown: tables instead of charts, and every text from data escaped."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from libertas.serve.datasheet.blocks import (
    Answer,
    Block,
    Chapter,
    Example,
    Flow,
    Fold,
    Prose,
    Quoted,
    Rows,
    RuleList,
    Title,
)
from libertas.serve.datasheet.page import PROMPT, summary_of

SPECIAL = re.compile(r"[\\`*_\[\]<>|~&$]")
"""Characters that may mean something in Markdown wherever they stand, or in HTML within it."""
LEADING = re.compile(r"^(\s*\d*)([#+=.)-])(?=[\s#+=-]|$)")
"""What makes a heading, a list or a rule at the beginning of a line."""


def datasheet_markdown(facts: Mapping[str, Any], parts: Sequence[Chapter]) -> str:
    """The whole text; equal facts make equal bytes."""
    lines = [
        f"# {escaped(facts['name'])}: datasheet",
        escaped(facts["about"]["description"]) if "description" in facts["about"] else summary_of(facts),
        f"Corpus `{facts['corpus']['content']}`. All numbers are in `facts.json`, the metadata in `croissant.json`.",
    ]
    for part in parts:
        lines += [f"## {escaped(part.heading)}", *(text for block in part.blocks for text in _block(block))]
    return "\n\n".join(lines) + "\n"


def escaped(text: object) -> str:
    """Text from data as Markdown that shows just that text: no markup, one line, no controls."""
    plain = "".join(c if unicodedata.category(c)[0] != "C" else " " if c in "\n\t" else "\ufffd" for c in str(text))
    return LEADING.sub(r"\1\\\2", SPECIAL.sub(r"\\\g<0>", plain))


def _prose(text: str) -> str:
    """A sentence of ours, in which data may stand: only what is between backticks is markup."""
    pieces = text.split("`")
    return "".join(f"`{p}`" if n % 2 and n < len(pieces) - 1 else escaped(p) for n, p in enumerate(pieces))


def _block(block: Block) -> Iterator[str]:
    match block:
        case Prose(text):
            yield _prose(text)
        case Title(text):
            yield f"### {escaped(text)}"
        case Rows():
            yield _table(block)
        case Flow(title, told):
            yield f"### {escaped(title)}\n\n{escaped(told)}"
        case RuleList(rules):
            yield _table(
                Rows(
                    ["rule", "reason", "documents"],
                    [[Quoted(r.name), Quoted(r.reason), f"{r.count:,}"] for r in rules],
                    names=2,
                )
            )
            examples = [f"- {escaped(r.reason)}: {_example(e, r.limit)}" for r in rules for e in r.examples]
            if examples:
                yield "\n".join(["Examples:", "", *examples])
        case Answer(question, author, facts):
            answers = [escaped(author)] if author else []
            answers += [_prose(facts)] if facts else []
            yield f"**{question}** " + (" ".join(answers) or f"*{PROMPT}*")
        case Fold(summary, blocks):
            yield f"*{escaped(summary)}*"
            for each in blocks:
                yield from _block(each)
        case _:
            return


def _example(example: Example, limit: str | None) -> str:
    said = [escaped(example.id)]
    said += [escaped(example.url)] if example.url else []
    said += [f"value {escaped(example.value)}" + (f" (limit {limit})" if limit else "")] if example.value else []
    said += [f"“{escaped(example.excerpt)}”"] if example.excerpt else []
    return "; ".join(said)


def _table(rows: Rows) -> str:
    head = [*(escaped(h) for h in rows.headings)]
    rule = ["---" if column < rows.names else "--:" for column in range(len(head))]
    body = [[escaped(cell) if isinstance(cell, Quoted) else str(cell or "") for cell in row] for row in rows.rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))

"""The batch viewer: what a step read, document by document, and which steps read a document; computed, not logged.

Works in every epoch of a run, for runs and checkpoints, and needs no file but the tokens and their corpus: order is a
function, and so is its inverse.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from rich.table import Table
from rich.text import Text

from libertas.corpus import Corpus
from libertas.errors import LibertasError, UsageError
from libertas.lineage.artifact import write_durably
from libertas.lineage.manifest import read_manifest
from libertas.terminal import printable, progress
from libertas.tokenize.contents import Content, contents_of
from libertas.tokenize.order import Visit
from libertas.tokenize.store import TokenStore
from libertas.trace.batch_config import BatchConfig
from libertas.trace.origin import exposure

BEGINNING = 60
"""Characters of a text in the table."""
SHOWN_DIGITS = 12
"""Digits of an id in the table; `--document` takes them, and the file has all."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What one document is in one row of one step's batch."""

    step: int
    content: Content
    document_id: str
    component: str
    url: str | None
    """None where the document came from no address, or the corpus is gone."""
    times: float
    """How often the run reads the document, all of its copies and tokens: 1.5 where a half is read twice."""

    def to_json(self, tokens: list[int], text: str) -> dict[str, Any]:
        """A line of the file."""
        return {
            "step": self.step,
            "row": self.content.row,
            "sequence": self.content.sequence,
            "epoch": self.content.epoch,
            "first": self.content.first,
            "last": self.content.last,
            "document": self.document_id,
            "component": self.component,
            "url": self.url,
            "times_read": self.times,
            "tokens": tokens,
            "text": text,
        }


class Batches:
    """What a run has read."""

    def __init__(self, run: Path) -> None:
        """Open its tokens, and their corpus if it is still there.

        Raises:
            UsageError: `run` is neither a run nor a checkpoint.
        """
        read = exposure(run)
        self.run, self.order, self.steps = run, read.order, read.steps
        self.not_applied = frozenset(read_manifest(run).counts.get("not_applied", ()))
        """Steps whose updates were left out, because of a spike."""
        self.store = TokenStore.open(read.tokens)
        self.tokenizer = self.store.tokenizer()
        self.corpus: Corpus | None = None
        with suppress(LibertasError):
            self.corpus = self.store.corpus()
        self._known: dict[int, tuple[str | None, float]] = {}

    def of_step(self, step: int) -> Iterator[Shown]:
        """Every document of every row of a step.

        Raises:
            UsageError: the run has no such step.
        """
        if not 1 <= step <= self.steps:
            raise UsageError(f"step is {step:,}; expected 1 to {self.steps:,}, the steps of {self.run}")
        return (self._shown(step, content) for content in contents_of(self.store, self.order, step))

    def of_document(self, document_id: str) -> Iterator[Shown]:
        """Every time that the run reads a document, one line for each row that holds some of it, in the steps' order.

        Raises:
            UsageError: there is no such document, or several ids begin like this.
        """
        found: list[tuple[Visit, int, int]] = []
        for number in self._numbers(document_id):
            first, last = int(self.store.offsets[number]), int(self.store.offsets[number + 1]) - 1
            for sequence in self._sequences(first, last):
                found += [(reading, sequence, number) for reading in self.order.readings(sequence, self.steps)]
        for reading, sequence, number in sorted(found, key=lambda f: (f[0].step, f[0].row, f[2])):
            begin, end = sequence * self.order.length, (sequence + 1) * self.order.length
            first, last = int(self.store.offsets[number]), int(self.store.offsets[number + 1]) - 1
            content = Content(reading.row, sequence, reading.epoch, max(first, begin), min(last, end), number)
            yield self._shown(reading.step, content)

    def _numbers(self, beginning: str) -> list[int]:
        """Numbers of a document in the store, once for each copy."""
        ids = self.store.document_ids
        wanted = beginning.encode()
        found = np.flatnonzero(np.char.startswith(ids, wanted)) if wanted else np.arange(0)
        different = sorted({bytes(ids[number]).decode() for number in found.tolist()})
        if len(different) > 1:
            few = ", ".join(different[:4])
            raise UsageError(
                f"{beginning} is the beginning of {len(different):,} ids ({few}); expected one; add digits"
            )
        if not different:
            raise UsageError(
                f"{self.store.path} trains on no document {beginning!r}; expected an id of 32 hexadecimal digits, or "
                "its beginning; `libertas corpus` shows some"
            )
        return [int(number) for number in found]

    def _sequences(self, first: int, last: int) -> range:
        """Sequences that hold any of some tokens; the last token of a row is also the first of the next one."""
        length, end = self.order.length, self.order.sequences
        return range(min(max(0, -(-first // length) - 1), end), min(last // length + 1, end))

    def times_read(self, number: int) -> float:
        """How often each token of a document is a target on average, over all copies of it."""
        copies = self.corpus.numbers_of(self.store.document_id(number)) if self.corpus else [number]
        length, read, tokens = self.order.length, 0, 0
        for copy in copies:
            first, last = int(self.store.offsets[copy]), int(self.store.offsets[copy + 1])
            sequences = np.arange(max(first - 1, 0) // length, min((last - 2) // length + 1, self.order.sequences))
            begin = np.maximum(sequences * length + 1, first)
            inside = np.minimum((sequences + 1) * length + 1, last) - begin
            read += int((self.order.times_read(sequences.astype(np.uint64), self.steps) * inside).sum())
            tokens += last - first
        return read * len(copies) / tokens

    def _shown(self, step: int, content: Content) -> Shown:
        number = content.document
        if number not in self._known:
            url = self.corpus.document(number).meta.get("url") if self.corpus else None
            self._known[number] = url, self.times_read(number)
        url, times = self._known[number]
        component = self.store.component_names[self.store.components[number]]
        return Shown(step, content, self.store.document_id(number), component, url, times)

    def text_of(self, content: Content) -> tuple[list[int], str]:
        """Tokens of a line and what they write."""
        tokens = self.store.tokens[content.first : content.last + 1].astype(int).tolist()
        return tokens, self.tokenizer.decode(tokens, skip_special_tokens=False)


@dataclass(frozen=True, slots=True)
class View:
    """What to show."""

    batches: Batches
    shown: list[Shown]
    """The first lines."""
    count: int
    """Of all lines."""
    config: BatchConfig


def view_batch(config: BatchConfig) -> View:
    """Look a step or a document up, and write the file if one is asked for.

    Raises:
        UsageError: no run is there, or it has no such step or document.
    """
    batches = Batches(config.run)
    lines = batches.of_step(config.step) if config.step is not None else batches.of_document(config.document or "")
    shown: list[Shown] = []
    written: list[bytes] = []
    count = 0
    with progress("looking up documents") as bar:
        for line in lines:
            count += 1
            if count <= config.rows:
                shown.append(line)
            if config.out is not None:
                row = line.to_json(*batches.text_of(line.content))
                written.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            bar.advance()
    if config.out is not None:
        config.out.parent.mkdir(parents=True, exist_ok=True)
        write_durably(config.out, b"".join(written))
    return View(batches, shown, count, config)


def batch_table(view: View) -> Iterator[Table | Text]:
    """A table of the lines, and what is not in it."""
    order, steps = view.batches.order, view.batches.steps
    of_step = view.config.step is not None
    title = f"document {view.shown[0].document_id if view.shown else view.config.document}"
    if of_step:
        title = f"step {view.config.step:,} of {steps:,}: {order.batch:,} rows of {order.length:,} targets"
    table = Table(title=title, title_justify="left")
    for name in ("row", "epoch") if of_step else ("step", "row", "epoch"):
        table.add_column(name, justify="right")
    table.add_column("positions", no_wrap=True)
    if of_step:
        table.add_column("document", no_wrap=True)
    table.add_column("component", overflow="fold")
    table.add_column("read", justify="right", no_wrap=True)
    table.add_column("from", overflow="fold", ratio=1)
    table.add_column("text", overflow="fold", ratio=1)
    for line in view.shown:
        content = line.content
        text = " ".join(view.batches.text_of(content)[1][: 4 * BEGINNING].split())
        table.add_row(
            *(() if of_step else (f"{line.step:,}",)),
            f"{content.row}",
            f"{content.epoch + 1}",
            f"{content.first:,}–{content.last:,}",
            *((line.document_id[:SHOWN_DIGITS],) if of_step else ()),
            Text(printable(line.component)),
            f"{line.times:.2f} x",
            Text(printable(line.url or "–")),
            Text(printable(text[:BEGINNING])),
        )
    yield table
    if missed := sorted({line.step for line in view.shown} & view.batches.not_applied):
        yield Text(f"read, but not learned, because of a spike: {', '.join(f'step {step:,}' for step in missed)}")
    if view.count > len(view.shown):
        yield Text(f"{view.count - len(view.shown):,} more lines; see more with --rows, or write all with --out")
    if not view.count:
        yield Text(f"none of the {steps:,} steps reads it")

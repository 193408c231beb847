"""What a person sees while work goes on: one live line on a terminal, a line now and then in a log file."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

PIPE_WIDTH = 120
"""Columns when the output is not a terminal."""

stdout = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH)
"""Results go here: they are data."""

stderr = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress and notices go here, so that output can be piped."""

SECONDS_BETWEEN_LOG_LINES = 10.0


class Bar:
    """A running task: `advance` it; the note is free text at the end of the line."""

    def __init__(self, title: str, total: float | None, live: Progress | None) -> None:
        """Start at zero; `total` in the unit that `advance` counts, or None where it is not known."""
        self.title, self.total, self.done, self.note = title, total, 0.0, ""
        self._live = live
        self._task = live.add_task(title, total=total, note="") if live else None
        self._last_line = time.monotonic()

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Count `amount` more as done."""
        self.done += amount
        self.note = self.note if note is None else note
        if self._live is not None and self._task is not None:
            self._live.update(self._task, advance=amount, note=self.note)
        elif time.monotonic() - self._last_line > SECONDS_BETWEEN_LOG_LINES:
            self._last_line = time.monotonic()
            of = f"/{self.total:,.0f}" if self.total else ""
            stderr.print(f"{self.title}: {self.done:,.0f}{of} {self.note}".rstrip(), markup=False)


@contextmanager
def progress(title: str, total: float | None = None) -> Iterator[Bar]:
    """Show that something is going on: a live bar on a terminal, sparse lines otherwise; gone when it ends."""
    if not sys.stderr.isatty():
        yield Bar(title, total, None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=stderr, transient=True) as live:
        yield Bar(title, total, live)


def say(text: str) -> None:
    """Tell the person something on standard error; rich markup is understood."""
    stderr.print(text)


def printable(text: str) -> str:
    """Text from data may hold terminal escapes; each character that does not print becomes one replacement mark."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)

"""`libertas demo`: the lab `first.toml`, or the same life for archives of your own, and a closing screen."""

import os
import sys
import time
from importlib.resources import files
from pathlib import Path
from shutil import which
from typing import Any

from rich.markup import escape

from libertas.errors import UsageError
from libertas.lab import LabStep, Tables, plan, read_lab, run_steps
from libertas.lineage.manifest import read_manifest
from libertas.terminal import say, stdout

FIRST_LAB = Path(str(files("libertas"))) / "labs" / "first.toml"
SHOWN = ("evaluate", "trace")
"""Stages whose result is shown as soon as it is there."""


def demo(into: Path, warc: tuple[Path, ...], steps: int | None, fresh: bool) -> None:
    """Run the demo in the folder `into`; finished stages are reused."""
    started = time.monotonic()
    tables = demo_tables(warc, steps)
    steps_planned = plan(tables, into, FIRST_LAB.name)
    place = escape(str(into))
    say(f"[bold]libertas demo[/bold] in {place}/: {len(steps_planned)} stages, about three minutes, offline")
    run_steps(steps_planned, fresh=fresh, after=_show)
    _closing_screen(into, time.monotonic() - started)


def demo_tables(warc: tuple[Path, ...] = (), steps: int | None = None) -> Tables:
    """The tables of the first lab, changed for archives of one's own and for a number of steps.

    Raises:
        UsageError: an archive does not exist or is no plain file.
    """
    tables = read_lab(FIRST_LAB)
    if steps is not None:
        tables["train"]["steps"] = steps
    if warc:
        for path in warc:
            if not path.is_file():
                what = "is a directory" if path.is_dir() else "is no plain file" if path.exists() else "does not exist"
                raise UsageError(f"{path} {what}; expected a WARC file such as pages.warc.gz")
        del tables["crawl"], tables["pack"]
        tables["gather"] = {"archives": [str(p.resolve()) for p in warc], "component": "web", "out": "corpora/web"}
        for stage in ("curate", "dedup", "redact", "mix"):
            tables[stage]["corpora"] = ["corpora/web"]
        del tables["mix"]["weights"], tables["curate"]["languages"], tables["evaluate"]["tasks"]
        tables["generate"]["prompt"] = "The"
    return tables


def _show(step: LabStep, result: Any) -> None:
    if step.title in SHOWN:
        for item in step.stage.rendered(result):
            stdout.print(item)


def _closing_screen(into: Path, seconds: float) -> None:
    run = read_manifest(into / "run").counts
    model = f"the model: {run['parameters']:,} parameters, {run['steps']:,} steps, weights {run['weights'][:11]}"
    libertas = "libertas" if which("libertas") else os.path.relpath(sys.argv[0])
    places = (
        (f"{into}/report/report.html", "open this: curves, scores, drops, lineage, a text with clickable spans"),
        (f"{into}/datasheet/datasheet.html", "and this: what is in the corpus, what is not, and why"),
        (f"{into}/mix, decisions, duplicates", "the corpus, and why each document is in or out"),
        (f"{into}/run", model),
    )
    commands = (
        (f"{libertas} show {into}", "the lineage of everything"),
        (f"{libertas} verify {into}", "every byte, hashed again"),
        (f'{libertas} generate {into}/run --prompt "def " --out text', "let the model write"),
        (f"{libertas} trace text --index {into}/index --out why", "ask the text why"),
        (f"{libertas} trace {into}/result --index {into}/index --out why-score", "ask a score why"),
        (f"{libertas} demo --warc FILE.warc.gz --into mine", "the same with your own pages"),
    )
    stdout.print(f"\n[bold]Done in {seconds / 60:.1f} minutes.[/bold] Everything is in {escape(str(into))}/:")
    for heading, rows in (("", places), ("Type next:", commands)):
        if heading:
            stdout.print(heading)
        width = max(len(left) for left, _ in rows)
        for left, right in rows:
            stdout.print(f"  {left:{width}}  {right}", markup=False)

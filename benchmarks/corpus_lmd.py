"""How fast are the same documents written to and read from shards, beside lm_dataformat 0.0.20, at the same level?

Usage: python benchmarks/corpus_lmd.py [MEGABYTES] [FOLDER] [ROUNDS]

The documents are paragraphs of the installed Python's library, or of the text files of a folder, drawn by chance.
Each measurement is a process of its own; systems take turns, medians count, in megabytes (10^6) of text per second.
lm_dataformat reads JSON with ujson, which it installs; where orjson happens to be there as well, it reads with that:
both are measured. The rate of two processes is that of running ones; `two_with_start` also counts their start.
`cpu` is seconds of all cores, which a busy machine does not change. Prints one JSON line per system; exit status 1 if
a system gives other characters back than were written.
"""

import gc
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PARAGRAPH_CHARACTERS = 300
MEAN_PARAGRAPHS = 8
SUFFIXES = {".py", ".txt", ".rst", ".md"}
JOBS = {
    "libertas": ("write", "read", "two"),
    "lm_dataformat": ("write", "read"),
    "lm_dataformat with orjson": ("read",),
}


def generated(folder: Path, megabytes: float) -> list[tuple[str, dict[str, object]]]:
    """Documents of about 2.4 kB."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES and "site-packages" not in p.parts)
    texts = (p.read_text(encoding="utf-8", errors="ignore") for p in files)
    paragraphs = [part for text in texts for part in text.split("\n\n") if part.strip()]
    draw, documents, size = random.Random(0), [], 0
    while size < megabytes * 1e6:
        text = "\n\n".join(draw.choices(paragraphs, k=1 + int(draw.expovariate(1 / MEAN_PARAGRAPHS))))
        meta = {"id": f"{draw.getrandbits(128):032x}", "url": f"https://example.org/{len(documents)}", "language": "en"}
        documents.append((text, meta))
        size += len(text.encode())
    return documents


def loaded(folder: Path) -> list[tuple[str, dict[str, object]]]:
    """The documents of a file, out of the way of the garbage collector."""
    with (folder / "documents.jsonl").open() as file:
        documents = [tuple(json.loads(line)) for line in file]
    gc.collect()
    gc.freeze()
    return documents  # type: ignore[return-value]


def count_piece(piece: object) -> tuple[int, int]:
    """Documents and characters of a piece, in a worker process."""
    documents = characters = 0
    for document in piece:  # type: ignore[attr-defined]
        documents, characters = documents + 1, characters + len(document.text)
    return documents, characters


def libertas_job(job: str, folder: Path, measure: Callable[[Callable[[], tuple[int, int]]], None]) -> None:
    from libertas.corpus import CorpusWriter, read_shard
    from libertas.corpus.shard import shard_pieces
    from libertas.document import Document
    from libertas.engine import Pool

    shards = sorted((folder / "libertas").glob("*.zst"))

    def write() -> tuple[int, int]:
        with CorpusWriter(folder / "libertas", "web") as writer:
            for document in documents:
                writer.add(document)
        return writer.documents, sum(len(d.text) for d in documents)

    def read() -> tuple[int, int]:
        counts = characters = 0
        for shard in shards:
            for document in read_shard(shard):
                counts, characters = counts + 1, characters + len(document.text)
        return counts, characters

    if job == "write":
        documents = [Document(str(meta.pop("id")), text, meta) for text, meta in loaded(folder)]
        measure(write)
    elif job == "read":
        measure(read)
    else:
        started = time.perf_counter()
        pieces = [piece for shard in shards for piece in shard_pieces(shard) or ()]
        with Pool(count_piece, 2) as pool:
            list(pool.map([[piece] for piece in pieces[:2]]))
            start = time.perf_counter() - started

            def two() -> tuple[int, int]:
                counts = [count for _, found in pool.map([piece] for piece in pieces) for count in found]
                return sum(c[0] for c in counts), sum(c[1] for c in counts)

            measure(two)
        print(json.dumps({"start": start}))


def peer_job(job: str, folder: Path, measure: Callable[[Callable[[], tuple[int, int]]], None]) -> None:
    import lm_dataformat

    home = str(folder / "lm_dataformat")

    def write() -> tuple[int, int]:
        archive = lm_dataformat.Archive(home, compression_level=3)
        for text, meta in documents:
            archive.add_data(text, meta=meta)
        archive.commit()
        return len(documents), sum(len(text) for text, _ in documents)

    def read() -> tuple[int, int]:
        counts = characters = 0
        for text, _ in lm_dataformat.Reader(home).stream_data(get_meta=True):
            counts, characters = counts + 1, characters + len(text)
        return counts, characters

    if job == "write":
        documents = loaded(folder)
        shutil.rmtree(home, ignore_errors=True)  # its names hold the time: each round would add a file
    measure(write if job == "write" else read)


def measured(function: Callable[[], tuple[int, int]]) -> None:
    """Print what a function counted, its seconds on the clock, and those of all cores."""
    before, started = _cpu(), time.perf_counter()
    documents, characters = function()
    seconds = time.perf_counter() - started
    print(
        json.dumps({"seconds": seconds, "cpu": _cpu() - before, "documents": documents, "characters": characters}),
        flush=True,
    )


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def child(system: str, job: str, folder: Path) -> None:
    if system == "lm_dataformat":
        sys.modules["orjson"] = None  # type: ignore[assignment]  # jsonlines takes it wherever it is installed
    (libertas_job if system == "libertas" else peer_job)(job, folder, measured)


def main(megabytes: float, source: Path, rounds: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        documents = generated(source, megabytes)
        size, characters = sum(len(t.encode()) for t, _ in documents), sum(len(t) for t, _ in documents)
        count = len(documents)
        with (folder / "documents.jsonl").open("w") as file:
            file.writelines(json.dumps(document) + "\n" for document in documents)
        del documents
        results: dict[tuple[str, str], list[dict[str, float]]] = {}
        for _ in range(rounds):
            for job in ("write", "read", "two"):
                for system in (s for s, jobs in JOBS.items() if job in jobs):
                    command = [sys.executable, __file__, "--child", system, job, name]
                    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
                    found = {key: value for line in lines for key, value in json.loads(line).items()}
                    results.setdefault((system, job), []).append(found)
        exact = True
        for system, jobs in JOBS.items():
            row: dict[str, object] = {"benchmark": "corpus_lmd", "system": system, "text_mb": round(size / 1e6, 1)}
            files = (folder / system.split()[0]).glob("*.zst")
            row["compressed_to"] = round(sum(p.stat().st_size for p in files) / size, 4)
            for job in jobs:
                found = results[system, job]
                exact &= all(f["documents"] == count and f["characters"] == characters for f in found)
                row[f"{job}_mb_per_s"] = round(size / 1e6 / statistics.median(f["seconds"] for f in found), 1)
                if job == "two":
                    seconds = [f["seconds"] + f["start"] for f in found]
                    row["two_with_start_mb_per_s"] = round(size / 1e6 / statistics.median(seconds), 1)
                else:
                    row[f"{job}_cpu"] = round(statistics.median(f["cpu"] for f in found), 2)
            print(json.dumps({**row, "rounds": rounds, "exact": exact}))
        return int(not exact)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    else:
        megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 500
        library = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(sysconfig.get_path("stdlib"))
        sys.exit(main(megabytes, library, int(sys.argv[3]) if len(sys.argv) > 3 else 5))

"""Memory and disk that deduplication takes, on many documents.

Usage: OMP_NUM_THREADS=1 python benchmarks/curate_dedup_memory.py [DOCUMENTS [WORKERS [METHOD ...]]]

Makes DOCUMENTS (1,000,000) documents of about 2.4 kB in a temporary folder, a twentieth of them exact and a tenth
edited copies of earlier ones, and finds the duplicates in a process of its own. Peaks are resident memory, pages of
mapped files included: of the process that leads, and of the largest of its WORKERS (2). Linux only. Prints one JSON
line.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from libertas.corpus import Corpus, CorpusWriter
from libertas.curate.duplicates.find import find_duplicates
from libertas.document import Document
from libertas.lineage.artifact import Draft

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from making import MadeConfig

WORDS, VOCABULARY = 400, 50_000
RECENT = 5_000
"""Documents that copies are made of."""


def make(folder: Path, documents: int) -> None:
    generator = random.Random(0)
    vocabulary = [
        "".join(generator.choices("etaoinshrdlcumwfgypbvk", k=generator.randint(2, 8))) for _ in range(VOCABULARY)
    ]
    recent: list[list[str]] = []
    draft = Draft(kind="corpus", out=folder, config=MadeConfig(out=folder), inputs={}, code="libertas.corpus")
    with draft.build() as out, CorpusWriter(out, "made", 256 << 20) as writer:
        for number in range(documents):
            chance = generator.random()
            words = (
                list(generator.choice(recent)) if recent and chance < 0.15 else generator.choices(vocabulary, k=WORDS)
            )
            if chance < 0.1:
                words[generator.randrange(WORDS)] = "changed"
            if len(recent) < RECENT:
                recent.append(words)
            else:
                recent[number % RECENT] = words
            writer.add(Document(f"{number * 2654435761 % 2**128:032x}", " ".join(words), {"component": "made"}))


def bytes_under(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue  # it was renamed, or is no longer needed
    return total


def largest_descendant() -> int:
    """Peak resident bytes of the largest process below this one."""
    parents, peaks = {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            facts = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:
            continue  # it has ended
        number = int(facts["Pid"])
        parents[number] = int(facts["PPid"])
        peaks[number] = int(facts.get("VmHWM", "0 kB").split()[0]) * 1024
    below = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    return max((peaks[number] for number in below if number != os.getpid()), default=0)


def find(folder: Path, workers: int, methods: list[str]) -> None:
    peak, others, running = 0, 0, True

    def watch() -> None:
        nonlocal peak, others
        while running:
            peak = max(peak, bytes_under(folder / "found"))
            others = max(others, largest_descendant())
            time.sleep(0.5)

    (folder / "found").mkdir()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    start = time.perf_counter()
    corpus = Corpus.open(folder / "corpus")
    counts = find_duplicates([corpus], folder / "found", methods=methods, workers=workers)
    seconds = time.perf_counter() - start
    running = False
    watcher.join()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        json.dumps(
            {
                "documents": len(corpus),
                "methods": methods,
                "workers": workers,
                "seconds": round(seconds, 1),
                "documents_per_second": round(len(corpus) / seconds),
                "peak_memory_megabytes": round(own / 1e6),
                "peak_memory_of_a_worker_megabytes": round(others / 1e6),
                "peak_disk_bytes_per_document": round(peak / len(corpus)),
                "left_disk_bytes_per_document": round(bytes_under(folder / "found") / len(corpus), 1),
                **{k: v for k, v in counts.items() if k != "documents"},
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["--find"]:
        find(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    else:
        count, workers, *methods = [*sys.argv[1:], *["1000000", "2"][len(sys.argv) - 1 :]]
        with tempfile.TemporaryDirectory() as name:  # processes of their own: a child begins with its parent's peak
            subprocess.run([sys.executable, __file__, "--make", f"{name}/corpus", count], check=True)
            subprocess.run(
                [sys.executable, __file__, "--find", name, workers, *(methods or ["exact", "near"])], check=True
            )

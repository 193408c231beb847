"""How fast a corpus is searched for the items of tasks, on one core, and in how much memory.

Usage: OMP_NUM_THREADS=1 python benchmarks/evaluate_contamination.py TEXT... [--sets FOLDER] [--megabytes 50 200]

The corpus is made of the texts, in documents of 3,000 characters, over and over until it has the size asked for.
The items are those of MMLU and GSM8K in `--sets`, or 5,000 made-up ones. All that `libertas evaluate` does to the
corpus is timed: frames are expanded, lines parsed, words folded and looked up, what is found is judged; learning
the items is timed apart. A token is as long as one of a vocabulary of 16,384 learned from the texts.

Prints a line of JSON for each system and size, each measured in a process of its own: tokens/s and MB/s by the clock
and by the processor's time (which other work on the machine does not stretch), and the most memory the process had.
"""

import argparse
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import libertas.kernel as kernel
from libertas.corpus import Corpus, CorpusWriter
from libertas.document import Document, document_id
from libertas.evaluate.contamination.find import find_leaks
from libertas.evaluate.item import Item, choice_item, written_item
from libertas.evaluate.task import Task
from libertas.lineage.artifact import Draft

PIECE, VOCABULARY = 3000, 16_384
SYSTEMS = ("libertas", "libertas without its kernel")


@dataclass(frozen=True, kw_only=True)
class _Made:
    out: Path


def items_of(sets: Path | None) -> list[Item]:
    if sets is None:
        words = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in ("a", "e", "oi") for c in ("n", "r", "st", "l")]
        return [
            choice_item(
                f"i{n}", ["yes", "no"], 0, question=" ".join(words[(n * k + k * k) % 144] for k in range(1, 30))
            )
            for n in range(5000)
        ]
    with gzip.open(sets / "mmlu_test.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    found = [choice_item(f"m{n}", r["choices"], r["answer"], question=r["question"]) for n, r in enumerate(rows)]
    lines = (sets / "gsm8k_test.jsonl").read_text(encoding="utf-8").splitlines()
    problems = enumerate(map(json.loads, lines))
    return [*found, *(written_item(f"g{n}", r["answer"], "number", question=r["question"]) for n, r in problems)]


def write_corpus(texts: list[str], megabytes: float, folder: Path) -> None:
    draft = Draft(kind="corpus", out=folder, config=_Made(out=folder), inputs={}, code="libertas.corpus")
    with draft.build() as inside, CorpusWriter(inside, "made") as writer:
        number = 0
        while writer.text_bytes < megabytes * 1e6:
            text = texts[number % len(texts)]
            writer.add(Document(document_id(f"made-{number}", "x"), text, {"url": f"https://made.example/{number}"}))
            number += 1


def bytes_per_token(texts: list[str]) -> float:
    from libertas.tokenize import bpe

    tokenizer = bpe.learn(texts, VOCABULARY)
    encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return sum(len(text.encode()) for text in texts) / sum(len(one.ids) for one in encoded)


def measure(system: str, folder: Path, sets: Path | None, per_token: float) -> dict[str, object]:
    """One search, in this process."""
    if system == SYSTEMS[1]:
        kernel.native = None
    corpus, task = Corpus.open(folder), Task("items", items_of(sets))
    size = sum(len(document.text.encode()) for document in corpus)
    seconds = {}
    for name, searched in (("learn", _first_piece(corpus)), ("all", corpus)):
        before, cpu = time.perf_counter(), time.process_time()
        found = find_leaks([task], searched)["items"]
        seconds[name] = time.perf_counter() - before, time.process_time() - cpu
    clock, cpu = (all_of - learn for all_of, learn in zip(seconds["all"], seconds["learn"], strict=True))
    return {
        "system": system,
        "MB": round(size / 1e6, 1),
        "items": len(task.items),
        "learn_seconds": round(seconds["learn"][1], 2),
        "MB/s": round(size / 1e6 / clock, 1),
        "MB/s of processor time": round(size / 1e6 / cpu, 1),
        "million tokens/s": round(size / 1e6 / clock / per_token, 2),
        "million tokens/s of processor time": round(size / 1e6 / cpu / per_token, 2),
        "bytes_per_token": round(per_token, 2),
        "peak_memory_MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "not clean": sum(leak.kind != "clean" for leak in found.values()),
    }


def _first_piece(corpus: Corpus) -> Corpus:
    """The same corpus as if its first piece were all of it."""
    first = Corpus(corpus.path, corpus.part, corpus.manifest)
    pieces = corpus.pieces(0)[:1]
    first.shards, first.pieces = first.shards[:1], lambda shard: pieces  # type: ignore[method-assign]
    return first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--sets", type=Path)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[50, 200])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--per-token", type=float, default=0.0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.folder, given.sets, given.per_token)), flush=True)
        return
    text = "\n".join(path.read_text(encoding="utf-8") for path in given.texts)
    texts = [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
    per_token = bytes_per_token(texts)
    with tempfile.TemporaryDirectory() as folder:
        for megabytes in given.megabytes:
            place = Path(folder, f"{megabytes:g}")
            write_corpus(texts, megabytes, place)
            for system in SYSTEMS:
                options = ["--one", system, "--folder", str(place), "--per-token", str(per_token)]
                sets = ["--sets", str(given.sets)] if given.sets else []
                subprocess.run([sys.executable, __file__, *map(str, given.texts), *sets, *options], check=True)


if __name__ == "__main__":
    main()

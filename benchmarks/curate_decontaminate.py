"""Items of evaluation sets planted in clean documents: what is found, what is found wrongly, and how fast, on one core.

Usage: OMP_NUM_THREADS=1 python benchmarks/curate_decontaminate.py EVALUATION_SETS [--items 500] [--clean PATH...]

EVALUATION_SETS is a folder of files as `libertas decontaminate --against` takes it. Every item, or `--items` of each
set, is planted with its choices and its answer at a random place of a clean document: verbatim, in capitals, with other
quotes, dashes and spaces, and without any punctuation. Clean documents are the files below `--clean` (Python sources,
texts in pieces of 2,000 characters, JSON Lines with `text`); by default the sources of this Python and its packages.

Prints one JSON line for each system: the share of planted documents that are found, in each spelling; clean documents
that are found; MB/s over these (without reading; the median of three interleaved rounds); seconds to learn the items.
`items_that_can_be_told` counts what is long and rare enough for libertas by its own account. Left out is what is not
installed: lm-evaluation-harness (its Janitor, 13 words, in Python), datatrove (its n-gram filter, 12 words).
"""

import argparse
import contextlib
import importlib.util
import json
import random
import re
import runpy
import statistics
import string
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from libertas.curate.contamination.items import EvaluationItem, evaluation_files, read_items
from libertas.curate.contamination.match import find_items
from libertas.curate.contamination.probe import make_probe

ROUNDS, BATCH_CHARACTERS, PIECE, HOST = 3, 4_000_000, 2_000, 3_000
SPACES = ("  ", "\n", "\t", "\u00a0")
SPELLINGS: dict[str, Callable[[str], str]] = {
    "verbatim": lambda s: s,
    "capitals": str.upper,
    "typography": lambda s: s.replace("'", "’").replace('"', "“").replace("-", "—").replace(",", " ,"),
    "spaces": lambda s: re.sub(r"\s+", lambda m: SPACES[len(m.string) % 4], s),
    "no punctuation": lambda s: s.translate(str.maketrans("", "", string.punctuation + "’“”")),
}
System = Callable[[Sequence[str]], set[int]]
"""From texts to the numbers of those that hold an item."""


def written(item: EvaluationItem) -> str:
    """An item as it would stand on a page."""
    choices = [f"{letter}. {choice}" for letter, choice in zip(string.ascii_uppercase, item.choices, strict=False)]
    answer = [f"Answer: {item.answers[0]}"] if item.answers else []
    return "\n".join(part for part in (item.passage, item.question, *choices, *answer) if part)


def clean_documents(paths: Sequence[Path]) -> list[str]:
    """All documents below some folders, in order."""
    found = []
    for path in sorted(p for root in paths for p in ([root] if root.is_file() else root.rglob("*"))):
        if path.suffix not in (".py", ".txt", ".jsonl"):
            continue
        with contextlib.suppress(UnicodeDecodeError, OSError):
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".jsonl":
                found += [json.loads(line)["text"] for line in text.splitlines()]
            elif path.suffix == ".txt":
                found += [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
            elif 200 < len(text) < 40_000:
                found.append(text)
    return found


def planted(items: Sequence[EvaluationItem], clean: Sequence[str], spelling: Callable[[str], str]) -> list[str]:
    rng = random.Random(0)
    texts = []
    for item in items:
        host = rng.choice(clean)[:HOST]
        at = host.rfind(" ", 0, rng.randrange(len(host) + 1)) + 1
        texts.append(f"{host[:at]}\n{spelling(written(item))}\n{host[at:]}")
    return texts


def libertas(items: Sequence[EvaluationItem], clean: Sequence[str]) -> System:
    folder = tempfile.mkdtemp()
    probe = make_probe(Path(folder), [items], [clean[:: max(len(clean) // 10_000, 1)]])
    libertas.told = probe.told()  # type: ignore[attr-defined]

    def find(texts: Sequence[str]) -> set[int]:
        found, first, size = set(), 0, 0
        for number, text in enumerate(texts):
            size += len(text)
            if size >= BATCH_CHARACTERS or number == len(texts) - 1:
                batch = texts[first : number + 1]
                found |= {first + f.document for f in find_items(batch, probe) if f.kind != "passage"}
                first, size = number + 1, 0
        return found

    return find


def janitor(items: Sequence[EvaluationItem], clean: Sequence[str]) -> System:
    del clean
    package = importlib.util.find_spec("lm_eval")  # the package itself would want torch and more
    place = Path((package.submodule_search_locations or [""])[0]) if package else Path()
    module = runpy.run_path(str(place / "decontamination" / "janitor.py"))
    cleaner, grams = module["Janitor"](), module["word_ngrams_indices"]
    for item in items:
        cleaner.register_contaminant_python(item.question)
    dirty, normalized = cleaner.dirt_ngrams, cleaner.normalize_string
    return lambda texts: {
        n for n, text in enumerate(texts) if any(normalized(g) in dirty for g, _ in grams(text, cleaner.ngram_n))
    }


def datatrove(items: Sequence[EvaluationItem], clean: Sequence[str]) -> System:
    del clean
    from datatrove.data import Document
    from datatrove.pipeline.decont.n_grams import NGramsDecontFilter
    from datatrove.utils.text import ngrams, simplify_text

    judge = NGramsDecontFilter(tempfile.mkdtemp())
    config = judge.config
    judge._index_hashes = {
        judge.hash_func(" ".join(gram)): "task"
        for item in items
        for gram in ngrams(
            judge.tokenizer.word_tokenize(simplify_text(item.question, config.norm_config)), config.n_grams
        )
    }
    return lambda texts: {
        n for n, text in enumerate(texts) if judge.filter(Document(text=text, id=str(n), metadata={})) is not True
    }


SYSTEMS = {"libertas": (libertas, ""), "lm-eval Janitor": (janitor, "lm_eval"), "datatrove": (datatrove, "datatrove")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--items", type=int, default=0, help="of each set; 0 plants all")
    parser.add_argument("--megabytes", type=float, default=20, help="of clean text that is timed")
    parser.add_argument("--clean", type=Path, nargs="*", default=[Path(sysconfig.get_paths()["stdlib"])])
    given = parser.parse_args()
    rng = random.Random(0)
    sets = {task: list(read_items(task, path, {})) for task, path in evaluation_files([given.sets])}
    items = [item for one in sets.values() for item in one]
    chosen = [n for n, _ in enumerate(items)]
    if given.items:
        by_task = {task: [n for n, item in enumerate(items) if item.task == task] for task in sets}
        chosen = [
            n for numbers in by_task.values() for n in sorted(rng.sample(numbers, min(given.items, len(numbers))))
        ]
    clean = clean_documents(given.clean)
    rng.shuffle(clean)
    size, timed = 0.0, []
    for text in clean:
        if size < given.megabytes:
            timed.append(text)
            size += len(text.encode()) / 1e6
    lines, finds = {}, {}
    for name, (make, package) in SYSTEMS.items():
        if not package or importlib.util.find_spec(package):
            before = time.perf_counter()
            finds[name] = make(items, clean)
            lines[name] = {"system": name, "learn_seconds": round(time.perf_counter() - before, 1)}
    told = libertas.told[np.array(chosen)]  # type: ignore[attr-defined]
    seconds: dict[str, list[float]] = {name: [] for name in finds}
    for _ in range(ROUNDS):
        for name, find in finds.items():
            before = time.perf_counter()
            find(timed)
            seconds[name].append(time.perf_counter() - before)
    for name, find in finds.items():
        line = lines[name] | {"items": len(chosen), "items_that_can_be_told": int(told.sum())}
        for spelling, change in SPELLINGS.items():
            found = find(planted([items[n] for n in chosen], clean, change))
            line[f"found, {spelling}"] = round(len(found) / len(chosen), 4)
            if spelling == "verbatim":
                line["found of those that can be told"] = round(
                    float(np.isin(np.flatnonzero(told), list(found)).mean()), 4
                )
        line |= {"clean_documents": len(clean), "clean_documents_found": len(find(clean))}
        print(json.dumps(line | {"MB/s": round(size / statistics.median(seconds[name]), 1)}), flush=True)


if __name__ == "__main__":
    main()

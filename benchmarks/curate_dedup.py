"""Near-duplicates, from files to clusters, on one core: ours beside its peers.

Usage: OMP_NUM_THREADS=1 python benchmarks/curate_dedup.py [DOCUMENTS [ROUNDS [PEER=PYTHON ...]]]

Makes DOCUMENTS (50,000) documents of about 2.4 kB from words with the lengths and frequencies of English, and puts
edited copies of a tenth of them among them: half with a Jaccard similarity of word 5-grams from 0.8 to 1, half, the
decoys, from 0.5 to 0.7. Every system reads its files (LMD for ours, JSONL for the others) and ends with a cluster for
each document. Each run is a process of its own, on one core and with its own peak of memory; systems take turns for
ROUNDS (3) rounds. The median of the computing time counts, which a busy machine distorts less than the clock's. Recall
is of the planted pairs of 0.8 and more, how many share a cluster; precision is of all pairs that share a cluster, how
many have 0.8 or more, word by word. Peers compare signatures and accept 0.05 less, as estimates err to both sides.
Imports are not timed.

Systems that are not installed here are given as PEER=PYTHON, the interpreter that has them: rensa, datasketch,
datatrove, text-dedup. Versions meant: rensa 0.5.0, datasketch 2.0.0, datatrove 0.10.1, text-dedup 0.4.0.
Prints one JSON line per system.
"""

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THRESHOLD = 0.8
PERMUTATIONS = 128
VOCABULARY, WORDS = 30_000, 400
SHARE = 0.1
SYSTEMS = ("libertas", "rensa", "datasketch", "datatrove", "text-dedup")


# What the peers do ------------------------------------------------------------------------------------------------


def lines_of(folder: Path) -> list[str]:
    with (folder / "documents.jsonl").open() as file:
        return [json.loads(line)["text"] for line in file]


def grams_of(text: str) -> list[str]:
    """Word 5-grams, by the fastest way that Python has."""
    words = text.lower().split()
    return list(map(" ".join, zip(words, words[1:], words[2:], words[3:], words[4:], strict=False)))


class Forest:
    def __init__(self, size: int) -> None:
        self.parent = list(range(size))

    def root(self, item: int) -> int:
        while self.parent[item] != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def join(self, left: int, right: int) -> None:
        low, high = sorted((self.root(left), self.root(right)))
        self.parent[high] = low

    def roots(self) -> list[int]:
        return [self.root(i) for i in range(len(self.parent))]


def run_libertas(folder: Path) -> list[int]:
    import pyarrow.parquet as pq

    from libertas.corpus import Corpus
    from libertas.curate.duplicates.find import find_duplicates

    corpus = Corpus.open(folder / "corpus")
    with tempfile.TemporaryDirectory(dir=folder) as found:
        find_duplicates([corpus], Path(found))
        result = list(range(len(corpus)))
        for path in (Path(found) / "clusters").iterdir():
            table = pq.read_table(path, columns=["number", "cluster"])
            for number, cluster in zip(table["number"].to_pylist(), table["cluster"].to_pylist(), strict=True):
                result[number] = cluster
    return result


def run_rensa(folder: Path) -> list[int]:
    """Its bulk calls: R-MinHash of many token lists, its LSH index, candidates compared by signature."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=16)
    texts = lines_of(folder)
    forest, hashes = Forest(len(texts)), []
    for first in range(0, len(texts), 1000):
        hashes += RMinHash.from_token_sets([grams_of(t) for t in texts[first : first + 1000]], PERMUTATIONS, 42)
    index.insert_many(hashes)
    for number, candidates in enumerate(index.query_all(hashes)):
        for other in candidates:
            if other < number and hashes[number].jaccard(hashes[other]) >= THRESHOLD - 0.05:
                forest.join(other, number)
    return forest.roots()


def run_datasketch(folder: Path) -> list[int]:
    from datasketch import MinHash, MinHashLSH

    texts = lines_of(folder)
    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    forest, hashes = Forest(len(texts)), []
    for number, text in enumerate(texts):
        minhash = MinHash(num_perm=PERMUTATIONS)
        minhash.update_batch([gram.encode() for gram in grams_of(text)])
        for other in index.query(minhash):
            if minhash.jaccard(hashes[other]) >= THRESHOLD - 0.05:
                forest.join(other, number)
        index.insert(number, minhash)
        hashes.append(minhash)
    return forest.roots()


def run_datatrove(folder: Path) -> list[int]:
    """Its four MinHash steps, with its defaults (14 buckets of 8); the clusters are read from its last file."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import JsonlReader

    with tempfile.TemporaryDirectory(dir=folder) as work:
        config = MinhashConfig()
        steps = (
            ([JsonlReader(str(folder), glob_pattern="documents.jsonl"), MinhashDedupSignature(f"{work}/s", config)], 1),
            ([MinhashDedupBuckets(f"{work}/s", f"{work}/b", config=config)], config.num_buckets),
            ([MinhashDedupCluster(f"{work}/b", f"{work}/c", config=config, save_cluster_id=True)], 1),
        )
        for number, (pipeline, tasks) in enumerate(steps):
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=f"{work}/l{number}").run()
        size = sum(1 for _ in (folder / "documents.jsonl").open())
        result = [-1 - n for n in range(size)]
        import struct

        for path in Path(work, "c").glob("*.clusters"):
            for document, cluster in struct.iter_unpack("<II", path.read_bytes()):
                result[document] = cluster
    return result


def run_text_dedup(folder: Path) -> list[int]:
    """Its MinHash command with its faster hash; the clusters are read from its union-find."""
    from text_dedup import minhash

    with tempfile.TemporaryDirectory(dir=folder) as work:
        words = f"--path json --data_files {folder}/documents.jsonl --split train --column text --output {work}/out"
        words += f" --cache_dir {work}/cache --num_proc 1 --threshold {THRESHOLD} --num_perm {PERMUTATIONS}"
        minhash.main([*words.split(), "--hash_func", "xxh3", "--hash_bits", "32"], standalone_mode=False)
    return [minhash.uf.find(number) for number in range(sum(1 for _ in (folder / "documents.jsonl").open()))]


# The measurement --------------------------------------------------------------------------------------------------


def make(folder: Path, documents: int) -> int:
    """Write the documents as JSONL and as a corpus, and the planted pairs; returns bytes of text."""
    import numpy as np

    from libertas.corpus import CorpusWriter
    from libertas.document import Document
    from libertas.lineage.artifact import Draft

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from making import MadeConfig

    generator = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlcumwfgypbvkjxqz"))
    share = 1 / np.arange(2, 28)
    lengths = np.clip(generator.poisson(5.0, VOCABULARY), 1, 16)
    vocabulary = ["".join(generator.choice(letters, n, p=share / share.sum())) for n in lengths]
    zipf = np.cumsum(1 / (np.arange(VOCABULARY) + 2.7))
    rng = random.Random(0)

    def fresh(count: int) -> list[str]:
        places = np.searchsorted(zipf, generator.random(count) * zipf[-1])
        return [vocabulary[p] for p in places]

    originals = documents - round(documents * SHARE)
    texts = [fresh(max(50, int(generator.normal(WORDS, 80)))) for _ in range(originals)]
    pairs = []
    for number, source in enumerate(rng.sample(range(originals), documents - originals)):
        wanted = rng.uniform(0.8, 0.99) if number % 2 else rng.uniform(0.5, 0.69)
        pairs.append((source, len(texts)))
        texts.append(changed(texts[source], wanted, rng, fresh))
    order = list(range(documents))
    rng.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    joined = [" ".join(texts[old]) for old in order]
    with (folder / "documents.jsonl").open("w") as file:
        for number, text in enumerate(joined):
            file.write(json.dumps({"text": text, "id": str(number)}) + "\n")
    draft = Draft(
        kind="corpus",
        out=folder / "corpus",
        config=MadeConfig(out=folder / "corpus"),
        inputs={},
        code="libertas.corpus",
    )
    with draft.build() as out, CorpusWriter(out, "made") as writer:
        for number, text in enumerate(joined):
            writer.add(Document(f"{number:032x}", text, {"component": "made"}))
    measured = [(place[a], place[b], jaccard(joined[place[a]], joined[place[b]])) for a, b in pairs]
    (folder / "pairs.json").write_text(json.dumps(measured))
    return sum(map(len, joined))


def changed(words: list[str], wanted: float, rng: random.Random, fresh: object) -> list[str]:
    """A copy with single words replaced until the 5-grams overlap about as much as wanted."""
    kept = 2 * wanted / (1 + wanted)  # share of 5-grams that stay
    result = list(words)
    lost: set[int] = set()
    while len(lost) < (1 - kept) * (len(words) - 4):
        place = rng.randrange(len(words))
        result[place] = fresh(1)[0] + "q"
        lost |= set(range(max(place - 4, 0), min(place + 1, len(words) - 4)))
    return result


def jaccard(left: str, right: str) -> float:
    a, b = set(grams_of(left)), set(grams_of(right))
    return len(a & b) / len(a | b)


def child(system: str, folder: Path) -> None:
    """One run; prints seconds, peak memory, and which pairs share a cluster."""
    import importlib

    for module in {"libertas": ("libertas.curate.duplicates.find",)}.get(system, (system.replace("-", "_"),)):
        importlib.import_module(module)
    if system == "libertas":
        importlib.import_module("pyarrow").array([0])  # which imports pandas, where there is one
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # some use all cores whatever they are told
    start, computing = time.perf_counter(), sum(os.times()[:4])
    clusters = globals()[f"run_{system.replace('-', '_')}"](folder)
    seconds, computing = time.perf_counter() - start, sum(os.times()[:4]) - computing  # with child processes
    processes = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in processes) * 1024
    (folder / f"{system}.clusters").write_text(json.dumps(clusters))
    print(json.dumps({"seconds": seconds, "computing": computing, "peak_memory": peak}))


def quality(folder: Path, system: str) -> dict[str, float]:
    """Recall on planted pairs of 0.8 and more; precision over all pairs that share a cluster."""
    clusters = json.loads((folder / f"{system}.clusters").read_text())
    pairs = json.loads((folder / "pairs.json").read_text())
    near = [(a, b) for a, b, j in pairs if j >= THRESHOLD]
    met = sum(clusters[a] == clusters[b] for a, b in near)
    members: dict[int, list[int]] = {}
    for document, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(document)
    texts = lines_of(folder)
    joined = [(a, b) for some in members.values() for k, a in enumerate(some[:50]) for b in some[k + 1 : 50]]
    right = sum(jaccard(texts[a], texts[b]) >= THRESHOLD for a, b in joined)
    return {
        "recall": round(met / len(near), 4),
        "precision": round(right / len(joined), 4) if joined else 1.0,
        "planted": len(near),
        "pairs": len(joined),
    }


def main(documents: int, rounds: int, pythons: dict[str, str]) -> None:
    systems = [s for s in SYSTEMS if s == "libertas" or s in pythons]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = subprocess.run([sys.executable, __file__, "--make", name, str(documents)], stdout=-1, check=True)
        size = int(made.stdout)  # made by a process of its own: children inherit their parent's peak of memory
        runs: dict[str, list[dict[str, float]]] = {s: [] for s in systems}
        for turn in range(rounds):
            for system in systems[turn % len(systems) :] + systems[: turn % len(systems)]:
                command = [pythons.get(system, sys.executable), __file__, "--child", system, name]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(f"{system}: {done.stderr[-2000:]}")
                runs[system].append(json.loads(done.stdout.splitlines()[-1]))
        for system in systems:
            seconds, computing = (statistics.median(r[k] for r in runs[system]) for k in ("seconds", "computing"))
            print(
                json.dumps(
                    {
                        "system": system,
                        "documents": documents,
                        "megabytes": round(size / 1e6, 1),
                        "seconds": round(seconds, 2),
                        "computing_seconds": round(computing, 2),
                        "megabytes_per_second": round(size / 1e6 / computing, 2),
                        **quality(folder, system),
                        "peak_memory_megabytes": round(max(run["peak_memory"] for run in runs[system]) / 1e6),
                    }
                ),
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        print(make(Path(sys.argv[2]), int(sys.argv[3])))
    elif sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]))
    else:
        numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
        others = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
        main(numbers[0] if numbers else 50_000, numbers[1] if len(numbers) > 1 else 3, others)

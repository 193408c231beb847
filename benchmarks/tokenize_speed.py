"""Text to tokens on two cores: ours end to end, beside GPT-NeoX's way of preparing data and the libraries alone.

Usage: python benchmarks/tokenize_speed.py TEXTS [ROUNDS [VOCABULARY]]

TEXTS is a `.jsonl` file with a field `text`; a vocabulary of 32,768 is learned on it first, untimed. The systems take
turns, ROUNDS times (3); what counts is the median.

`libertas`             corpus shards to a finished token store: `tokenize` with two workers, from opening the corpus to
                       the renamed artifact with its manifest, hashing of what is read and written included.
`neox`                 as GPT-NeoX's `tools/datasets/preprocess_data.py` does it: JSON lines to a pool of two processes,
                       in each `Tokenizer.encode` for one document after the other, end-of-text behind it; the parent
                       writes `.bin` and `.idx`. Its tokens must be ours, byte for byte.
`libertas encoder`     texts in memory to ids in memory, one thread.
`tokenizers`           the same by `encode_batch_fast`, on two threads.
`tiktoken`             the same by `encode_ordinary_batch` with the same merges, on two threads (`pip install tiktoken`;
                       left out where it is not there).

Prints one JSON line per system: MB/s of UTF-8 text, the median and each round, and MB for each second that a core was
busy with it (all processes together), which a crowded machine changes less.
"""

import json
import multiprocessing
import os
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from libertas import kernel
from libertas.corpus import CorpusWriter
from libertas.document import Document, document_id
from libertas.lineage.artifact import Draft
from libertas.tokenize import bpe
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.encoder import Encoder, byte_characters
from libertas.tokenize.splitting import GPT2
from libertas.tokenize.store import tokenize

try:
    import tiktoken
except ImportError:
    tiktoken = None

PROCESSES = 2
CHUNK = 25
"""Documents that GPT-NeoX hands to a process at once."""


@dataclass(frozen=True, kw_only=True)
class MadeConfig:
    """Settings of a corpus made for measuring."""

    out: Path


def mixed(lines: list[str], out: Path) -> Path:
    """The texts as a mixed corpus, with one document held out."""
    draft = Draft(kind="corpus", out=out, config=MadeConfig(out=out), inputs={}, code="libertas.corpus")
    with draft.build() as folder:
        for part, mine in (("train", lines), ("validation", lines[:1])):
            with CorpusWriter(folder / part, part) as writer:
                for number, line in enumerate(mine):
                    writer.add(Document(document_id(part, str(number)), json.loads(line)["text"], {"component": "all"}))
            draft.counts[f"{part}_bytes"] = writer.text_bytes
        draft.counts["components"] = {"all": {}}
    return out


loaded: Tokenizer | None = None


def neox_start(tokenizer: str) -> None:
    global loaded
    loaded = Tokenizer.from_file(tokenizer)


def neox_encode(line: str) -> tuple[list[int], int]:
    assert loaded is not None
    text = json.loads(line)["text"]
    return [*loaded.encode(text).ids, 0], len(text)


def neox(source: Path, tokenizer: Path, out: Path) -> None:
    """The path of GPT-NeoX, in our words: a pool, a builder, and the index in the end."""
    sizes = []
    with (
        source.open(encoding="utf-8") as lines,
        multiprocessing.get_context("fork").Pool(PROCESSES, neox_start, (str(tokenizer),)) as pool,
        out.with_suffix(".bin").open("wb") as file,
    ):
        for ids, _ in pool.imap(neox_encode, lines, CHUNK):
            tokens = np.array(ids, dtype=np.uint16)
            file.write(tokens.tobytes(order="C"))
            sizes.append(len(tokens))
    with out.with_suffix(".idx").open("wb") as file:
        file.write(b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, len(sizes), len(sizes) + 1))
        file.write(np.array(sizes, dtype=np.int32).tobytes())
        ends = np.cumsum(np.array(sizes, dtype=np.int64) * 2)
        file.write(np.concatenate([[0], ends[:-1]]).astype(np.int64).tobytes())
        file.write(np.arange(len(sizes) + 1, dtype=np.int64).tobytes())


def ours_as_tiktoken(tokenizer: Tokenizer) -> object:
    """The same vocabulary for tiktoken: it takes tokens by rank, and merging is by rank as well."""
    of, special = byte_characters(), {bpe.END_OF_TEXT: 0}
    ranks = {bytes(of[c] for c in name): n for name, n in tokenizer.get_vocab().items() if name not in special}
    return tiktoken.Encoding("ours", pat_str=GPT2, mergeable_ranks=ranks, special_tokens=special)


def systems(source: Path, corpus: Path, tokenizer: Path, folder: Path) -> Iterator[tuple[str, Callable[[int], object]]]:
    texts = [json.loads(line)["text"] for line in source.open(encoding="utf-8")]
    library = bpe.load_tokenizer(tokenizer)
    encoder = Encoder(library, 0)

    def libertas(turn: int) -> None:
        config = TokenizeConfig(corpus=corpus, out=folder / f"ours-{turn}", tokenizer=tokenizer, workers=PROCESSES)
        tokenize(config)

    def by_library() -> list[list[int]]:
        return [e.ids for e in library.encode_batch_fast(texts, add_special_tokens=False)]

    yield "libertas", libertas
    yield "neox", lambda turn: neox(source, tokenizer, folder / f"neox-{turn}")
    yield "libertas encoder", lambda _: encoder.encode(texts)
    yield "tokenizers", lambda _: by_library()
    if tiktoken is not None:
        other = ours_as_tiktoken(library)
        yield "tiktoken", lambda _: other.encode_ordinary_batch(texts, num_threads=PROCESSES)  # type: ignore[attr-defined]
        same = sum(other.encode_ordinary(t) == library.encode(t).ids for t in texts[:500])  # type: ignore[attr-defined]
        print(json.dumps({"tiktoken_same_ids": f"{same} of {len(texts[:500])} documents"}))


def busy_seconds() -> float:
    """Of all cores: this process, its children that have ended, and the server that ours are forked from."""
    busy = sum(os.times()[:4])
    if server := forkserver._forkserver._forkserver_pid:  # type: ignore[attr-defined]
        times = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[11:15]
        busy += sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
    return busy


def main() -> None:
    source, rounds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    vocabulary = int(sys.argv[3]) if len(sys.argv) > 3 else 32768
    lines = source.read_text(encoding="utf-8").splitlines()
    size = sum(len(json.loads(line)["text"].encode()) for line in lines)
    with tempfile.TemporaryDirectory(dir=source.parent) as name:
        folder = Path(name)
        tokenizer = folder / "tokenizer.json"
        bpe.learn((json.loads(line)["text"] for line in lines), vocabulary).save(str(tokenizer))
        corpus = mixed(lines, folder / "mix")
        found: dict[str, list[tuple[float, float]]] = {}
        load = os.getloadavg()[0]
        turns = list(systems(source, corpus, tokenizer, folder))
        for turn in range(rounds):
            for system, call in turns[turn % len(turns) :] + turns[: turn % len(turns)]:
                started, busy = time.perf_counter(), busy_seconds()
                call(turn)
                took = (time.perf_counter() - started, busy_seconds() - busy)
                found.setdefault(system, []).append((size / 1e6 / took[0], size / 1e6 / took[1]))
        same = (folder / "ours-0/train/tokens.bin").read_bytes() == (folder / "neox-0.bin").read_bytes()
    wall, busy = ({s: [pair[n] for pair in found[s]] for s in found} for n in (0, 1))
    for system in found:
        record: dict[str, object] = {"system": system}
        for name, speeds in (("MB/s", wall), ("MB per busy second", busy)):
            median = statistics.median(speeds[system])
            record[name] = round(median, 2)
            record[f"{name} of neox"] = round(median / statistics.median(speeds["neox"]), 2)
        print(json.dumps({**record, "rounds": [round(speed, 2) for speed in wall[system]]}))
    ours = {
        "kernel": kernel.native is not None,
        "libertas_tokens_are_neox_tokens": same,
        "documents": len(lines),
        "MB": round(size / 1e6, 1),
    }
    print(json.dumps({**ours, "load": [load, os.getloadavg()[0]], "cores": os.cpu_count()}))


if __name__ == "__main__":
    main()

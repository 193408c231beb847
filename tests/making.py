"""Small artifacts for tests, made with the real stages."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.console import Console

from libertas.corpus import CorpusWriter
from libertas.document import Document, document_id
from libertas.lineage.artifact import Draft
from libertas.lineage.fingerprint import digest

SENTENCE = "the value of a list is read from file and then every item in it must be a string or none"
WORDS = SENTENCE.split()


@dataclass(frozen=True, kw_only=True)
class MadeConfig:
    """Settings of a corpus made by hand."""

    out: Path
    note: str = ""


def text(number: int, words: int = 60) -> str:
    """A text of made-up sentences, different for each number, the same in every run."""
    picks = hashlib.shake_256(str(number).encode()).digest(words)
    return " ".join(WORDS[p % len(WORDS)] + ("." if p > 230 else "") for p in picks) + f" {number}."


def document(number: int, component: str = "web", content: str | None = None) -> Document:
    """A document with an id of its own."""
    body = text(number) if content is None else content
    return Document(document_id(f"record-{number}", digest(body.encode())), body, {"component": component})


def mixed_corpus(out: Path, train: Iterable[Document], validation: Iterable[Document], note: str = "") -> Path:
    """A corpus artifact with the parts `train` and `validation`, as `libertas mix` writes them."""
    draft = Draft(kind="corpus", out=out, config=MadeConfig(out=out, note=note), inputs={}, code="libertas.corpus")
    with draft.build() as folder:
        names = set()
        for part, documents in (("train", train), ("validation", validation)):
            with CorpusWriter(folder / part, part) as writer:
                for item in documents:
                    names.add(item.meta["component"])
                    writer.add(item)
            draft.counts[f"{part}_bytes"] = writer.text_bytes
        draft.counts["components"] = {name: {} for name in sorted(names)}
    return out


def small_corpus(out: Path, count: int = 120) -> Path:
    """A mixed corpus of two components; a tenth is held out."""
    documents = [document(n, ("web", "code")[n % 2]) for n in range(count)]
    return mixed_corpus(out, documents[count // 10 :], documents[: count // 10])


def printed(parts: Iterable[object]) -> str:
    """What a terminal of 80 columns shows of tables and lines."""
    console = Console(width=80, record=True, file=StringIO())
    for part in parts:
        console.print(part)
    return console.export_text()

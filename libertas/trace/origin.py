"""A token position -> its document, the steps that read it, the rules that judged it, and its bytes in the archive."""

from dataclasses import dataclass
from pathlib import Path

import orjson

from libertas.corpus import Corpus
from libertas.curate.why import decisions_of, sidecars_above
from libertas.document import Decision, Document, WarcRef
from libertas.errors import BrokenLineage, UsageError
from libertas.gather.warc import read_record
from libertas.lineage.manifest import named, read_manifest
from libertas.lineage.walk import input_of, source_files
from libertas.tokenize.order import Order
from libertas.tokenize.store import TokenStore


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a model has read: the order of its training, and how many steps of it."""

    tokens: Path
    """Token store that it was trained on."""
    order: Order
    steps: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one training token comes from."""

    position: int
    """Of the token, in the training tokens."""
    number: int
    """Of its document in the store."""
    document: Document
    steps: list[int]
    """Training steps that predicted this token, in increasing order, in any copy of the document."""
    warc: WarcRef | None
    """None where the document did not come from an archive."""
    file: Path | None
    """Archive in which the record was found; None without a `warc`."""
    payload: bytes | None
    """The record's payload, read again just now and checked against its digest; None without a `warc`."""


def exposure(model: Path) -> Exposure:
    """What the run or checkpoint at `model` has read.

    Raises:
        UsageError: it is neither.
    """
    manifest = read_manifest(model)
    if manifest.kind not in ("run", "checkpoint"):
        raise UsageError(f"{model} is {named(manifest.kind)}; expected a run or a checkpoint made by `libertas train`")
    tokens = input_of(model, "tokens")
    if manifest.kind == "run":
        return Exposure(tokens, Order(**manifest.counts["order"]), int(manifest.counts["steps"]))
    order = Order(
        tokens=int(read_manifest(tokens).counts["train_tokens"]),
        length=int(orjson.loads((model / "model.json").read_bytes())["context"]),
        batch=int(manifest.config["batch"]),
        seed=int(manifest.config["seed"]),
    )
    return Exposure(tokens, order, int(manifest.counts["step"]))


class Origins:
    """Looks tokens up; what every look-up needs is opened once."""

    def __init__(self, store: TokenStore, order: Order, steps: int) -> None:
        """Find the corpus and the archives of `store` through its lineage; `steps` of `order` were trained."""
        self.store, self.order, self.steps = store, order, steps
        self.corpus: Corpus = store.corpus()
        self.sidecars = sidecars_above(store.path)
        """Everything that judged the documents before they were mixed."""
        self._files = source_files(store.path)

    @staticmethod
    def of_model(model: Path) -> "Origins":
        """Look-ups in what the run or checkpoint at `model` has read."""
        read = exposure(model)
        return Origins(TokenStore.open(read.tokens), read.order, read.steps)

    def origin(self, position: int) -> Origin:
        """Everything about the training token at `position`; its bytes are read again.

        Raises:
            IndexError: there is no such token.
            BrokenLineage: the archive is gone, or its bytes are not the ones that were gathered.
        """
        number = self.store.document_at(position)
        document = self.corpus.fetch(self.store.document_id(number))
        file, payload = self.record(document.warc) if document.warc else (None, None)
        return Origin(
            position=position,
            number=number,
            document=document,
            steps=self._steps(position, number, document.id),
            warc=document.warc,
            file=file,
            payload=payload,
        )

    def record(self, ref: WarcRef) -> tuple[Path, bytes]:
        """The file in the lineage that holds a record, and the record's payload; several may have the same name.

        Raises:
            BrokenLineage: none of them holds it.
        """
        broken = BrokenLineage(
            f"{self.store.path} was made from no file {ref.file}; expected the archive with record {ref.record_id}; "
            "run `libertas verify` to find where its lineage is cut"
        )
        for path in self._files.get(ref.file, []):
            try:
                return path, read_record(path, ref)
            except BrokenLineage as error:
                broken = error
        raise broken

    def decided(self, document_id: str) -> list[Decision]:
        """What every stage said of a document; empty where the documents were mixed without decisions."""
        return [decision for sidecar in self.sidecars for decision in decisions_of(sidecar, document_id)]

    def _steps(self, position: int, number: int, document_id: str) -> list[int]:
        within = position - int(self.store.offsets[number])
        found: set[int] = set()
        for copy in self.corpus.numbers_of(document_id):  # the store has the corpus's order
            found.update(self.order.steps_reading(int(self.store.offsets[copy]) + within, self.steps))
        return sorted(found)

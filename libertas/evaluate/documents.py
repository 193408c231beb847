"""Held-out documents under the model and what it is compared with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from libertas.document import Document
from libertas.evaluate import overlap as overlaps
from libertas.evaluate.compression import DICTIONARY_BYTES, zstd_bytes
from libertas.evaluate.ngram import NgramModel
from libertas.evaluate.summary import DocumentRecord
from libertas.evaluate.tasks.bits_per_byte import document_log_probabilities
from libertas.terminal import progress
from libertas.tokenize.bpe import closing_token
from libertas.tokenize.store import TokenStore
from libertas.trace.index import TokenIndex
from libertas.train.checkpoint import Checkpoint


def measure_documents(
    model: Checkpoint, store: TokenStore, documents: Sequence[Document], index: TokenIndex | None
) -> list[DocumentRecord]:
    """Held-out documents under the model, a 5-gram model of the training tokens and zstd; and where they were seen."""
    end = closing_token(model.tokenizer)
    encoded = model.tokenizer.encode_batch_fast([d.text for d in documents], add_special_tokens=False)
    tokens = [np.array(e.ids, dtype=np.int64) for e in encoded]
    scored = document_log_probabilities(model.model, tokens, end)
    ngram = NgramModel(store.tokens, store.vocabulary)
    alone, primed = _compressed(documents, store)
    records = []
    with progress("held-out documents in training tokens", len(documents)) as bar:
        for number, document in enumerate(documents):
            sequence = np.r_[end, tokens[number]]
            records.append(
                DocumentRecord(
                    document=document.id,
                    component=str(document.meta["component"]),
                    url=str(document.meta.get("url", "")),
                    bytes=len(document.text.encode()),
                    tokens=len(tokens[number]),
                    log_probability=float(scored[number].sum()),
                    ngram_log_probability=float(ngram.log_probabilities(sequence).sum()),
                    zstd_bytes=int(alone[number]),
                    zstd_primed_bytes=int(primed[number]),
                    overlap=overlaps.overlap(index, tokens[number]) if index else None,
                )
            )
            bar.advance()
    return records


def _compressed(documents: Sequence[Document], store: TokenStore) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """zstd bytes of each document, alone and primed with the training text of its component."""
    texts = [d.text.encode() for d in documents]
    primed = np.zeros(len(texts), dtype=np.int64)
    components = sorted({str(d.meta["component"]) for d in documents})
    with progress("zstd", len(components)) as bar:
        primers = _primers(store, components)
        alone = zstd_bytes(texts)
        for component in components:
            own = [i for i, d in enumerate(documents) if str(d.meta["component"]) == component]
            primed[own] = zstd_bytes([texts[i] for i in own], primers[component])
            bar.advance(1, component)
    return alone, primed


def _primers(store: TokenStore, components: Sequence[str]) -> dict[str, bytes]:
    """Per component the first `DICTIONARY_BYTES` of its training text."""
    primers = {component: bytearray() for component in components}
    for document in store.corpus():
        primer = primers.get(str(document.meta["component"]))
        if primer is not None and len(primer) < DICTIONARY_BYTES:
            primer += document.text.encode()
    return {component: bytes(primer[:DICTIONARY_BYTES]) for component, primer in primers.items()}

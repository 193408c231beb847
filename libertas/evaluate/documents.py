"""Held-out documents under the model and what it is compared with."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from libertas.document import Document
from libertas.evaluate import overlap as overlaps
from libertas.evaluate.compression import DICTIONARY_BYTES, xz_bytes, zstd_bytes
from libertas.evaluate.ngram import NgramModel
from libertas.evaluate.summary import DocumentRecord, TrainingPart
from libertas.evaluate.tasks.bits_per_byte import (
    HARNESS_KEEPS,
    bytes_of_tokens,
    half_context,
    rolling_log_probabilities,
    stretches,
    tokens_read,
)
from libertas.lineage.manifest import read_manifest
from libertas.lineage.walk import input_of
from libertas.terminal import progress
from libertas.tokenize.bpe import closing_token
from libertas.tokenize.store import TokenStore
from libertas.trace.index import TokenIndex
from libertas.train.checkpoint import Checkpoint


def measure_documents(
    model: Checkpoint, store: TokenStore, documents: Sequence[Document], index: TokenIndex | None
) -> list[DocumentRecord]:
    """Held-out documents under the model, a 5-gram model of training, zstd and xz; and where training has them."""
    end, context = closing_token(model.tokenizer), model.model.config.context
    keep = half_context(context)
    encoded = model.tokenizer.encode_batch([d.text for d in documents], add_special_tokens=False)
    tokens = [np.array(e.ids, dtype=np.int64) for e in encoded]
    scored, harness = rolling_log_probabilities(model.model, tokens, end, [keep, HARNESS_KEEPS])
    ngram = NgramModel(store.tokens, store.vocabulary)
    alone, primed = _compressed(documents, store)
    records = []
    with progress("held-out documents in training tokens, and xz", len(documents)) as bar:
        for number, document in enumerate(documents):
            own, text = tokens[number], document.text.encode()
            read = tokens_read(len(own) + 1, context, keep)
            width = bytes_of_tokens(document.text, encoded[number].offsets)
            records.append(
                DocumentRecord(
                    document=document.id,
                    component=str(document.meta["component"]),
                    url=str(document.meta.get("url", "")),
                    site=site_of(document),
                    bytes=len(text),
                    tokens=len(own),
                    log_probability=float(scored[number].sum()),
                    harness_log_probability=float(harness[number].sum()),
                    ngram_log_probability=float(ngram.log_probabilities(np.r_[end, own]).sum()),
                    zstd_bytes=int(alone[number]),
                    zstd_primed_bytes=int(primed[number]),
                    xz_bytes=xz_bytes(text),
                    stretches=stretches(read, width, scored[number]),
                    overlap=overlaps.overlap(index, own) if index else None,
                )
            )
            bar.advance()
    return records


def site_of(document: Document) -> str:
    """The host a document comes from, without `www.`; its own id where it comes from no host."""
    try:
        parts = urlsplit(str(document.meta.get("url", "")))
        host = parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        host = None
    return host.removeprefix("www.") if host else document.id


def training_parts(store: TokenStore) -> dict[str, TrainingPart]:
    """What training read of each component, repeats included; of none where the corpus does not say its bytes."""
    components = read_manifest(input_of(store.path, "corpus")).counts.get("components", {})
    lengths = np.diff(np.asarray(store.offsets).astype(np.int64)) - 1  # without the closing token
    tokens = np.bincount(store.components, weights=lengths, minlength=len(store.component_names)).astype(np.int64)
    return {
        name: TrainingPart(count, int(components[name]["bytes"]))
        for name, count in zip(store.component_names, tokens.tolist(), strict=True)
        if components.get(name, {}).get("bytes")
    }


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
        elif all(len(found) >= DICTIONARY_BYTES for found in primers.values()):
            break
    return {component: bytes(primer[:DICTIONARY_BYTES]) for component, primer in primers.items()}

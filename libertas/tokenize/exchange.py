"""Token stores to the files that GPT-NeoX and Megatron-LM train on, and back."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from libertas.document import document_id
from libertas.errors import UsageError
from libertas.lineage.artifact import Draft
from libertas.terminal import progress
from libertas.tokenize import bpe
from libertas.tokenize.config import ExportTokensConfig, ImportTokensConfig
from libertas.tokenize.indexed import IndexedFile, read_indexed, write_index_of
from libertas.tokenize.parts import begun_array
from libertas.tokenize.store import MOST_COMPONENTS, PARTS, TokenStore, store_counts, token_dtype, write_tokenizer

TOKENS_AT_ONCE = 1 << 22
Offsets = NDArray[np.int64]


def export_tokens(config: ExportTokensConfig) -> Path:
    """Write each part that has documents as `PART.bin` and `PART.idx`, with the tokenizer; returns the folder.

    Raises:
        UsageError: it is no token store, or its ids do not fit into the dtype.
    """
    draft = Draft(kind="export", out=config.out, config=config, inputs={"tokens": [config.tokens]}, code=__name__)
    if draft.finished():
        return config.out
    stores = {part: TokenStore.open(config.tokens, part) for part in PARTS}
    size = stores["train"].vocabulary
    dtype = np.dtype({"uint16": "<u2", "int32": "<i4", None: "<u2" if size <= 1 << 16 else "<i4"}[config.dtype])
    if size - 1 > np.iinfo(dtype).max:
        raise UsageError(f"dtype is {config.dtype}, but token ids go up to {size - 1:,}; leave it out, or take int32")
    with draft.build() as folder:
        for part, store in stores.items():
            draft.counts |= {f"{part}_tokens": len(store), f"{part}_documents": len(store.document_ids)}
            if len(store.document_ids):
                with (folder / f"{part}.bin").open("wb") as file, progress(f"writing {part}", len(store)) as bar:
                    for first in range(0, len(store), TOKENS_AT_ONCE):
                        tokens = store.tokens[first : first + TOKENS_AT_ONCE]
                        file.write(tokens.astype(dtype).data)
                        bar.advance(len(tokens))
                write_index_of(folder / f"{part}.idx", dtype, store.offsets)
        write_tokenizer(stores["train"].tokenizer(), folder)
        draft.counts |= {"vocabulary": size, "dtype": dtype.name}
    return config.out


def import_tokens(config: ImportTokensConfig) -> TokenStore:
    """Make the token store, or find it made.

    Raises:
        UsageError: a file is damaged, was made with another tokenizer, or has documents that are not closed.
    """
    parts = dict(zip(PARTS, (config.files, config.validation), strict=True))
    everything = [index for files in parts.values() for index in files]
    found = {index: read_indexed(index) for index in everything}
    sources = [path for index in everything for path in (index, index.with_suffix(".bin"))]
    tokenizer = bpe.load_tokenizer(config.tokenizer, config.end_of_text)
    settings = config.tokenizer.with_name(bpe.SETTINGS)
    beside = [settings] if settings.is_file() else []
    inputs = {"file": sources, "tokenizer": [config.tokenizer, *beside]}
    draft = Draft(kind="tokens", out=config.out, config=config, inputs=inputs, code=__name__)
    if draft.finished():
        return TokenStore.open(config.out)
    names = sorted({index.stem for index in everything})
    if len(names) > MOST_COMPONENTS:
        raise UsageError(
            f"the files have {len(names)} names; expected {MOST_COMPONENTS} or fewer; import fewer at once"
        )
    digests = dict(zip(sources, (i.content for i in draft.inputs), strict=False))
    with draft.build() as folder:
        counted = []
        for part, files in parts.items():
            (folder / part).mkdir()
            pairs = [found[index] for index in files]
            tokens = _write_tokens(pairs, tokenizer, folder / part, config.close)
            documents = sum(pair.documents for pair in pairs)
            ids = [digests[index.with_suffix(".bin")] for index in files]
            _write_documents(pairs, ids, names, folder / part)
            draft.counts |= {f"{part}_tokens": tokens, f"{part}_documents": documents}
            counted += [{"part": part, "file": pair.index.name, "documents": pair.documents} for pair in pairs]
        total = sum(pair.documents for pair in found.values())
        draft.counts |= {"documents": {"in": total, "out": total, "dropped": 0}, "sources": counted}
        draft.counts |= store_counts(tokenizer, names)
        write_tokenizer(tokenizer, folder)
    return TokenStore.open(config.out)


def _write_tokens(pairs: Sequence[IndexedFile], tokenizer: Any, folder: Path, close: bool) -> int:
    """Write `tokens.bin` and `offsets.npy` of a part; returns the number of tokens."""
    size, closing = bpe.vocabulary_size(tokenizer), bpe.closing_token(tokenizer)
    dtype, position = token_dtype(size), 0
    documents = sum(pair.documents for pair in pairs)
    with (
        (folder / "tokens.bin").open("wb") as file,
        begun_array(folder / "offsets.npy", np.dtype("<u8"), documents + 1) as offsets,
        progress(f"importing {folder.name}, documents", documents) as bar,
    ):
        offsets.write(np.zeros(1, dtype=np.uint64).data)
        for pair in pairs:
            for first, found, bounds in _stretches(pair):
                tokens = _fitting(found, size, pair).astype(dtype)
                open_ends = _unclosed(tokens, bounds, closing)
                if len(open_ends) and not close:
                    raise UsageError(
                        f"{pair.index}: document {first + int(open_ends[0]):,} does not end with "
                        f"{tokenizer.id_to_token(closing)}; close such documents with --close, or name the token that "
                        "ends them with --end-of-text"
                    )
                tokens = np.insert(tokens, bounds[open_ends + 1], closing)
                grown = np.bincount(open_ends, minlength=len(bounds) - 1)
                ends = position + bounds[1:] + np.cumsum(grown)
                file.write(tokens.data)
                offsets.write(ends.astype("<u8").data)
                position += len(tokens)
                bar.advance(len(bounds) - 1, f"{position:,} tokens")
    return position


def _stretches(pair: IndexedFile) -> Iterator[tuple[int, NDArray[np.integer], Offsets]]:
    """Whole documents of about `TOKENS_AT_ONCE`: number of the first, tokens, and bounds that count from the first."""
    tokens, bounds, first = pair.tokens, pair.bounds, 0
    while first < pair.documents:
        last = int(np.searchsorted(bounds, bounds[first] + TOKENS_AT_ONCE, side="right")) - 1
        last = min(max(last, first + 1), pair.documents)
        yield first, np.asarray(tokens[bounds[first] : bounds[last]]), bounds[first : last + 1] - bounds[first]
        first = last


def _fitting(tokens: NDArray[np.integer], vocabulary: int, pair: IndexedFile) -> NDArray[np.integer]:
    """The tokens, if the vocabulary has them all."""
    low, high = (int(tokens.min()), int(tokens.max())) if len(tokens) else (0, 0)
    if low < 0 or high >= vocabulary:
        raise UsageError(
            f"{pair.index.with_suffix('.bin')} has token {low if low < 0 else high}, but the tokenizer has ids 0 to "
            f"{vocabulary - 1}; name the tokenizer that made these tokens"
        )
    return tokens


def _unclosed(tokens: NDArray[np.integer], bounds: Offsets, closing: int) -> Offsets:
    """Numbers of the documents that do not end with the closing token."""
    last = np.maximum(bounds[1:] - 1, 0)
    empty = bounds[1:] == bounds[:-1]
    closed = ~empty if not len(tokens) else ~empty & (tokens[last] == closing)
    return np.flatnonzero(~closed)


def _write_documents(pairs: Sequence[IndexedFile], digests: Sequence[str], names: Sequence[str], folder: Path) -> None:
    """Write ids, which follow from a file's content and a document's number in it, and components: the files' names."""
    documents = sum(pair.documents for pair in pairs)
    with begun_array(folder / "document_ids.npy", np.dtype("S32"), documents) as file:
        for pair, content in zip(pairs, digests, strict=True):
            for number in range(pair.documents):
                file.write(document_id(f"#{number}", content).encode())
    with begun_array(folder / "components.npy", np.dtype("<u1"), documents) as file:
        for pair in pairs:
            file.write(bytes([names.index(pair.index.stem)]) * pair.documents)

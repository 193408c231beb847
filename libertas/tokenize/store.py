"""The token store: a flat file of tokens that knows which document every token came from."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from libertas.corpus import Corpus, save_array
from libertas.document import Document
from libertas.errors import BrokenLineage
from libertas.lineage.artifact import Draft, write_durably
from libertas.lineage.manifest import Manifest, read_manifest_of
from libertas.lineage.walk import input_of
from libertas.terminal import Bar, progress
from libertas.tokenize import bpe
from libertas.tokenize.config import TokenizeConfig

PARTS = ("train", "validation")
BATCH = 256
"""Documents handed to the tokenizer at once."""


class TokenStore:
    """One part of a token artifact: `tokens.bin`, and per document its first token, id and component."""

    def __init__(self, path: Path, part: str, manifest: Manifest) -> None:
        """Use `TokenStore.open`."""
        self.path, self.part, self.manifest = path, part, manifest
        folder = path / part
        dtype = np.dtype(manifest.counts["dtype"])
        empty = (folder / "tokens.bin").stat().st_size == 0
        self.tokens: NDArray[np.integer] = (
            np.zeros(0, dtype) if empty else np.memmap(folder / "tokens.bin", dtype=dtype, mode="r")
        )
        self.offsets: NDArray[np.uint64] = np.load(folder / "offsets.npy", mmap_mode="r")
        """First token of each document, and the number of tokens as the last entry."""
        self.document_ids: NDArray[np.bytes_] = np.load(folder / "document_ids.npy", mmap_mode="r")
        self.components: NDArray[np.uint8] = np.load(folder / "components.npy", mmap_mode="r")
        """Number of each document's component in `component_names`."""
        self.component_names: list[str] = manifest.counts["components"]
        if len(self.tokens) != manifest.counts[f"{part}_tokens"]:
            raise BrokenLineage(
                f"{folder / 'tokens.bin'} has {len(self.tokens):,} tokens, expected "
                f"{manifest.counts[f'{part}_tokens']:,}; run `libertas verify {path}`"
            )

    @staticmethod
    def open(path: Path, part: str = "train") -> "TokenStore":
        """Open a part, `train` or `validation`, of the token artifact at `path`.

        Raises:
            UsageError: `path` is no token artifact.
        """
        manifest = read_manifest_of(path, "tokens", "tokens made by `libertas tokenize`")
        return TokenStore(path, part, manifest)

    def __len__(self) -> int:
        """Number of tokens."""
        return len(self.tokens)

    @property
    def vocabulary(self) -> int:
        """Number of distinct token ids."""
        return int(self.manifest.counts["vocabulary"])

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that made these tokens."""
        return bpe.load_tokenizer(self.path / "tokenizer.json")

    def document_at(self, position: int) -> int:
        """Number of the document that holds the token at `position`; a binary search.

        Raises:
            IndexError: there is no such token.
        """
        if not 0 <= position < len(self):
            raise IndexError(f"token {position} is outside this store of {len(self):,} tokens")
        return int(np.searchsorted(self.offsets, np.uint64(position), side="right")) - 1

    def document_id(self, number: int) -> str:
        """Id of a document by its number in the store."""
        return bytes(self.document_ids[number]).decode()

    def document_tokens(self, number: int) -> NDArray[np.integer]:
        """Tokens of a document, its closing end-of-text token included."""
        return self.tokens[int(self.offsets[number]) : int(self.offsets[number + 1])]

    def corpus(self) -> Corpus:
        """The mixed corpus that was tokenized, found through the lineage."""
        return Corpus.open(input_of(self.path, "corpus"), self.part)


def tokenize(config: TokenizeConfig) -> TokenStore:
    """Learn or load the tokenizer, then write both parts of the corpus as tokens."""
    inputs = {"corpus": [config.corpus], "tokenizer": [config.tokenizer] if config.tokenizer else []}
    draft = Draft(kind="tokens", out=config.out, config=config, inputs=inputs, code=__name__)
    if not draft.finished():
        corpora = {part: Corpus.open(config.corpus, part) for part in PARTS}
        with draft.build() as folder:
            train = corpora["train"]
            if config.tokenizer:
                tokenizer = bpe.load_tokenizer(config.tokenizer)
            else:
                tokenizer = bpe.learn(_sample(train, config.sample_megabytes), config.vocabulary)
            write_durably(folder / "tokenizer.json", tokenizer.to_str(pretty=True).encode())
            names = sorted({str(c) for c in train.manifest.counts["components"]})
            size = tokenizer.get_vocab_size()
            dtype = "<u2" if size <= 1 << 16 else "<u4"
            for part, corpus in corpora.items():
                with progress(f"tokenizing {part}", len(corpus)) as bar:
                    written = _encode(corpus, tokenizer, folder / part, np.dtype(dtype), names, bar)
                draft.counts[f"{part}_tokens"], documents = written
                assert documents == len(corpus), f"{documents} documents tokenized of {len(corpus)}"
                draft.counts[f"{part}_documents"] = documents
            total = sum(len(c) for c in corpora.values())
            draft.counts |= {"vocabulary": size, "dtype": dtype, "components": names}
            draft.counts["documents"] = {"in": total, "out": total, "dropped": 0}
    return TokenStore.open(config.out)


def _sample(corpus: Corpus, megabytes: float) -> Iterator[str]:
    """Every k-th document, k such that about `megabytes` are read."""
    total = sum(int(f.bytes) for f in corpus.manifest.files if f.path.startswith(f"{corpus.part}/"))
    total = int(corpus.manifest.counts.get("train_bytes", total))
    stride = max(1, round(total / (megabytes * 1e6)))
    return (document.text for document in islice(corpus, 0, None, stride))


def _encode(
    corpus: Corpus, tokenizer: Tokenizer, folder: Path, dtype: np.dtype[np.unsignedinteger], names: list[str], bar: Bar
) -> tuple[int, int]:
    """Write one part; returns tokens and documents written."""
    folder.mkdir()
    end = tokenizer.token_to_id(bpe.END_OF_TEXT)
    offsets, ids, components, position = [0], [], [], 0
    with (folder / "tokens.bin").open("wb") as file:
        for documents in _batches(corpus):
            for document, encoding in zip(
                documents,
                tokenizer.encode_batch_fast([d.text for d in documents], add_special_tokens=False),
                strict=True,
            ):
                tokens = np.array([*encoding.ids, end], dtype=dtype)
                file.write(tokens.tobytes())
                position += len(tokens)
                offsets.append(position)
                ids.append(document.id.encode())
                components.append(names.index(document.meta["component"]))
            bar.advance(len(documents), f"{position:,} tokens")
    save_array(folder / "offsets.npy", np.array(offsets, dtype=np.uint64))
    save_array(folder / "document_ids.npy", np.array(ids, dtype="S32"))
    save_array(folder / "components.npy", np.array(components, dtype=np.uint8))
    return position, len(ids)


def _batches(corpus: Corpus) -> Iterator[list[Document]]:
    documents = iter(corpus)
    while batch := list(islice(documents, BATCH)):
        yield batch

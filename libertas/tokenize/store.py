"""The token store: a flat file of tokens that knows which document every token came from."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from libertas.corpus import Corpus
from libertas.errors import BrokenLineage, UsageError
from libertas.lineage.artifact import Draft, write_durably
from libertas.lineage.manifest import Manifest, read_manifest_of
from libertas.lineage.walk import input_of
from libertas.tokenize import bpe
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.parts import TASKS, encode_part
from libertas.tokenize.sample import sample_of

PARTS = ("train", "validation")
MOST_COMPONENTS = 256
"""The number of a document's component is one byte."""


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
        return bpe.load_tokenizer(self.path / bpe.TOKENIZER)

    @property
    def closing(self) -> int:
        """Id of the token that closes every document."""
        return bpe.closing_token(self.tokenizer())

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

    def source_of(self, number: int) -> tuple[str, int]:
        """The `.idx` file that a document of imported tokens came from, and its number there.

        Raises:
            UsageError: the tokens were not imported; their documents are in the corpus.
        """
        first = 0
        for source in self.manifest.counts.get("sources", ()):
            if source["part"] == self.part:
                if number < first + source["documents"]:
                    return source["file"], number - first
                first += source["documents"]
        raise UsageError(f"document {number} of {self.path} came from no .idx file; look its id up in the corpus")

    def corpus(self) -> Corpus:
        """The mixed corpus that was tokenized, found through the lineage."""
        return Corpus.open(input_of(self.path, "corpus"), self.part)


def tokenize(config: TokenizeConfig) -> TokenStore:
    """Learn or load the tokenizer, then write both parts of the corpus as tokens; what was interrupted goes on.

    Raises:
        UsageError: the corpus has no such parts or too many components, the text does not support the vocabulary, or
            the tokenizer that was named cannot be used.
    """
    beside = config.tokenizer.with_name(bpe.SETTINGS) if config.tokenizer else None
    named = [
        path for path in (config.tokenizer, beside) if path is not None and (path == config.tokenizer or path.is_file())
    ]
    inputs = {"corpus": [config.corpus], "tokenizer": named}
    draft = Draft(kind="tokens", out=config.out, config=config, inputs=inputs, code=__name__)
    if not draft.finished():
        corpora = {part: Corpus.open(config.corpus, part) for part in PARTS}
        names = sorted({str(c) for c in corpora["train"].manifest.counts["components"]})
        if len(names) > MOST_COMPONENTS:
            raise UsageError(f"{config.corpus} has {len(names)} components; expected {MOST_COMPONENTS} or fewer")
        with draft.build(resume=True) as folder:
            tokenizer = _tokenizer(config, corpora["train"], folder)
            dtype = token_dtype(bpe.vocabulary_size(tokenizer))
            for part, corpus in corpora.items():
                tokens, documents = encode_part(corpus, folder, dtype, names, config.workers, config.engine)
                draft.counts |= {f"{part}_tokens": tokens, f"{part}_documents": documents}
            shutil.rmtree(folder / TASKS)
            total = sum(len(c) for c in corpora.values())
            draft.counts |= store_counts(tokenizer, names)
            draft.counts["documents"] = {"in": total, "out": total, "dropped": 0}
    return TokenStore.open(config.out)


def _tokenizer(config: TokenizeConfig, train: Corpus, folder: Path) -> Tokenizer:
    """The tokenizer that an interrupted run left, the one that was named, or a new one."""
    path = folder / bpe.TOKENIZER
    if not path.exists():
        if config.tokenizer:
            tokenizer = bpe.load_tokenizer(config.tokenizer, config.end_of_text)
        else:
            sample = sample_of(train, config.sample_megabytes, config.shares)
            tokenizer = bpe.learn(
                sample,
                config.vocabulary,
                rule=config.splitting,
                digits=config.digits,
                special=config.special,
                total_bytes=sample.bytes,
            )
        write_tokenizer(tokenizer, folder)
    return bpe.load_tokenizer(path)


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Put a tokenizer into a folder of tokens, so that `load_tokenizer` and `transformers` find all they need."""
    write_durably(folder / bpe.SETTINGS, bpe.settings_of(tokenizer))
    write_durably(folder / bpe.TOKENIZER, tokenizer.to_str(pretty=True).encode())


def token_dtype(vocabulary: int) -> str:
    """The dtype of `tokens.bin`: two bytes for a token where they suffice."""
    return "<u2" if vocabulary <= 1 << 16 else "<u4"


def store_counts(tokenizer: Tokenizer, components: list[str]) -> dict[str, object]:
    """What a manifest of tokens says beside the numbers of tokens and documents."""
    size = bpe.vocabulary_size(tokenizer)
    return {
        "vocabulary": size,
        "dtype": token_dtype(size),
        "components": components,
        "end_of_text": bpe.closing_token(tokenizer),
    }

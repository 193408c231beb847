"""Settings of the tokenize stage, and of bringing tokens along or handing them on."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from libertas.errors import UsageError
from libertas.lineage.fingerprint import execution
from libertas.tokenize.special import special_tokens

BYTES = 256
SPACES = 23
"""Tokens of 2 to 24 spaces, which `neox` adds."""
SPLITTINGS = ("gpt2", "neox", "llama3")
MOST_SENTINELS = 1000
FILE_DTYPES = ("uint16", "int32")


@dataclass(frozen=True, kw_only=True)
class TokenizeConfig:
    """Learn a byte-level BPE vocabulary on a mixed corpus and turn its documents into tokens."""

    corpus: Path
    """Mixed corpus written by `libertas mix`."""
    out: Path
    """Token store to write."""
    vocabulary: int = 4096
    """Entries of the vocabulary, special tokens included."""
    splitting: str = "gpt2"
    """How text is cut into pieces that no token goes over: `gpt2`; `neox`, the same with normal form C and tokens for
    runs of 2 to 24 spaces; `llama3`, also GPT-4's, with numbers in groups of up to three digits."""
    digits: bool = False
    """Make each digit a token of its own."""
    padding: bool = False
    """Add a token for padding, `<|padding|>`."""
    fim: bool = False
    """Add tokens for fill-in-the-middle: `<fim_prefix>`, `<fim_middle>`, `<fim_suffix>`, `<fim_pad>`."""
    sentinels: int = 0
    """Add so many tokens for span corruption: `<extra_id_0>`, `<extra_id_1>`, ..."""
    sample_megabytes: float = 64.0
    """Megabytes of training text to learn the vocabulary from; documents are taken evenly from the corpus."""
    shares: dict[str, float] = field(default_factory=dict)
    """Share of that sample that a component should have; those not named divide the rest by their size. Without any,
    the sample is mixed as the corpus is."""
    tokenizer: Path | None = None
    """Existing `tokenizer.json` to use instead of learning one; what is said of the vocabulary is then ignored."""
    end_of_text: str | None = None
    """Name of the token that closes documents, where that tokenizer has another one than its
    `tokenizer_config.json` or its name says."""
    workers: int = execution(2)
    """Processes that encode; the tokens do not depend on it."""
    engine: str = execution("local")
    """`local`, or `ray`, which encodes in tasks of the Ray cluster that the environment names (`RAY_ADDRESS=auto`), or
    of this machine; `out` and the corpus must then lie on storage that all its machines share."""

    def __post_init__(self) -> None:
        """Refuse a vocabulary that cannot spell every byte, a sample without text, and choices that there are not."""
        if self.splitting not in SPLITTINGS:
            raise UsageError(f"splitting is {self.splitting!r}; expected {', '.join(SPLITTINGS)}; name one")
        if not 0 <= self.sentinels <= MOST_SENTINELS:
            raise UsageError(f"sentinels is {self.sentinels}; expected 0 to {MOST_SENTINELS}; T5 has 100")
        special = len(self.special)
        spaces = SPACES if self.splitting == "neox" else 0
        smallest = BYTES + special + spaces
        if self.vocabulary < smallest:
            tokens = "end of text" if special == 1 else f"{special} special tokens"
            more = f", {spaces} runs of spaces" if spaces else ""
            raise UsageError(
                f"vocabulary is {self.vocabulary}; expected at least {smallest} ({BYTES} bytes and {tokens}{more})"
            )
        if not 0 < self.sample_megabytes < math.inf:
            raise UsageError(
                f"sample_megabytes is {self.sample_megabytes}; expected a finite number above 0, such as 64"
            )
        for name, share in self.shares.items():
            if not 0 <= share <= 1:
                raise UsageError(f"shares.{name} is {share}; expected 0 to 1; the sample is 1 in all")
        if sum(self.shares.values()) > 1 + 1e-9:
            raise UsageError(f"shares sum to {sum(self.shares.values()):g}; expected 1 or less; lower some")
        if self.workers < 1:
            raise UsageError(f"workers is {self.workers}; expected 1 or more; 2 is usual")
        if self.engine not in ("local", "ray"):
            raise UsageError(f"engine is {self.engine!r}; expected local or ray; name one")

    @property
    def special(self) -> tuple[str, ...]:
        """Special tokens of a vocabulary that is learned, in the order of their ids."""
        return special_tokens(self.padding, self.fim, self.sentinels)


@dataclass(frozen=True, kw_only=True)
class ExportTokensConfig:
    """Write a token store as `.bin` and `.idx` files, which GPT-NeoX and Megatron-LM train on."""

    tokens: Path
    """Token store written by `libertas tokenize`."""
    out: Path
    """Folder of `train.bin`, `train.idx`, `validation.bin`, `validation.idx` and the tokenizer."""
    dtype: str | None = None
    """`uint16` or `int32`; by default the smallest that holds every id of the vocabulary."""

    def __post_init__(self) -> None:
        """Refuse what GPT-NeoX does not write itself."""
        if self.dtype is not None and self.dtype not in FILE_DTYPES:
            raise UsageError(f"dtype is {self.dtype!r}; expected {' or '.join(FILE_DTYPES)}; leave it out for the best")


@dataclass(frozen=True, kw_only=True)
class ImportTokensConfig:
    """Make a token store of `.bin` and `.idx` files that GPT-NeoX or Megatron-LM wrote.

    Every document has an id that follows from its file's content and its number there; the texts stay unknown.
    """

    files: tuple[Path, ...]
    """`.idx` files of the training part, each with its `.bin` beside it; they become one part, in this order."""
    tokenizer: Path
    """The `tokenizer.json` that made these tokens."""
    out: Path
    """Token store to write."""
    validation: tuple[Path, ...] = ()
    """`.idx` files of the validation part."""
    end_of_text: str | None = None
    """Name of the token that closes documents, as for `libertas tokenize`."""
    close: bool = False
    """Put that token behind documents that do not end with it; without this, they are refused."""

    def __post_init__(self) -> None:
        """Refuse to import nothing."""
        if not self.files:
            raise UsageError("files is empty; expected .idx files of GPT-NeoX or Megatron-LM; name at least one")

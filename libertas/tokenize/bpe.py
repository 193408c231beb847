"""Byte-level byte-pair encoding: learned by the `tokenizers` library, read from any `tokenizer.json` that has it."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from libertas.errors import UsageError
from libertas.terminal import Bar, progress
from libertas.tokenize import splitting
from libertas.tokenize.special import END_OF_TEXT as END_OF_TEXT
from libertas.tokenize.special import ENDS

TOKENIZER = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
"""File beside a `tokenizer.json` where `transformers` writes which token ends a text."""
CLOSING = "closing_token"
"""Where a `Tokenizer` object of ours keeps the name of its end-of-text token."""


def learn(
    texts: Iterable[str],
    vocabulary: int,
    *,
    rule: str = "gpt2",
    digits: bool = False,
    special: Sequence[str] = (END_OF_TEXT,),
    total_bytes: float | None = None,
) -> Tokenizer:
    """Learn a byte-level BPE of exactly `vocabulary` entries.

    Args:
        texts: read once, never all in memory.
        vocabulary: entries, special tokens and runs of spaces included.
        rule: one of `config.SPLITTINGS`.
        digits: whether each digit is a piece of its own.
        special: the special tokens, in the order of their ids; the first closes documents.
        total_bytes: of all texts, for the progress line.

    Raises:
        UsageError: the texts do not hold that many pairs worth merging.
    """
    tokenizer = Tokenizer(models.BPE())
    splitting.prepare(tokenizer, rule, digits)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    runs = len(splitting.RUNS_OF_SPACES) if rule == "neox" else 0
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - runs,
        min_frequency=2,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    usual = tokenizer.pre_tokenizer
    if runs:
        tokenizer.pre_tokenizer = splitting.without_runs_of_spaces(tokenizer)
    with progress("learning the vocabulary, MB", total_bytes and round(total_bytes / 1e6, 1)) as bar:
        tokenizer.train_from_iterator(_counted(texts, bar), trainer)
    if runs:
        tokenizer.pre_tokenizer = usual
        splitting.add_runs_of_spaces(tokenizer)
    size = tokenizer.get_vocab_size()
    if size < vocabulary:
        raise UsageError(
            f"vocabulary is {vocabulary} but the training text supports only {size} entries; "
            f"set vocabulary to {size} or less, or gather more text"
        )
    return _ready(tokenizer, special[0])


def _counted(texts: Iterable[str], bar: Bar) -> Iterator[str]:
    """Texts, while their megabytes are counted, and how long it will take is estimated from them."""
    started = time.monotonic()
    for text in texts:
        bar.advance(len(text.encode(errors="surrogatepass")) / 1e6)
        if bar.total and bar.done:
            left = (time.monotonic() - started) * max(0.0, bar.total / bar.done - 1)
            bar.advance(0, f"{left:,.0f} s left to read")
        yield text
    bar.advance(0, "merging pairs")


def load_tokenizer(path: Path, end_of_text: str | None = None) -> Tokenizer:
    """Read a `tokenizer.json`; ids and bytes of its tokens stay what they are.

    Args:
        path: of the file; `tokenizer_config.json` beside it is asked which token ends a text.
        end_of_text: name of that token, where it should be another one.

    Raises:
        UsageError: the file is absent or no byte-level tokenizer with an end-of-text token.
    """
    if not path.is_file():
        missing = "is a directory" if path.is_dir() else "does not exist"
        raise UsageError(f"{path} {missing}; expected a tokenizer.json")
    try:
        text = path.read_text(encoding="utf-8")
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare Exception for malformed JSON
        raise UsageError(f"{path} is not a tokenizer.json: {error}") from error
    if not _writes_bytes(orjson.loads(text)):
        raise UsageError(
            f"{path} has no ByteLevel decoder; libertas needs one to lead tokens to bytes; expected a byte-level "
            "tokenizer such as those of GPT-2, GPT-NeoX and Llama 3"
        )
    name = end_of_text or _said_end(path.with_name(SETTINGS)) or _known_end(tokenizer)
    if name is None or tokenizer.token_to_id(name) is None:
        raise UsageError(
            f"{path} has no {name or 'end-of-text'} token; libertas needs one to close documents; name it with "
            f"end_of_text, or as eos_token in {SETTINGS} beside it"
        )
    return _ready(tokenizer, name)


def _ready(tokenizer: Tokenizer, closing: str) -> Tokenizer:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # a page that spells end-of-text out does not end a document
    vars(tokenizer)[CLOSING] = closing
    return tokenizer


def _writes_bytes(made: Mapping[str, Any]) -> bool:
    decoder = made.get("decoder") or {"type": "none"}
    steps = decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]
    return [step["type"] for step in steps] == ["ByteLevel"]


def _said_end(path: Path) -> str | None:
    """What the settings beside a tokenizer call the end of a text; None if they are silent."""
    try:
        said = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path} is not JSON ({error}); mend or remove it") from error
    end = said.get("eos_token") if isinstance(said, dict) else None
    name = end.get("content") if isinstance(end, dict) else end
    return name if isinstance(name, str) else None


def _known_end(tokenizer: Tokenizer) -> str | None:
    return next((name for name in ENDS if tokenizer.token_to_id(name) is not None), None)


def closing_token(tokenizer: Tokenizer) -> int:
    """Id of the token that closes every document.

    Raises:
        UsageError: the tokenizer has none that is known.
    """
    name = vars(tokenizer).get(CLOSING) or _known_end(tokenizer)
    number = None if name is None else tokenizer.token_to_id(name)
    if number is None:
        raise UsageError(f"the tokenizer has no end-of-text token; expected one of {', '.join(ENDS)}")
    return int(number)


def vocabulary_size(tokenizer: Tokenizer) -> int:
    """One more than the largest token id; ids that no token has count, too."""
    return max(tokenizer.get_vocab().values()) + 1


def settings_of(tokenizer: Tokenizer) -> bytes:
    """A `tokenizer_config.json` that names the end-of-text token, and lets `transformers` open the folder."""
    name = tokenizer.id_to_token(closing_token(tokenizer))
    return orjson.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": name, "clean_up_tokenization_spaces": False},
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def token_bytes(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """UTF-8 bytes that each token id writes, shape (vocabulary_size,); special tokens write none.

    A byte-level token's spelling has one character per byte, so lengths add up exactly over any sequence of tokens,
    even where a character is split between two tokens. Added tokens, such as runs of spaces, are spelled as they are.
    The bytes are those of the text as the tokenizer reads it: after its normalization, if it has one, and without
    bytes that its vocabulary lacks.
    """
    lengths = np.zeros(vocabulary_size(tokenizer), dtype=np.int64)
    for spelling, number in tokenizer.get_vocab().items():
        lengths[number] = len(spelling)
    for number, token in tokenizer.get_added_tokens_decoder().items():
        lengths[number] = 0 if token.special else len(token.content.encode())
    lengths[closing_token(tokenizer)] = 0
    return lengths

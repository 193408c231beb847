"""Byte-level byte-pair encoding with GPT-2's splitting rule, learned and applied by the `tokenizers` library."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from libertas.errors import UsageError
from libertas.terminal import progress

END_OF_TEXT = "<|endoftext|>"
"""Closes every document (GPT-2's token, kept by GPT-Neo, GPT-NeoX and Pythia); always id 0 in a vocabulary of ours."""


def learn(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Learn a byte-level BPE of exactly `vocabulary` entries.

    Raises:
        UsageError: the texts do not hold that many pairs worth merging.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    with progress("learning the vocabulary") as bar:
        tokenizer.train_from_iterator(_counted(texts, bar.advance), trainer)
    tokenizer.encode_special_tokens = True  # a page that spells end-of-text out does not end a document
    size = tokenizer.get_vocab_size()
    if size < vocabulary:
        raise UsageError(
            f"vocabulary is {vocabulary} but the training text supports only {size} entries; "
            f"set vocabulary to {size} or less, or gather more text"
        )
    return tokenizer


def _counted(texts: Iterable[str], count: Callable[[float], None]) -> Iterator[str]:
    for text in texts:
        count(1)
        yield text


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`.

    Raises:
        UsageError: the file is absent or no tokenizer with an end-of-text token.
    """
    if not path.is_file():
        missing = "is a directory" if path.is_dir() else "does not exist"
        raise UsageError(f"{path} {missing}; expected a tokenizer.json")
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception for malformed JSON
        raise UsageError(f"{path} is not a tokenizer.json: {error}") from error
    if tokenizer.token_to_id(END_OF_TEXT) is None:
        raise UsageError(f"{path} has no {END_OF_TEXT} token; libertas needs one to close documents")
    if not isinstance(tokenizer.decoder, decoders.ByteLevel):
        raise UsageError(f"{path} has no ByteLevel decoder; libertas needs one to lead tokens to bytes")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def token_bytes(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """UTF-8 bytes that each token id writes; the end-of-text token writes none.

    A byte-level token's spelling has one character per byte, so lengths add up exactly over any sequence of tokens,
    even where a character is split between two tokens.
    """
    lengths = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
    for spelling, number in tokenizer.get_vocab().items():
        lengths[number] = 0 if spelling == END_OF_TEXT else len(spelling)
    return lengths

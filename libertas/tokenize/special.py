"""Tokens that stand for no text: what closes a document, and what training objectives put between its parts.

They have the first ids of a vocabulary of ours, in the order of `special_tokens`. No text is ever read as one of them:
a page that spells one out is split like any other.
"""

END_OF_TEXT = "<|endoftext|>"
"""Closes every document (GPT-2's token, kept by GPT-Neo, GPT-NeoX and Pythia); always id 0 in a vocabulary of ours."""

PADDING = "<|padding|>"
"""Fills rows up; GPT-NeoX's name, who has it as id 1."""

FILL_IN_THE_MIDDLE = ("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>")
"""Before the beginning, the middle and the end of a document for fill-in-the-middle; StarCoder's names (Li et al.
2023). SantaCoder (Ben Allal et al. 2023) has the same with a hyphen instead of the low line."""

ENDS = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>")
"""Names that published tokenizers have for the end of a text: GPT-2, Llama 3, Llama 2 and T5, Gemma."""


def sentinels(count: int) -> tuple[str, ...]:
    """Names of the tokens that stand for cut-out spans in span corruption; T5's (Raffel et al. 2020)."""
    return tuple(f"<extra_id_{number}>" for number in range(count))


def special_tokens(padding: bool, fill_in_the_middle: bool, spans: int) -> tuple[str, ...]:
    """All special tokens of a vocabulary, in the order of their ids."""
    return (
        END_OF_TEXT,
        *((PADDING,) if padding else ()),
        *(FILL_IN_THE_MIDDLE if fill_in_the_middle else ()),
        *sentinels(spans),
    )

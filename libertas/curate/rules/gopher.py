"""The rules of Gopher: Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training Gopher",
arXiv:2112.11446, appendix A.1.1 (quality) and table A1 (repetition)."""

from collections.abc import Sequence

from libertas.curate.rules.analysis import Analysis, share
from libertas.curate.rules.languages import ENGLISH, WORD_LENGTHS

BULLETS = ("•", "-", "*", "‣", "·", "●", "▪", "◦")
"""The paper does not list its bullets; `-` and `*` count here, as pages turned into plain text use them."""
ELLIPSES = ("...", "…")


def gopher_words(analysis: Analysis) -> float:
    """Number of words."""
    return analysis.words


def gopher_word_length(analysis: Analysis) -> float | None:
    """Mean characters of a word, as if it were English: the mean by the language's usual one, times that of English.

    Not asked of scripts without spaces. Languages without a figure in `WORD_LENGTHS` are taken as they are.
    """
    if analysis.is_unspaced:
        return None
    usual = WORD_LENGTHS.get(analysis.language, WORD_LENGTHS[ENGLISH])
    return share(analysis.characters, len(analysis.units)) * WORD_LENGTHS[ENGLISH] / usual


def gopher_symbols(analysis: Analysis) -> float:
    """Hash signs or ellipses per word, whichever is more."""
    text = analysis.text
    return share(max(text.count("#"), sum(text.count(e) for e in ELLIPSES)), analysis.words)


def gopher_bullet_lines(analysis: Analysis) -> float:
    """Share of lines that start with a bullet."""
    lines = analysis.lines
    return share(sum(line.startswith(BULLETS) for line in lines), len(lines))


def gopher_ellipsis_lines(analysis: Analysis) -> float:
    """Share of lines that end in an ellipsis."""
    lines = analysis.lines
    return share(sum(line.endswith(ELLIPSES) for line in lines), len(lines))


def gopher_alphabetic_words(analysis: Analysis) -> float:
    """Share of words with at least one letter; every character of a script without spaces has one."""
    counts = analysis.counts
    others = [unit for unit in counts if not unit.isalpha()]
    without = sum([counts[unit] for unit in others if not (unit[0].isalpha() or any(map(str.isalpha, unit)))])
    if analysis.unspaced:
        without -= sum(n for unit, n in counts.items() if _is_mark(unit))
    return share(len(analysis.units) - without, len(analysis.units))


def _is_mark(unit: str) -> bool:
    """Whether it is a vowel sign or the like of a script without spaces, which is part of a letter."""
    return len(unit) == 1 and not unit.isalpha() and "\u0e00" <= unit <= "\uffff" and not unit.isdigit()


def gopher_stop_words(analysis: Analysis) -> float | None:
    """How many different stop words occur: of the language's, about ten; eight for English, as in the paper."""
    found = analysis.stop_words
    return None if found is None else len(found)


def stop_word_share(analysis: Analysis) -> float | None:
    """Share of words that are stop words, which lists and gibberish have few of however long they are.

    In scripts without spaces, the share of characters in them.
    """
    found = analysis.stop_words
    if found is None:
        return None
    if analysis.is_unspaced:
        return share(sum(len(word) * count for word, count in found.items()), analysis.characters)
    return share(sum(found.values()), len(analysis.units))


def gopher_duplicate_lines(analysis: Analysis) -> float:
    """Share of lines that stand earlier in the document already."""
    return _repeated(analysis.lines)


def gopher_duplicate_paragraphs(analysis: Analysis) -> float:
    """Share of paragraphs that stand earlier in the document already."""
    return _repeated(analysis.paragraphs)


def gopher_duplicate_line_characters(analysis: Analysis) -> float:
    """Share of characters in lines that stand earlier already."""
    return repeated_characters(analysis.lines)


def gopher_duplicate_paragraph_characters(analysis: Analysis) -> float:
    """Share of characters in paragraphs that stand earlier already."""
    return repeated_characters(analysis.paragraphs)


def _repeated(parts: Sequence[str]) -> float:
    return share(len(parts) - len(set(parts)), len(parts))


def repeated_characters(parts: Sequence[str]) -> float:
    """Share of the characters of some parts that are in repetitions of earlier parts."""
    total = sum(map(len, parts))
    return share(total - sum(map(len, set(parts))), total)


def gopher_top_ngram(analysis: Analysis, n: int) -> float:
    """Share of word characters in the most frequent n-gram."""
    return analysis.repetition.top[n]


def gopher_duplicate_ngrams(analysis: Analysis, n: int) -> float:
    """Share of word characters in n-grams that stand earlier already, each character counted once."""
    return analysis.repetition.duplicate[n]

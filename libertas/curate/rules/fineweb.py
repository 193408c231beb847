"""The rules of FineWeb: Penedo et al. 2024, "The FineWeb Datasets", arXiv:2406.17557, section 3.6; newlines per word as
in its released code (`datatrove`, `FineWebQualityFilter`)."""

from libertas.curate.rules.analysis import Analysis, share
from libertas.curate.rules.gopher import repeated_characters
from libertas.curate.rules.languages import ENGLISH, STOPS, WITHOUT_STOPS, WORD_LENGTHS

SHORT_LINE = 30
"""Characters that a short line has at most, in scripts with spaces."""
LINE_ENDS = frozenset(STOPS + "\"'”’」』»")


def fineweb_line_punctuation(analysis: Analysis) -> float | None:
    """Share of lines that end in punctuation of any script; not asked where sentences end without."""
    if analysis.language in WITHOUT_STOPS:
        return None
    lines = analysis.lines
    return share(sum(line[-1] in LINE_ENDS for line in lines), len(lines))


def fineweb_short_lines(analysis: Analysis) -> float:
    """Share of lines of at most 30 characters; in scripts without spaces, of as much text as that is in English."""
    most = float(SHORT_LINE)
    if analysis.is_unspaced and analysis.words:
        most *= min(1.0, analysis.characters / analysis.words / WORD_LENGTHS[ENGLISH])
    lines = analysis.lines
    return share(sum(len(line) <= most for line in lines), len(lines))


def fineweb_duplicate_characters(analysis: Analysis) -> float:
    """Share of characters in lines that stand earlier already: 0.1 in the paper, 0.01 in the released code."""
    return repeated_characters(analysis.lines)


def fineweb_newlines(analysis: Analysis) -> float:
    """Line breaks per word."""
    return share(analysis.text.count("\n"), analysis.words)

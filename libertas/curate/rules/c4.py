"""The rules of C4: Raffel et al. 2020, "Exploring the Limits of Transfer Learning", JMLR 21(140), section 2.2, with the
numbers of its released code (`tensorflow_datasets/text/c4_utils.py`).

C4 removes lines, then pages of which too little is left. Here lines stay: the shares of those that C4 would remove are
measured, and `c4_sentences` counts what would be left. Its list of bad words is not ours to give.
"""

import re

from libertas.curate.rules.analysis import Analysis, sentence_ends, share
from libertas.curate.rules.languages import STOPS, WITHOUT_STOPS

LINE_WORDS = 5
"""Words that a line needs to stay."""
LONGEST_WORD = 1000
"""Characters; a line with a longer word goes."""
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
POLICY = re.compile("|".join(POLICIES))
TERMINAL = frozenset(STOPS.replace("…", "") + '"”」』')


def ends_sentence(line: str) -> bool:
    """Whether a line ends in terminal punctuation of any script, or a quotation mark; an ellipsis is none."""
    return line[-1] in TERMINAL and not line.endswith("...")


def c4_terminal_lines(analysis: Analysis) -> float | None:
    """Share of lines that end in terminal punctuation."""
    if analysis.language in WITHOUT_STOPS:
        return None
    lines = analysis.lines
    return share(sum(map(ends_sentence, lines)), len(lines))


def c4_javascript_lines(analysis: Analysis) -> float:
    """Share of lines with the word Javascript, which C4 takes for warnings that it should be enabled."""
    return _lines_with("javascript", analysis)


def c4_policy_lines(analysis: Analysis) -> float:
    """Share of lines that speak of cookies, privacy or terms of use."""
    if not POLICY.search(analysis.lower):
        return 0.0
    lines = analysis.lines
    return share(sum(POLICY.search(line.lower()) is not None for line in lines), len(lines))


def _lines_with(word: str, analysis: Analysis) -> float:
    if word not in analysis.lower:
        return 0.0
    return share(sum(word in line.lower() for line in analysis.lines), len(analysis.lines))


def c4_lorem_ipsum(analysis: Analysis) -> float:
    """Occurrences of the placeholder text "lorem ipsum"."""
    return analysis.lower.count("lorem ipsum")


def c4_curly_bracket(analysis: Analysis) -> float:
    """Opening curly brackets, which C4 takes for program text."""
    return analysis.text.count("{")


def c4_sentences(analysis: Analysis) -> float | None:
    """Sentences in the lines that C4 would keep.

    Such a line ends in terminal punctuation, has at least five words, none of over 1,000 characters, and speaks neither
    of Javascript nor of policies. A line of a script without spaces has as many words as `UNSPACED_WORDS` says.
    """
    if analysis.language in WITHOUT_STOPS:
        return None
    unwanted = "javascript" in analysis.lower or POLICY.search(analysis.lower) is not None
    kept = []
    for line in analysis.lines:
        if not ends_sentence(line) or analysis.words_in(line) < LINE_WORDS:
            continue
        if len(line) > LONGEST_WORD and not analysis.is_unspaced and max(map(len, line.split())) > LONGEST_WORD:
            continue
        if unwanted and ("javascript" in (lower := line.lower()) or POLICY.search(lower)):
            continue
        kept.append(line)
    return sentence_ends("\n".join(kept))

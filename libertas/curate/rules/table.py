"""Every rule with its limits: the one place where the numbers stand.

`DEFAULT_RULES` leaves out published rules that take documentation for spam. A reference page is a list of short
entries, full of signatures and literals, and a class repeats what it inherits word for word. For web pages, name the
families: `--rules gopher c4 fineweb`. A value exactly on a limit passes, also where the original would drop it.
"""

from collections.abc import Callable, Iterable
from functools import partial

from libertas.curate.rules import c4, described, fineweb, gopher, source
from libertas.curate.rules.analysis import Analysis
from libertas.curate.rules.rule import ANY, CODE, PROSE, Rule, Wanted
from libertas.errors import UsageError
from libertas.spelling import nearest

QUALITY, REPETITION = "Rae et al. 2021, A.1.1", "Rae et al. 2021, table A1"
C4, FINEWEB = "Raffel et al. 2020, 2.2", "Penedo et al. 2024, 3.6"
SANTACODER, STARCODER = "Ben Allal et al. 2023", "Li et al. 2023, 3.1"
STARCODER2 = "Lozhkov et al. 2024, 2.1"
OURS = "libertas"

Function = Callable[[Analysis], float | None]
Bound = float | None

# name -> function, low, high, unit, what the value is, source
_PROSE: dict[str, tuple[Function, Bound, Bound, str, str, str]] = {
    "gopher_words": (gopher.gopher_words, 50, 100_000, "words", "word count", QUALITY),
    "gopher_word_length": (gopher.gopher_word_length, 3, 10, "characters", "mean word length", QUALITY),
    "gopher_symbols": (gopher.gopher_symbols, None, 0.1, "per word", "symbols per word", QUALITY),
    "gopher_bullet_lines": (gopher.gopher_bullet_lines, None, 0.9, "share", "bullet lines", QUALITY),
    "gopher_ellipsis_lines": (gopher.gopher_ellipsis_lines, None, 0.3, "share", "lines ending in an ellipsis", QUALITY),
    "gopher_alphabetic_words": (gopher.gopher_alphabetic_words, 0.8, None, "share", "words with a letter", QUALITY),
    "gopher_stop_words": (gopher.gopher_stop_words, 2, None, "words", "different stop words", QUALITY),
    "gopher_duplicate_lines": (gopher.gopher_duplicate_lines, None, 0.3, "share", "duplicate lines", REPETITION),
    "gopher_duplicate_paragraphs": (
        gopher.gopher_duplicate_paragraphs, None, 0.3, "share", "duplicate paragraphs", REPETITION
    ),
    "gopher_duplicate_line_characters": (
        gopher.gopher_duplicate_line_characters, None, 0.2, "share", "characters in duplicate lines", REPETITION
    ),
    "gopher_duplicate_paragraph_characters": (
        gopher.gopher_duplicate_paragraph_characters, None, 0.2, "share", "characters in duplicate paragraphs",
        REPETITION,
    ),
    **{
        f"gopher_top_{n}gram": (
            partial(gopher.gopher_top_ngram, n=n), None, high, "share", f"characters in the most frequent {n}-gram",
            REPETITION,
        )
        for n, high in {2: 0.20, 3: 0.18, 4: 0.16}.items()
    },
    **{
        f"gopher_duplicate_{n}grams": (
            partial(gopher.gopher_duplicate_ngrams, n=n), None, high, "share", f"characters in duplicate {n}-grams",
            REPETITION,
        )
        for n, high in {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}.items()
    },
    "c4_terminal_lines": (c4.c4_terminal_lines, None, None, "share", "lines ending in terminal punctuation", C4),
    "c4_javascript_lines": (c4.c4_javascript_lines, None, None, "share", "lines about Javascript", C4),
    "c4_policy_lines": (c4.c4_policy_lines, None, None, "share", "lines about policies", C4),
    "c4_lorem_ipsum": (c4.c4_lorem_ipsum, None, 0, "occurrences", "occurrences of lorem ipsum", C4),
    "c4_curly_bracket": (c4.c4_curly_bracket, None, 0, "occurrences", "curly brackets", C4),
    "c4_sentences": (c4.c4_sentences, 3, None, "sentences", "sentences in lines that C4 keeps", C4),
    "fineweb_line_punctuation": (
        fineweb.fineweb_line_punctuation, 0.12, None, "share", "lines ending in punctuation", FINEWEB
    ),
    "fineweb_short_lines": (fineweb.fineweb_short_lines, None, 0.67, "share", "short lines", FINEWEB),
    "fineweb_duplicate_characters": (
        fineweb.fineweb_duplicate_characters, None, 0.1, "share", "characters in repeated lines", FINEWEB
    ),
    "fineweb_newlines": (fineweb.fineweb_newlines, None, 0.3, "per word", "line breaks per word", FINEWEB),
    "stop_word_share": (gopher.stop_word_share, 0.05, None, "share", "stop words", OURS),
    "perplexity": (described.perplexity, None, None, "bits per byte", "perplexity", OURS),
    "quality_classifier": (described.quality_classifier, None, None, "probability", "probability of being good", OURS),
    "math_score": (described.mathematical, None, None, "score", "math score", OURS),
    "language_confidence": (described.language_confidence, 0.65, None, "share", "confidence in the language", FINEWEB),
}  # fmt: skip
_CODE: dict[str, tuple[Function, Bound, Bound, str, str, str]] = {
    "code_longest_line": (source.code_longest_line, None, 1000, "characters", "longest line", SANTACODER),
    "code_mean_line": (source.code_mean_line, None, 100, "characters", "mean line length", SANTACODER),
    "code_alphanumeric": (source.code_alphanumeric, 0.25, None, "share", "letters and digits", SANTACODER),
    "code_comments": (source.code_comments, 0.01, 0.8, "share", "comments", SANTACODER),
    "code_alphabetic": (source.code_alphabetic, 0.25, None, "share", "letters", STARCODER2),
    "code_xml": (source.code_xml, None, 0, "declarations", "XML declarations", STARCODER),
    "code_html_text": (source.code_html_text, 0.2, None, "share", "visible text", STARCODER),
    "code_data_characters": (source.code_data_characters, 50, 5000, "characters", "data characters", STARCODER),
    "code_data_lines": (source.code_data_lines, None, 512, "lines", "data lines", STARCODER2),
    "code_lines": (source.code_lines, None, 100_000, "lines", "lines", STARCODER2),
    "code_generated": (source.code_generated, None, 0, "marks", "marks of generated files", STARCODER2),
    "code_encoded": (source.code_encoded, None, 0.5, "share", "encoded data", STARCODER2),
    "code_longest_encoded": (
        source.code_longest_encoded, None, 1024, "characters", "longest run of encoded data", STARCODER2
    ),
}  # fmt: skip
_ANY: dict[str, tuple[Function, Bound, Bound, str, str, str]] = {
    "language": (described.wanted_language, 1, None, "wanted", "language is not a wanted one", OURS),
    "allowed_license": (described.allowed_license, 1, None, "listed", "license is not an allowed one", OURS),
    "allowed_domain": (described.allowed_domain, 1, None, "listed", "domain is not an allowed one", OURS),
    "blocked_domain": (described.blocked_domain, None, 0, "listed", "domain is blocked", OURS),
    "blocked_url": (described.blocked_url, None, 0, "listed", "address is blocked", OURS),
    "opt_out": (described.opted_out, None, 0, "signals", "signals against use", OURS),
}
YES_OR_NO = frozenset({"wanted", "listed"})
"""Units of rules whose reason needs no number."""

RULES: dict[str, Rule] = {
    name: Rule(
        name=name,
        function=function,
        low=low,
        high=high,
        unit=unit,
        about=about,
        source=origin,
        applies=applies,
        verdict=about if unit in YES_OR_NO else "",
    )
    for applies, rows in ((ANY, _ANY), (PROSE, _PROSE), (CODE, _CODE))
    for name, (function, low, high, unit, about, origin) in rows.items()
}
"""By name, in the order in which they are asked; the first that speaks against a document is the one that counts."""

NEEDS = {
    "language": "languages",
    "allowed_license": "licenses",
    "allowed_domain": "allow_domains",
    "blocked_domain": "block_domains",
    "blocked_url": "block_urls",
    "perplexity": "perplexity_model",
    "quality_classifier": "classifier",
}
"""Rules that are asked exactly when the setting is given that they need."""

UNFIT_FOR_REFERENCE_PAGES = frozenset(
    {
        "gopher_duplicate_lines",
        "gopher_duplicate_paragraphs",
        "gopher_duplicate_line_characters",
        "gopher_duplicate_paragraph_characters",
        *(f"gopher_duplicate_{n}grams" for n in (5, 6, 7, 8, 9, 10)),
        "c4_terminal_lines",
        "c4_javascript_lines",
        "c4_policy_lines",
        "c4_curly_bracket",
        "c4_sentences",
        "fineweb_line_punctuation",
        "fineweb_short_lines",
        "fineweb_duplicate_characters",
        "fineweb_newlines",
    }
)
LEFT_TO_THE_USER = frozenset({"opt_out", "language_confidence", "stop_word_share"})
DEFAULT_RULES = tuple(n for n in RULES if n not in UNFIT_FOR_REFERENCE_PAGES | LEFT_TO_THE_USER | NEEDS.keys())
FAMILIES: dict[str, tuple[str, ...]] = {
    "default": DEFAULT_RULES,
    "all": tuple(name for name in RULES if name not in NEEDS),
    **{f: tuple(n for n in RULES if n.startswith(f"{f}_")) for f in ("gopher", "c4", "fineweb", "code")},
}
"""Words that stand for several rules."""


def chosen_rules(names: Iterable[str], wanted: Wanted) -> tuple[Rule, ...]:
    """The rules of some names and families, and those that the user's other settings ask for, in the table's order.

    Raises:
        UsageError: there is no such rule, or a setting that it needs is absent.
    """
    asked = {rule for rule, setting in NEEDS.items() if getattr(wanted, setting)}
    for name in names:
        if name in NEEDS and name not in asked:
            raise UsageError(f"rules: {name} needs {NEEDS[name]}; give --{NEEDS[name].replace('_', '-')}")
        if name not in RULES and name not in FAMILIES:
            raise UsageError(f"rules: there is no rule {name!r}; {nearest(name, [*RULES, *FAMILIES])}")
        asked.update(FAMILIES.get(name, (name,)))
    return tuple(rule for name, rule in RULES.items() if name in asked)

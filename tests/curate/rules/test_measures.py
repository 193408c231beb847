"""Each rule's value counted by hand."""

from pathlib import Path

import pytest

from libertas.curate.rules.analysis import Analysis
from libertas.curate.rules.rule import CODE, PROSE, Wanted
from libertas.curate.rules.table import DEFAULT_RULES, RULES
from libertas.document import Document

PYTHON = {"content_type": "text/x-python; charset=utf-8"}


def value(rule: str, text: str, wanted: Wanted | None = None, **meta: object) -> float | None:
    return RULES[rule].function(Analysis(Document("0" * 32, text, meta), wanted))


def reason(rule: str, text: str, **meta: object) -> str | None:
    found = value(rule, text, **meta)
    return None if found is None else RULES[rule].reason(found)


def words(count: int) -> str:
    return " ".join(f"word{n}" for n in range(count))


@pytest.mark.parametrize(
    ("rule", "text", "expected", "why"),
    [
        ("gopher_words", words(49), 49, "word count below 50"),
        ("gopher_words", words(50), 50, None),
        ("gopher_words", "a " * 100_001, 100_001, "word count above 100000"),
        ("gopher_word_length", "ab ab ab", 2.0, "mean word length below 3"),
        ("gopher_word_length", "abcd ab", 3.0, None),
        ("gopher_word_length", "abcdefghijkl", 12.0, "mean word length above 10"),
        ("gopher_symbols", "# one # two", 0.5, "symbols per word above 0.1"),
        ("gopher_symbols", "one ... two… three four", 0.4, "symbols per word above 0.1"),
        ("gopher_bullet_lines", "- a\n\n• b", 1.0, "share of bullet lines above 0.9"),
        ("gopher_bullet_lines", "- a\nb", 0.5, None),
        ("gopher_ellipsis_lines", "more...\nall\nread on…\nend", 0.5, "share of lines ending in an ellipsis above 0.3"),
        ("gopher_alphabetic_words", "a 1 2 3", 0.25, "share of words with a letter below 0.8"),
        ("gopher_alphabetic_words", "a b c d 1", 0.8, None),
        ("gopher_alphabetic_words", "(b2), ---", 0.5, "share of words with a letter below 0.8"),
        ("gopher_stop_words", "The the THE", 1, "different stop words below 2"),
        ("gopher_stop_words", 'He said "the end", of it', 2, None),
        ("stop_word_share", "The end of it, of all", 0.5, None),
        ("gopher_duplicate_lines", "x\nx\n\ny", 1 / 3, "share of duplicate lines above 0.3"),
        ("gopher_duplicate_line_characters", "abcd\nab\nabcd", 0.4, "share of characters in duplicate lines above 0.2"),
        ("gopher_duplicate_paragraphs", "x\n\nx\n\ny\n\nz", 0.25, None),
        ("gopher_duplicate_paragraphs", "x\n\nx", 0.5, "share of duplicate paragraphs above 0.3"),
        (
            "gopher_duplicate_paragraph_characters",
            "abc\n\nd\n\nabc",
            3 / 7,
            "share of characters in duplicate paragraphs",
        ),
        # "ab cd" occurs twice: 2 * 4 of 13 characters
        ("gopher_top_2gram", "ab cd efghi ab cd", 8 / 13, "share of characters in the most frequent 2-gram above 0.2"),
        ("gopher_top_2gram", "all words differ here", 0.0, None),
        ("gopher_top_3gram", "a b", 0.0, None),
        (
            "gopher_duplicate_5grams",
            "a b c d e x a b c d e y",
            5 / 12,
            "share of characters in duplicate 5-grams above",
        ),
        ("c4_lorem_ipsum", "Lorem ipsum dolor", 1, "occurrences of lorem ipsum above 0"),
        ("c4_curly_bracket", "if (x) { y }", 1, "curly brackets above 0"),
        ("c4_terminal_lines", 'One.\n"Two"\nThree...\nFour\nFive!', 0.6, None),
        ("c4_javascript_lines", "Please enable JavaScript.\nText.", 0.5, None),
        ("c4_policy_lines", "This site uses Cookies.\nText.\nPrivacy policy\nEnd.", 0.5, None),
        (
            "c4_sentences",
            "A line of five words. And one more!\nToo short.\nA line that has no end",
            2,
            "sentences in lines",
        ),
        (
            "c4_sentences",
            "We use cookies on this site.\nThis is not javascript at all.",
            0,
            "sentences in lines that C4 keeps",
        ),
        ("c4_sentences", f"one two three four {'x' * 1001}.", 0, "sentences in lines that C4 keeps below 3"),
        ("fineweb_line_punctuation", "Home\nAbout\nEnd.", 1 / 3, None),
        ("fineweb_line_punctuation", "Home\nAbout", 0.0, "share of lines ending in punctuation below 0.12"),
        ("fineweb_short_lines", "short\n" * 3 + "x" * 31, 0.75, "share of short lines above 0.67"),
        ("fineweb_duplicate_characters", "abc\nabc\nabcd", 0.3, "share of characters in repeated lines above 0.1"),
        ("fineweb_newlines", "one\ntwo\nthree four", 0.5, "line breaks per word above 0.3"),
        ("code_longest_line", "x" * 1001, 1001, "longest line above 1000"),
        ("code_mean_line", "x" * 202 + "\n\n", 101.0, "mean line length above 100"),
        ("code_mean_line", "x" * 200 + "\n\n", 100.0, None),
        ("code_alphanumeric", "a1......", 0.25, None),
        ("code_alphanumeric", "a....", 0.2, "share of letters and digits below 0.25"),
        ("code_alphabetic", "a12...", 1 / 6, "share of letters below 0.25"),
        ("code_lines", "x\n" * 7, 7, None),
        (
            "code_generated",
            "#!/bin/sh\n# This file is automatically generated.\n",
            1,
            "marks of generated files above 0",
        ),
        ("code_generated", "\n" * 5 + "# auto-generated", 0, None),
        ("code_encoded", 'x = "' + "Ab0+" * 32 + '"\n' + "_ " * 60 + "_", 0.5, None),
        ("code_longest_encoded", "0x1f, " * 200, 1200, "longest run of encoded data above 1024"),
        ("code_longest_encoded", "\\u00e4" * 200, 1200, "longest run of encoded data above 1024"),
    ],
)
def test_a_rule_gives_the_value_counted_by_hand(rule: str, text: str, expected: float, why: str | None) -> None:
    assert value(rule, text) == pytest.approx(expected)
    said = reason(rule, text)
    assert said is None if why is None else said is not None and said.startswith(why)


@pytest.mark.parametrize(
    ("language", "source", "comments"),
    [
        ("python", '"""ab"""\nx = 1  # cd\n', 8 + 4),
        ("c", "/* a */ b // c", 7 + 4),
        ("sql", "-- a\nSELECT 1", 4),
        ("tex", "a % b\n", 3),
        ("html", "<p>a</p><!-- b -->", 10),
        ("c", "x /* never closed", 15),
    ],
)
def test_comments_look_as_they_do_in_the_language(language: str, source: str, comments: int) -> None:
    assert value("code_comments", source, programming_language=language) == pytest.approx(comments / len(source))
    assert value("code_comments", source, content_type=f"text/x-source-{language}") == pytest.approx(
        comments / len(source)
    )


def test_a_page_without_enough_visible_text_is_all_markup() -> None:
    page = f"<html><style>p {{}}</style><script>if (a < b) {{}}</script><!-- x --><p>{'text ' * 30}</p></html>"
    assert value("code_html_text", page, programming_language="HTML") == pytest.approx(149 / len(page))
    assert value("code_html_text", "<p>text</p>", programming_language="HTML") == 0.0
    assert value("code_html_text", page, **PYTHON) is None


def test_rules_about_formats_ask_only_those() -> None:
    data = '{"a": 1}\n' * 600
    assert value("code_data_lines", data, programming_language="JSON") == 600
    assert value("code_data_characters", data, programming_language="JSON") == 5400
    assert value("code_longest_line", data, programming_language="JSON") is None
    assert value("code_data_lines", data, **PYTHON) is None
    assert value("code_xml", '<?xml version="1.0"?>', programming_language="XML") is None
    assert value("code_xml", '<?xml version="1.0"?>', **PYTHON) == 1.0


@pytest.mark.parametrize("rule", sorted(set(RULES) - {"perplexity", "quality_classifier"}))
def test_no_rule_fails_on_an_empty_text_or_on_one_of_spaces(rule: str) -> None:
    for text in ("", " \n\t\u3000\n"):
        found = value(rule, text, Wanted(languages=("en",)))
        assert found in (0.0, None) or (text and rule in ("code_lines", "code_longest_line", "code_mean_line"))


@pytest.mark.parametrize(
    ("kind", "is_code"),
    [
        ("text/x-python", True),
        ("text/x-c; charset=utf-8", True),
        ("TEXT/JavaScript", True),
        ("text/html", False),
        ("text/x-rst", False),
        ("", False),
    ],
)
def test_content_type_decides_which_rules_apply(kind: str, is_code: bool) -> None:
    assert Analysis(Document("0" * 32, "", {"content_type": kind})).is_code is is_code
    assert {RULES[n].applies for n in DEFAULT_RULES} == {PROSE, CODE}


def test_default_rules_judge_reference_pages_but_not_by_their_short_repeated_lines() -> None:
    page = "\n".join(
        ["class Box(object)", "Methods defined here:"]
        + [f"take_{n}(self) -> {{key{n}: value{n}}}\nThe item{n} to take and have{n}, if any{n}." for n in range(9)]
        + [f"inherited{n}(self)\nReturn what{n} the base{n} returns." for n in range(6)] * 3
    )
    against = {name for name, rule in RULES.items() if rule.applies == PROSE and reason(name, page)}
    assert {"c4_curly_bracket", "gopher_duplicate_lines", "fineweb_duplicate_characters"} < against
    assert not against & set(DEFAULT_RULES)


def test_only_wanted_languages_stay_and_an_unknown_one_is_not_wanted() -> None:
    def wanted(*languages: str, **meta: object) -> float | None:
        return value("language", "text", Wanted(languages=languages), **meta)

    assert wanted("en", "de", language="de") == 1.0
    assert wanted("en", "de", language="fr") == 0.0
    assert wanted("en") == 0.0
    assert wanted("und") == 1.0
    assert wanted("zh", language="zh-Hans") == 1.0
    assert wanted("zh-Hans", language="zh-Hant") == 0.0
    assert wanted("zh-Hans", language="zh") == 0.0
    assert wanted("zh", language="zha") == 0.0
    assert wanted("en", language="code", **PYTHON) is None


def test_what_is_known_of_a_document_is_a_value_and_what_is_not_is_none() -> None:
    assert value("math_score", "", math_score=0.7) == 0.7
    assert value("math_score", "") is None
    assert value("language_confidence", "", language_confidence=0.9) == 0.9
    assert value("opt_out", "", opt_out=["meta robots: noai", "tdm"]) == 2
    assert RULES["opt_out"].reason(1) == "signals against use above 0"
    assert value("opt_out", "") == 0


@pytest.mark.parametrize("odd", [None, 7, 0.5, True, "", "x", "\ud800", [], ["a", 1], {"a": None}])
def test_metadata_of_any_kind_is_no_error(odd: object, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("example.org\n")
    wanted = Wanted(languages=("en",), licenses=("MIT",), allow_domains=listed, block_domains=listed, block_urls=listed)
    keys = ("language", "license", "url", "opt_out", "math_score", "language_confidence", "programming_language")
    for kind in ("text/x-python", odd):
        analysis = Analysis(Document("0" * 32, "A text.", {**dict.fromkeys(keys, odd), "content_type": kind}), wanted)
        assert all(isinstance(rule.function(analysis), float | int | None) for rule in RULES.values())


def test_hostile_texts_take_linear_time() -> None:
    """Each of these takes minutes where a pattern backtracks over the whole text."""
    many = 200_000
    for text in ("<script " * many, "<!--" * many, '"' * many, "a" * many, "0x1f," * 7 + " " * many, "\n" * many):
        analysis = Analysis(Document("0" * 32, text, {"programming_language": "html"}))
        assert all(isinstance(rule.function(analysis), float | int | None) for rule in RULES.values())

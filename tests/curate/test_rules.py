import pytest

from libertas.curate.config import CurateConfig, MixConfig
from libertas.curate.rules import CODE, DEFAULT_RULES, PROSE, RULES, Verdict, applicable, language_verdict
from libertas.document import Document
from libertas.errors import UsageError

PYTHON = {"content_type": "text/x-python; charset=utf-8"}


def judge(rule: str, text: str, **meta: object) -> Verdict:
    return RULES[rule](Document("0" * 32, text, meta))


def words(count: int) -> str:
    return " ".join(f"word{n}" for n in range(count))


@pytest.mark.parametrize(
    ("rule", "text", "value", "reason"),
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
        ("gopher_stop_words", "The the THE", 1, "different stop words below 2"),
        ("gopher_stop_words", "the end of it", 2, None),
        ("gopher_duplicate_lines", "x\nx\n\ny", 1 / 3, "share of duplicate lines above 0.3"),
        ("gopher_duplicate_paragraphs", "x\n\nx\n\ny\n\nz", 0.25, None),
        ("gopher_duplicate_paragraphs", "x\n\nx", 0.5, "share of duplicate paragraphs above 0.3"),
        # "ab cd" occurs twice: 2 * 4 of 13 characters
        ("gopher_top_2gram", "ab cd efghi ab cd", 8 / 13, "characters in the most frequent 2-gram above 0.2"),
        ("gopher_top_2gram", "all words differ here", 0.0, None),
        ("gopher_top_3gram", "a b", 0.0, None),
        ("c4_lorem_ipsum", "Lorem ipsum dolor", 1, "occurrences of lorem ipsum above 0"),
        ("c4_curly_bracket", "if (x) { y }", 1, "curly brackets above 0"),
        ("fineweb_line_punctuation", "Home\nAbout\nEnd.", 1 / 3, None),
        ("fineweb_line_punctuation", "Home\nAbout", 0.0, "share of lines ending in punctuation below 0.12"),
        ("fineweb_short_lines", "short\n" * 3 + "x" * 31, 0.75, "share of short lines above 0.67"),
        ("fineweb_duplicate_characters", "abc\nabc\nabcd", 0.3, "share of characters in duplicate lines above 0.1"),
        ("code_longest_line", "x" * 1001, 1001, "longest line above 1000"),
        ("code_mean_line", "x" * 202 + "\n\n", 101.0, "mean line length above 100"),
        ("code_mean_line", "x" * 200 + "\n\n", 100.0, None),
        ("code_alphanumeric", "ab......", 0.25, None),
        ("code_alphanumeric", "a....", 0.2, "share of letters and digits below 0.25"),
    ],
)
def test_a_rule_gives_the_value_counted_by_hand(rule: str, text: str, value: float, reason: str | None) -> None:
    verdict = judge(rule, text)
    assert verdict.value == pytest.approx(value)
    assert verdict.reason == reason


def test_comments_are_hash_comments_and_docstrings_in_python_and_slash_comments_elsewhere() -> None:
    source = '"""ab"""\nx = 1  # cd\n'
    assert judge("code_comments", source, **PYTHON).value == pytest.approx((8 + 4) / len(source))
    assert judge("code_comments", source, content_type="text/x-c").value == 0.0
    assert judge("code_comments", "/* a */ b // c", content_type="text/x-c").value == pytest.approx(11 / 14)
    assert judge("code_comments", "x = 1\n" * 50, **PYTHON).reason == "share of comments below 0.01"


@pytest.mark.parametrize("rule", sorted(RULES))
def test_no_rule_fails_on_an_empty_text(rule: str) -> None:
    assert judge(rule, "").value == 0.0


def test_stop_words_are_asked_of_english_only() -> None:
    assert judge("gopher_stop_words", "der die das", language="de").reason is None


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("text/x-python", CODE),
        ("text/x-c; charset=utf-8", CODE),
        ("TEXT/JavaScript", CODE),
        ("text/html", PROSE),
        ("text/x-rst", PROSE),
        ("", PROSE),
    ],
)
def test_content_type_decides_which_rules_apply(kind: str, expected: dict[str, object]) -> None:
    assert applicable(Document("0" * 32, "", {"content_type": kind}), RULES) == expected


def test_only_wanted_languages_stay_and_an_unknown_one_is_not_wanted() -> None:
    def verdict(**meta: object) -> Verdict:
        return language_verdict(Document("0" * 32, "", meta), ("en", "de"))

    assert verdict(language="de") == Verdict(1.0)
    assert verdict(language="fr") == Verdict(0.0, "language is fr, not en or de")
    assert verdict() == Verdict(0.0, "language is und, not en or de")


def test_a_wanted_language_takes_its_scripts_too_but_no_language_that_begins_alike() -> None:
    def verdict(wanted: str, **meta: object) -> Verdict:
        return language_verdict(Document("0" * 32, "", meta), (wanted,))

    assert verdict("zh", language="zh-Hans") == Verdict(1.0)
    assert verdict("zh-Hans", language="zh-Hant").reason == "language is zh-Hant, not zh-Hans"
    assert verdict("zh-Hans", language="zh").value == 0.0
    assert verdict("zh", language="zha").value == 0.0
    assert verdict("und") == Verdict(1.0)


def test_default_rules_judge_reference_pages_but_not_by_their_short_repeated_lines() -> None:
    page = "\n".join(
        ["class Box(object)", "Methods defined here:"]
        + [f"take_{n}(self) -> {{key{n}: value{n}}}\nThe item{n} to take and have{n}, if any{n}." for n in range(9)]
        + [f"inherited{n}(self)\nReturn what{n} the base{n} returns." for n in range(6)] * 3
    )
    against = {name for name in RULES if name in PROSE and judge(name, page).reason}
    assert against == {"c4_curly_bracket", "gopher_duplicate_lines", "fineweb_duplicate_characters"}
    assert not against & set(DEFAULT_RULES)


def test_config_errors_name_the_value_and_the_next_step(tmp_path) -> None:
    a, out = tmp_path / "a", tmp_path / "out"
    with pytest.raises(UsageError, match="no rule 'gopher_word'; did you mean 'gopher_words'"):
        CurateConfig(corpora=(a,), out=out, rules=("gopher_word",))
    with pytest.raises(UsageError, match=r"near_duplicate_similarity is 1\.5"):
        CurateConfig(corpora=(a,), out=out, near_duplicate_similarity=1.5)
    with pytest.raises(UsageError, match="libertas gather"):
        CurateConfig(corpora=(), out=out)
    with pytest.raises(UsageError, match="twice"):
        MixConfig(corpora=(a, a), out=out)
    with pytest.raises(UsageError, match="web has -1"):
        MixConfig(corpora=(a,), out=out, weights={"web": -1})
    with pytest.raises(UsageError, match="validation is 1"):
        MixConfig(corpora=(a,), out=out, validation=1.0)

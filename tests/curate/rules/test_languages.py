"""The rules beyond English: the same amount of text is as many words, and every script's sentences end."""

import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from libertas.curate.rules.analysis import Analysis, sentence_ends
from libertas.curate.rules.languages import STOP_WORDS_BY_LANGUAGE, WITHOUT_STOPS, base_language
from libertas.curate.rules.table import RULES
from libertas.document import Document

CODES = """
    af ar az-Latn be bg bn bs-Latn ca cs cy da de-1996 el-monoton en eo es et eu fa fi fr ga gl gu he hi hr hu hy id is
    it ja ka kk km kn ko la lo lt lv mk mn-Cyrl mr my nb ne nl nn pa pl ps pt-PT ro ru si sk sl so sr-Cyrl sr-Latn sv
    sw ta te tg th tl tr uk ur uz-Latn vi zh zh-Hant
"""
LANGUAGES = CODES.split()
HAN = [chr(code) for code in range(0x4E00, 0x9FA5)]


def judged(text: str, language: str) -> Callable[[str], str | None]:
    analysis = Analysis(Document("0" * 32, text, {"language": language}))

    def reason(rule: str) -> str | None:
        value = RULES[rule].function(analysis)
        return None if value is None else RULES[rule].reason(value)

    return reason


@pytest.fixture(scope="module")
def declaration(shared_data: Path) -> dict[str, list[str]]:
    """Paragraphs of the Universal Declaration of Human Rights by language; of dialects, the one without a surname."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for line in (shared_data / "lid" / "udhr-dev.jsonl").read_bytes().splitlines():
        row = orjson.loads(line)
        found[row["bcp47"]][row["name"]].append(row["text"])
    return {language: texts[min(texts, key=len)] for language, texts in found.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_clean_text_passes(language: str, declaration: dict[str, list[str]]) -> None:
    reason = judged("\n".join(declaration[language]), language)
    against = {
        name: reason(name) for name in RULES if name.startswith(("gopher", "stop", "fineweb", "c4")) and reason(name)
    }
    assert against == {}


def gibberish(text: str, language: str) -> str:
    """A text of random letters of its language, with words, lines and punctuation where they were."""
    letters = HAN if language in ("ja", "zh", "zh-Hant") else sorted({c for c in text.lower() if c.isalpha()})
    draw = random.Random(language)
    return "".join(draw.choice(letters) if c.isalpha() else c for c in text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_gibberish_has_too_small_a_share_of_stop_words(language: str, declaration: dict[str, list[str]]) -> None:
    assert judged(gibberish("\n".join(declaration[language]), language), language)("stop_word_share")


def test_short_gibberish_has_too_few_different_stop_words(declaration: dict[str, list[str]]) -> None:
    short = {language: gibberish("\n".join(declaration[language][:8]), language) for language in LANGUAGES}
    assert sum(judged(text, language)("gopher_stop_words") is not None for language, text in short.items()) >= 50


@pytest.mark.parametrize("language", [x for x in LANGUAGES if base_language(x) not in WITHOUT_STOPS])
def test_a_list_of_headings_does_not_pass_for_sentences(language: str, declaration: dict[str, list[str]]) -> None:
    text = "\n".join(declaration[language])
    pieces = [text[i : i + 20].replace("\n", " ").strip(" .!?।။។。؟۔;,:") for i in range(0, len(text), 20)]
    reason = judged("\n".join(p for p in pieces if p[-1:].isalnum()), language)
    assert reason("fineweb_line_punctuation")
    assert reason("c4_sentences")


@pytest.mark.parametrize("language", ["zh", "ja", "th", "lo", "km", "my", "de-1996", "ru", "hi", "ko", "vi", "bo"])
def test_the_same_text_has_about_as_many_words_in_every_language(
    language: str, declaration: dict[str, list[str]]
) -> None:
    def words(name: str) -> float:
        return Analysis(Document("0" * 32, "\n".join(declaration[name]), {"language": name})).words

    assert words("en") / 2.2 < words(language) < words("en") * 2.2


def test_units_are_words_and_characters_of_scripts_without_spaces() -> None:
    def units(text: str) -> list[str]:
        return Analysis(Document("0" * 32, text, {})).units

    assert units("Zwei Wörter, drei.") == ["Zwei", "Wörter,", "drei."]
    assert units("我用 Python 3 写，好。") == ["我", "用", "Python", "3", "写", "好"]
    assert units("བོད་སྐད་ཡིག") == ["བོད", "སྐད", "ཡིག"]
    assert units("ሰላም፡ለዓለም") == ["ሰላም", "ለዓለም"]


def test_words_of_chinese_are_characters_by_what_a_word_takes() -> None:
    analysis = Analysis(Document("0" * 32, "人人生而自由 and free", {"language": "zh"}))
    assert analysis.words == pytest.approx(6 / 1.6 + 2)
    kana = Analysis(Document("0" * 32, "すべての人間", {"language": "ja"}))
    assert kana.words == pytest.approx(6 / 2.2)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three? 3.14 e.g.x", 3),
        ('He said "Go." Then left...', 2),
        ("一。二！三？", 3),
        ("एक। दो॥", 2),
        ("واحد؟ اثنان۔", 2),
        ("Մեկ։ Երկու։", 2),
        ("មួយ។ ពីរ៕", 2),
        ("တစ်။ နှစ်။", 2),
        ("አንድ። ሁለት፧", 2),
        ("བོད། ཡིག༎", 2),
        ("Τι;\u037e Ναι.", 2),
        ("ꦲ꧉", 1),
        ("᠊᠃", 1),
        ("no end", 0),
    ],
)
def test_sentences_end_in_every_script(text: str, count: int) -> None:
    assert sentence_ends(text) == count


def test_a_language_without_a_list_or_without_stops_is_not_asked() -> None:
    text = Document("0" * 32, "buhay ay langis " * 30, {"language": "ilo"})
    assert RULES["gopher_stop_words"].function(Analysis(text)) is None
    thai = Document("0" * 32, "ทุกคนมีสิทธิ", {"language": "th"})
    assert RULES["fineweb_line_punctuation"].function(Analysis(thai)) is None
    assert RULES["gopher_word_length"].function(Analysis(thai)) is None


def test_every_list_has_at_least_eight_words_as_the_paper_has() -> None:
    assert len(STOP_WORDS_BY_LANGUAGE) >= 25
    for language, listed in STOP_WORDS_BY_LANGUAGE.items():
        assert len(set(listed.split())) >= 8, language
        assert len(set(listed.split())) == len(listed.split()), language

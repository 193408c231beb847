"""What is found in a text, of which kind and exactly where; and what is not."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from making import text as made_up

from libertas.curate.contamination import grams
from libertas.curate.contamination.items import EvaluationItem
from libertas.curate.contamination.match import Found, find_items
from libertas.curate.contamination.probe import Probe, make_probe

QUESTION = (
    "A farmer in Uppsala stores 27 barrels of pickled herring in a cellar. Every winter morning she sells three "
    "barrels to a baker and rolls one barrel downhill. How many barrels remain after five mornings?"
)
ANSWER = "She loses 3 + 1 = 4 barrels each morning, so 27 - 5 * 4 = 7 barrels remain in the cellar."
ITEM = EvaluationItem("t", "1", QUESTION, (), (ANSWER,))
BEFORE, AFTER = made_up(1, 300) + "\n", "\n" + made_up(2, 300)


def probe_of(folder: Path, *items: EvaluationItem) -> Probe:
    return make_probe(folder / "probe", [items], [])


def found_in(text: str, folder: Path, *items: EvaluationItem) -> list[Found]:
    return list(find_items([text], probe_of(folder, *items)))


def test_a_question_is_found_with_its_answer_to_the_character(tmp_path: Path) -> None:
    [found] = found_in(f"{BEFORE}{QUESTION}\n\n{ANSWER}{AFTER}", tmp_path, ITEM)
    assert (found.kind, found.coverage, found.words) == ("with_answer", 1.0, 35)
    assert f"{BEFORE}{QUESTION}\n\n{ANSWER}{AFTER}"[found.start : found.end] == f"{QUESTION}\n\n{ANSWER}"[:-1]


def test_a_question_alone_and_an_answer_alone_are_told_apart(tmp_path: Path) -> None:
    [found] = found_in(f"{BEFORE}{QUESTION}{AFTER}", tmp_path, ITEM)
    assert found.kind == "question"
    assert found_in(f"{BEFORE}{ANSWER}{AFTER}", tmp_path, ITEM) == []


def test_an_answer_far_away_is_not_with_the_question(tmp_path: Path) -> None:
    [found] = found_in(f"{QUESTION}{AFTER}\n{ANSWER}", tmp_path, ITEM)
    assert found.kind == "question"


def test_part_of_a_passage_is_a_passage(tmp_path: Path) -> None:
    passage = (
        made_up(3, 30) + " The herring trade of Uppsala collapsed because salted butter became cheaper than brine."
    )
    item = EvaluationItem("t", "1", "Why did it collapse?", ("War", "Butter"), ("Butter",), passage)
    [found] = found_in(f"{BEFORE}{passage[-87:]}{AFTER}", tmp_path, item)
    assert (found.kind, found.words) == ("passage", 13)
    [found] = found_in(f"{BEFORE}{passage}\nWhy did it collapse?\nA) War\nB) Butter{AFTER}", tmp_path, item)
    assert found.kind == "with_answer"


def test_thirteen_words_in_a_row_are_a_passage_and_twelve_are_nothing(tmp_path: Path) -> None:
    words = QUESTION.split()
    [found] = found_in(f"{BEFORE}{' '.join(words[2:15])}{AFTER}", tmp_path, ITEM)
    assert (found.kind, found.words) == ("passage", 13)
    assert found_in(f"{BEFORE}{' '.join(words[2:14])}{AFTER}", tmp_path, ITEM) == []


def test_seven_tenths_of_a_question_are_the_question(tmp_path: Path) -> None:
    words = QUESTION.split()  # 35
    for kept, kinds in ((25, ["question"]), (24, [])):  # 0.714 and 0.686, of which no 13 stand in a row
        text = f"{BEFORE}{' '.join(words[:12])} herring herring {' '.join(words[35 - kept + 12 :])}{AFTER}"
        assert [f.kind for f in found_in(text, tmp_path, ITEM)] == kinds


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda s: s.replace(" ", " \n\t "),
        lambda s: s.replace(",", "").replace(".", " -- ").replace("?", "!!"),
        lambda s: s.replace("barrels", "*barrels*").replace("'", "’"),
        lambda s: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in s),  # full width
    ],
)
def test_case_spaces_and_punctuation_do_not_matter(tmp_path: Path, change) -> None:
    [found] = found_in(f"{BEFORE}{change(QUESTION)}{AFTER}", tmp_path, ITEM)
    assert (found.kind, found.coverage) == ("question", 1.0)


def test_short_questions_are_found_whole_if_they_say_enough(tmp_path: Path) -> None:
    items = [
        EvaluationItem("t", "told", "Who should Derek hug after shocking Richard?"),
        EvaluationItem("t", "three words", "Derek hugged Richard."),
        EvaluationItem("t", "by its choices", "Ducks swim?", ("because paddles propel mallards quickly", "never")),
    ]
    for item in items:
        parts = "\n".join((item.question, *(f"({c}) {text}" for c, text in zip("ab", item.choices, strict=False))))
        found = found_in(f"{BEFORE}{parts}{AFTER}", tmp_path, *items)
        assert [items[f.item].id for f in found] == ([] if item.id == "three words" else [item.id])
    assert found_in(f"{BEFORE}Who should Derek hug after shocking Thomas?{AFTER}", tmp_path, *items) == []
    assert probe_of(tmp_path, *items).told().tolist() == [True, False, True]


def test_phrases_of_many_items_are_no_evidence(tmp_path: Path) -> None:
    phrase = (
        "Which of the following statements about the nineteenth century economy is the best supported by evidence on"
    )
    nouns = ["rail", "coal", "wool", "salt", "iron", "silk", "rice", "corn", "fish", "hemp", "peat"]
    items = [EvaluationItem("t", noun, f"{phrase} {noun}?") for noun in nouns]
    assert found_in(f"{BEFORE}{phrase} tin?{AFTER}", tmp_path, *items) == []
    assert len(found_in(f"{BEFORE}{phrase} tin?{AFTER}", tmp_path, *items[:10])) == 10


def test_an_item_that_comes_often_is_one_item(tmp_path: Path) -> None:
    items = [EvaluationItem("t", str(n), QUESTION) for n in range(20)]
    assert len(found_in(f"{BEFORE}{QUESTION}{AFTER}", tmp_path, *items)) == 20


def test_two_copies_far_apart_are_two_overlaps(tmp_path: Path) -> None:
    text = f"{QUESTION}{AFTER}\n{QUESTION}"
    first, second = found_in(text, tmp_path, ITEM)
    assert (text[first.start : first.end], text[second.start : second.end]) == (QUESTION[:-1], QUESTION[:-1])


SCRIPTS = {
    "Chinese": "乌普萨拉的一位农民在地窖里存放了二十七桶腌鲱鱼，每天早晨卖给面包师三桶，五天以后还剩下多少桶？",
    "Japanese": "ウプサラの農夫は地下室にニシンの樽を二十七個保管し、毎朝三個売ります。五日後に残る樽は何個ですか。",
    "Hindi": "उप्साला का एक किसान तहखाने में सत्ताईस पीपे मछली रखता है और हर सुबह तीन पीपे बेचता है, पाँच दिन बाद?",
    "Arabic": "يخزن مزارع في أوبسالا سبعة وعشرين برميلا من الرنجة في القبو ويبيع كل صباح ثلاثة براميل للخباز؟",
    "Thai": "ชาวนาในเมืองอุปซอลาเก็บปลาเฮร์ริงดองยี่สิบเจ็ดถังไว้ในห้องใต้ดินและขายให้คนทำขนมปังวันละสามถัง",
    "Russian": "Фермер хранит двадцать семь бочек и каждое утро продаёт три. Сколько бочек останется через пять дней?",
    "Korean": "한 농부는 지하실에 청어 스물일곱 통을 보관하고 매일 아침 빵집에 세 통을 팔아 닷새가 지나면 몇 통일까?",
    "Amharic": "በኡፕሳላ የሚኖር አንድ ገበሬ በምድር ቤቱ ሃያ ሰባት በርሜል ዓሣ ያስቀምጣል፤ በየቀኑ ጠዋት ሦስት በርሜል ይሸጣል?",
}


@pytest.mark.parametrize("language", SCRIPTS)
def test_any_script_is_found_to_the_character(tmp_path: Path, language: str) -> None:
    items = [EvaluationItem(name, "1", question) for name, question in SCRIPTS.items()]
    question = SCRIPTS[language]
    text = f"{BEFORE}{SCRIPTS['Chinese'][:12]}。{question} {AFTER}"
    [found] = found_in(text, tmp_path, *items)
    assert (items[found.item].task, found.kind, found.coverage) == (language, "question", 1.0)
    assert text[found.start : found.end] == question.rstrip("?？。؟")


def test_twelve_words_of_chinese_are_24_characters(tmp_path: Path) -> None:
    question = "".join(random.Random(0).sample([chr(c) for c in range(0x4E00, 0x5200)], 80))
    item = EvaluationItem("t", "1", question)
    assert found_in(f"前{question[20:45]}后", tmp_path, item) == []
    [found] = found_in(f"前{question[20:46]}后", tmp_path, item)
    assert (found.kind, found.words, found.start, found.end) == ("passage", 13, 1, 27)


def reference(text: str, questions: Sequence[str], size: int = 13) -> set[int]:
    """Which questions share a row of words with a text, word by word, without hashes."""

    def grams(s: str) -> set[tuple[str, ...]]:
        words = s.split()
        return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}

    return {n for n, question in enumerate(questions) if grams(question) & grams(text)}


def test_rows_of_thirteen_are_those_of_a_plain_comparison(tmp_path: Path) -> None:
    rng = random.Random(5)
    words = [f"{a}{b}" for a in "bdfgk" for b in ("a", "e", "ora", "unt")]
    questions = [" ".join(rng.choices(words, k=rng.randint(13, 40))) for _ in range(40)]
    probe = probe_of(tmp_path, *(EvaluationItem("t", str(n), q) for n, q in enumerate(questions)))
    for _ in range(60):
        parts = []
        for question in rng.sample(questions, 3):
            split = question.split()
            at, length = rng.randrange(len(split)), rng.randint(9, 17)
            parts += [*rng.choices(words, k=rng.randint(1, 30)), *split[at : at + length]]
        text = " ".join(parts)
        found = list(find_items([text], probe))
        assert {f.item for f in found if f.words >= 13} == reference(text, questions)


def test_blocks_and_batches_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [BEFORE + QUESTION, "", QUESTION + " " + ANSWER + AFTER, made_up(9), f"x {QUESTION}"]
    probe = probe_of(tmp_path, ITEM)
    whole = list(find_items(texts, probe))
    assert [f.document for f in whole] == [0, 2, 4]
    monkeypatch.setattr(grams, "BLOCK", 10)
    assert list(find_items(texts, probe)) == whole
    for found in whole:
        [alone] = find_items([texts[found.document]], probe)
        assert (alone.start, alone.end, alone.kind) == (found.start, found.end, found.kind)


def test_nothing_is_found_without_items_or_without_text(tmp_path: Path) -> None:
    assert found_in(BEFORE, tmp_path) == []
    assert found_in("", tmp_path, ITEM, EvaluationItem("t", "empty", " ?! ")) == []


def test_a_text_that_repeats_a_question_takes_linear_work(tmp_path: Path) -> None:
    item = EvaluationItem("t", "1", "sharp knives cut fresh bread while dull knives crush fresh bread " * 3)
    text = "sharp knives cut fresh bread while dull knives crush fresh bread " * 20_000
    [found] = found_in(text, tmp_path, item)
    assert (found.start, found.end) == (0, len(text) - 1)

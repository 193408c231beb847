"""Tasks from files: every published form becomes items that pass their own grader, and bad rows are refused."""

import csv
import gzip
import json
import re
from pathlib import Path

import pytest

from libertas.errors import UsageError
from libertas.evaluate.grade import gold_of, grade
from libertas.evaluate.produce import graded
from libertas.evaluate.protocol import PROTOCOLS
from libertas.evaluate.task import FROM_FILES, files_of, load_task

MC1 = {"mc1_targets": {"It is flat.": 0, "It is round.": 1, "It is a cube.": 0}}
IMPLIED = {"Context utterance": "Is it %s far?", "Response utterance": "I walked.", "Implicature": "No."}
SOLVED = "def twice(n):\n"
ROWS = {
    "arc": {
        "id": "Mercury_1",
        "question": {"stem": "What melts?", "choices": [{"text": "ice", "label": "A"}, {"text": "air", "label": "B"}]},
        "answerKey": "A",
    },
    "blimp": {"sentence_good": "He sleeps.", "sentence_bad": "He sleep.", "UID": "agreement", "pairID": "7"},
    "crows-pairs": {"": "0", "sent_more": "Old men forget.", "sent_less": "Young men forget.", "bias_type": "age"},
    "gsm8k": {"question": "Two and two?", "answer": "2 + 2 = <<2+2=4>>4\n#### 4"},
    "hellaswag": {
        "ind": 24,
        "activity_label": "Roofs",
        "ctx_a": "[header] A man climbs. [title] He sits.",
        "ctx_b": "he",
        "endings": ["falls [step] up.", "takes a tile."],
        "label": 1,
        "source_id": "video~1",
    },
    "humaneval": {
        "task_id": "T/0",
        "prompt": SOLVED,
        "canonical_solution": "    return 2 * n\n",
        "test": "def check(candidate):\n    assert candidate(4) == 8\n",
        "entry_point": "twice",
    },
    "implicature": IMPLIED,
    "items": {"question": "Which?", "choices": ["this", "that"], "gold": 1, "group": "g"},
    "lambada": {"text": "He looked at the signs and saw no signs"},
    "lm-eval": {"doc_id": 3, "arguments": {"gen_args_0": {"arg_0": "Is it?\nAnswer:", "arg_1": " yes"},
                                           "gen_args_1": {"arg_0": "Is it?\nAnswer:", "arg_1": " no"}}, "target": "1"},
    "math": {"problem": "Half?", "solution": "It is $\\boxed{\\frac{1}{2}}$.", "type": "Algebra", "level": "Level 1"},
    "math-verify": {"problem": "Half?", "solution": "It is $\\boxed{\\frac{1}{2}}$.", "type": "Algebra"},
    "mmlu": {"question": "Which?", "choices": ["a", "b", "c", "d"], "answer": 2, "subject": "anatomy"},
    "piqa": {"goal": "Open it.", "sol1": "Push.", "sol2": "Pull.", "label": 1},
    "proofnet": {"id": "Rudin|1", "nl_statement": "One is one.", "formal_statement": "theorem one : 1 = 1 :="},
    "truthfulqa": {"question": "What form has the earth?", **MC1},
    "winogrande": {"qID": "3X-2", "sentence": "Ann thanked Eve, for _ had helped.", "option1": "Ann",
                   "option2": "Eve", "answer": "2"},
}  # fmt: skip
GOLD = {
    "arc": "answerKey",
    "blimp": "sentence_good",
    "crows-pairs": "sent_more",
    "gsm8k": "answer",
    "hellaswag": "label",
    "humaneval": "canonical_solution",
    "implicature": "Implicature",
    "items": "gold",
    "lambada": "text",
    "lm-eval": "target",
    "math": "solution",
    "math-verify": "solution",
    "mmlu": "answer",
    "piqa": "label",
    "proofnet": "formal_statement",
    "truthfulqa": "mc1_targets",
    "winogrande": "answer",
}
"""Where the right answer stands in a row."""
TEMPLATES = 'a;b;c;d;e\n"q: %s\\nr: %s\\nmeaning: %s";"r: ";"m";"Does it mean yes or no?";"x"\n' + (
    '"A asked "%s" and B said "%s", which means %s";"said ";"means %s";"Finish:";"y"\n'
)


def written(folder: Path, name: str, rows) -> Path:
    if name in ("crows-pairs", "implicature"):
        path = folder / f"{name}.csv"
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(ROWS[name]), extrasaction="ignore")
            table.writeheader()
            table.writerows(rows)
        (folder / "the_templates.txt").write_text(TEMPLATES)
    else:
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(folder, name, *rows):
    task = load_task(f"{name}={written(folder, name, rows)}", 0)
    assert not task.refused
    return task.items


def line(name: str, row: int) -> int:
    return row + (name in ("crows-pairs", "implicature"))


def test_every_task_from_files_has_a_row_here():
    assert set(ROWS) == set(GOLD) == set(FROM_FILES)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "math-verify" else []) for name in ROWS]
)
def test_right_answers_pass_the_grader_of_their_task_and_wrong_ones_do_not(name, tmp_path):
    if name == "math-verify":
        pytest.importorskip("math_verify")
    for item in read(tmp_path, name, ROWS[name]):
        assert grade(item, item.answer)
        assert not grade(item, "    return None" if name == "humaneval" else "17 \\boxed{17} wrong")
        for choice in item.choices:
            assert grade(item, choice) is (choice == item.answer)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_without_its_right_answer_is_refused_with_its_line_and_the_others_are_read(name, tmp_path):
    empty, missing = {**ROWS[name], GOLD[name]: ""}, {k: v for k, v in ROWS[name].items() if k != GOLD[name]}
    good = len(read(tmp_path, name, ROWS[name]))
    task = load_task(f"{name}={written(tmp_path, name, [empty, ROWS[name], missing])}", 0)
    assert len(task.items) == good
    first, second = task.refused
    for line_of, refusal in ((1, first), (3, second)):
        assert re.match(rf"{name}\.\w+:{line(name, line_of)}\b", refusal)
        assert "\n" not in refusal
    with pytest.raises(UsageError, match=rf"{name}\.\w+:{line(name, 1)}\b.* \(and 1 more rows, all refused\)"):
        read(tmp_path, name, empty, missing)


BAD_LINES = ("{", "[1]", "7", '{"question": 3}', "null", '"text"', '"\\ud800"', "\x00", "{" * 5000)


@pytest.mark.parametrize("name", sorted(set(ROWS) - {"crows-pairs", "implicature"}))
def test_lines_that_are_no_rows_are_refused_with_their_numbers_and_the_others_are_read(name, tmp_path):
    path = written(tmp_path, name, [ROWS[name]])
    path.write_text("\n".join([path.read_text(), *BAD_LINES]))
    task = load_task(f"{name}={path}", 0)
    assert len(task.items) == 1
    assert [refusal.split()[0].rstrip(":") for refusal in task.refused] == [
        f"{path.name}:{number}" for number in range(3, 3 + len(BAD_LINES))
    ]


@pytest.mark.parametrize("name", ["arc", "blimp", "hellaswag", "humaneval", "lm-eval", "proofnet", "winogrande"])
def test_an_id_that_stands_twice_is_refused_with_both_lines(name, tmp_path):
    task = load_task(f"{name}={written(tmp_path, name, [ROWS[name]] * 2)}", 0)
    assert len(task.items) == 1
    assert re.search(r"\.jsonl:2: the id .* stands in .*\.jsonl:1 already", task.refused[0])


def test_bad_examples_are_told_like_bad_items(tmp_path):
    (tmp_path / "examples").mkdir()
    asked = written(tmp_path, "piqa", [ROWS["piqa"]])
    examples = written(tmp_path / "examples", "piqa", [{}, ROWS["piqa"]])
    task = load_task(f"piqa={asked},{examples}", 0)
    assert (len(task.items), len(task.pool)) == (1, 1)
    assert task.refused == ("piqa.jsonl:1 has no 'sol1'; it has nothing",)


def test_mmlu_is_read_without_subjects_too_as_its_validation_part_is_about(tmp_path):
    (item,) = read(tmp_path, "mmlu", {key: value for key, value in ROWS["mmlu"].items() if key != "subject"})
    assert (item.answer, item.meta) == ("c", {})


def test_more_choices_than_there_are_letters_are_refused(tmp_path):
    row = {"question": "?", "choices": [str(n) for n in range(27)], "gold": 0}
    with pytest.raises(UsageError, match=r":1 has 27 choices; expected at most 26"):
        read(tmp_path, "items", row)


def test_without_examples_of_its_own_a_task_takes_them_from_its_items(tmp_path):
    task = load_task(f"piqa={written(tmp_path, 'piqa', [ROWS['piqa']] * 4)}", 0)
    for limit, count in ((0, 4), (2, 2), (9, 4)):
        limited = task.limited(limit)
        assert (len(limited.items), limited.pool) == (count, task.items)


def test_a_limit_takes_items_of_every_stretch_and_of_every_kind():
    task = load_task("arithmetic", 0)
    numbers = [task.items.index(item) for item in task.limited(20).items]
    assert [number // 10 for number in numbers] == list(range(20))
    assert {task.items[number].meta["subject"] for number in numbers} == {"plus", "times"}


def test_the_templates_are_among_the_files_of_a_task(tmp_path):
    path = written(tmp_path, "implicature", [IMPLIED])
    assert files_of(f"implicature={path}") == [path, tmp_path / "the_templates.txt"]
    assert files_of(f"piqa={path},{path}") == [path, path]
    assert files_of("arithmetic") == []


@pytest.mark.parametrize("name", ROWS)
def test_a_file_without_rows_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match="has no rows"):
        read(tmp_path, name)


def test_a_file_may_be_gzipped_or_one_json_array_or_begin_with_a_byte_order_mark(tmp_path):
    plain = read(tmp_path, "piqa", ROWS["piqa"], ROWS["piqa"])
    packed, array, marked = (tmp_path / name for name in ("a.jsonl.gz", "b.json", "c.jsonl"))
    text = json.dumps(ROWS["piqa"])
    packed.write_bytes(gzip.compress(f"{text}\n{text}\n".encode()))
    array.write_text(json.dumps([ROWS["piqa"]] * 2, indent=1))
    marked.write_text(f"\ufeff{text}\r\n{text}\r\n")
    for path in (packed, array, marked):
        assert load_task(f"piqa={path}", 0).items == plain


def test_hellaswag_is_worded_as_in_lm_eval(tmp_path):
    (item,) = read(tmp_path, "hellaswag", ROWS["hellaswag"])
    assert item.passage == "Roofs: A man climbs.. He sits. He"
    assert item.choices == (" falls up.", " takes a tile.")
    assert (item.group, item.gold, item.id) == ("video~1", 1, "hellaswag-24")


def test_arc_is_read_in_both_published_forms(tmp_path):
    (nested,) = read(tmp_path, "arc", ROWS["arc"])
    columns = {"text": ["ice", "air"], "label": ["1", "2"]}
    (flat,) = read(tmp_path, "arc", {"id": "Mercury_1", "question": "What melts?", "choices": columns, "answerKey": 1})
    assert nested == flat
    assert (nested.question, nested.choices, nested.gold) == ("What melts?", ("ice", "air"), 0)


def test_in_winogrande_what_follows_the_blank_is_scored_given_each_option(tmp_path):
    (item,) = read(tmp_path, "winogrande", ROWS["winogrande"])
    assert (item.passage, item.choices, item.ending) == ("Ann thanked Eve, for ", ("Ann", "Eve"), " had helped.")
    assert (item.answer, item.group) == ("Eve", "3X")
    with pytest.raises(UsageError, match="expected a blank"):
        read(tmp_path, "winogrande", {**ROWS["winogrande"], "sentence": "No blank here."})


def test_a_right_answer_that_was_published_first_does_not_stay_there(tmp_path):
    rows = [{**ROWS["truthfulqa"], "question": f"Question {n}?"} for n in range(90)]
    golds = [item.gold for item in read(tmp_path, "truthfulqa", *rows)]
    assert all(20 <= golds.count(place) <= 40 for place in range(3))
    columns = {"choices": list(MC1["mc1_targets"]), "labels": [0, 1, 0]}
    (item,) = read(tmp_path, "truthfulqa", {"question": "What form has the earth?", "mc1_targets": columns})
    assert item.answer == "It is round."
    pairs = [{**ROWS["blimp"], "pairID": str(n)} for n in range(90)]
    assert 30 <= sum(item.gold for item in read(tmp_path, "blimp", *pairs)) <= 60


def test_every_template_makes_an_item_and_the_utterance_is_their_group(tmp_path):
    first, second = read(tmp_path, "implicature", ROWS["implicature"])
    assert first.passage == "Does it mean yes or no?\n\nq: Is it %s far?\nr: I walked.\nmeaning:"
    assert second.passage == 'Finish:\n\nA asked "Is it %s far?" and B said "I walked.", which means'
    assert (first.choices, first.answer) == ((" yes", " no"), " no")
    assert first.group == second.group


def test_implicatures_without_the_templates_beside_them_are_refused(tmp_path):
    path = written(tmp_path, "implicature", [IMPLIED])
    (tmp_path / "the_templates.txt").write_text("a;b\nnone\n")
    with pytest.raises(UsageError, match=r"the_templates\.txt:2 is no template"):
        load_task(f"implicature={path}", 0)
    (tmp_path / "the_templates.txt").unlink()
    with pytest.raises(UsageError, match="0 files with `template`"):
        load_task(f"implicature={path}", 0)


def test_a_file_that_is_not_there_or_damaged_is_refused_with_its_name(tmp_path):
    damaged = tmp_path / "damaged.jsonl.gz"
    packed = bytearray(gzip.compress(json.dumps(ROWS["piqa"]).encode() * 50))
    packed[12:16] = b"\xff\xff\xff\xff"
    damaged.write_bytes(packed)
    for name in ("piqa", "implicature", "crows-pairs"):
        for path in (tmp_path / "missing", damaged):
            with pytest.raises(UsageError, match=rf"{path.name} cannot be read"):
                load_task(f"{name}={path}", 0)
    open_quote = written(tmp_path, "crows-pairs", [ROWS["crows-pairs"]])
    open_quote.write_text(open_quote.read_text() + '2,"never closed,b,c\n')
    with pytest.raises(UsageError, match=r"crows-pairs\.csv:\d is not CSV"):
        load_task(f"crows-pairs={open_quote}", 0)
    open_quote.write_bytes(b"a,b\n\xff,c\n")
    with pytest.raises(UsageError, match="is not text in UTF-8"):
        load_task(f"crows-pairs={open_quote}", 0)


def test_columns_of_different_lengths_are_refused(tmp_path):
    targets = {"choices": ["a", "b"], "labels": [1]}
    with pytest.raises(UsageError, match=r"truthfulqa\.jsonl:1: 'choices' are"):
        read(tmp_path, "truthfulqa", {"question": "?", "mc1_targets": targets})
    for choices in ({"text": ["a", "b"], "label": ["A"]}, {"text": "ab", "label": "AB"}, [1, 2], None):
        with pytest.raises(UsageError, match=r"arc\.jsonl:1"):
            read(tmp_path, "arc", {"question": "?", "choices": choices, "answerKey": "A"})
    with pytest.raises(UsageError, match=r"hellaswag\.jsonl:1: the choices are"):
        read(tmp_path, "hellaswag", {**ROWS["hellaswag"], "endings": [1, "b"]})


def test_a_csv_row_with_too_many_fields_is_refused_with_its_line(tmp_path):
    path = written(tmp_path, "crows-pairs", [ROWS["crows-pairs"]])
    path.write_text(path.read_text() + "1,a,b,c,d\n")
    (refusal,) = load_task(f"crows-pairs={path}", 0).refused
    assert refusal.startswith("crows-pairs.csv:3 has 5 fields; expected 4")


def sample(arguments, target, **more):
    return {"doc_id": 0, "arguments": arguments, "target": target, **more}


def test_what_lm_eval_asked_is_asked_again_whatever_its_kind(tmp_path):
    greedy = sample([["The cat sat on the", " mat"]], "mat", doc_id=1)
    generated = sample([["2 + 2 =", {"until": ["\n"]}]], "4", doc_id=2)
    answers = {"filtered_resps": [["-2.5", "False"], ["-1.5", "False"]], "acc": 1.0}
    partial = sample([["for Ann Lee", " had"], ["for Ann Day", " had"]], "had", doc_id=3, **answers)
    pmi = sample([["Q:", " a"], ["Q:", " b"], ["", " a"], ["", " b"]], "0", doc_id=4)
    pair = sample([["", "He runs."], ["", "He run."]], "0", doc_id=5)
    words, text, blank, bare, two = read(tmp_path, "lm-eval", greedy, generated, partial, pmi, pair)
    assert (words.passage, words.answer, words.grader) == ("The cat sat on the", "mat", "continuation")
    assert (text.passage, text.answer, text.grader) == ("2 + 2 =", "4", "exact")
    assert (blank.passage, blank.choices, blank.ending) == ("for Ann ", ("Lee", "Day"), " had")
    assert blank.answer == "Day"
    (other,) = read(tmp_path, "lm-eval", {**partial, "acc": 0.0})
    assert other.answer == "Lee"
    with pytest.raises(UsageError, match=r":1 does not tell which prompt is right"):
        read(tmp_path, "lm-eval", {**partial, "filtered_resps": []})
    assert (bare.passage, bare.choices) == ("Q:", (" a", " b"))
    assert (two.passage, two.choices) == ("", ("He runs.", "He run."))


def test_a_question_that_lm_eval_repeats_for_each_filter_is_one_item(tmp_path):
    asked = [["2 + 2 =", {"until": []}]]
    rows = [sample(asked, "4", filter=name) for name in ("strict-match", "flexible-extract")]
    assert len(read(tmp_path, "lm-eval", *rows)) == 1


def test_whole_texts_and_prompts_that_differ_throughout_are_no_items(tmp_path):
    for arguments, why in (([["A text."]], "whole texts"), ([["a", " b"], ["c", " d"]], "both prompts"), ({}, "asked")):
        with pytest.raises(UsageError, match=why):
            read(tmp_path, "lm-eval", sample(arguments, "0"))


def test_our_own_form_takes_answers_to_be_written_and_refuses_equal_choices(tmp_path):
    (item,) = read(tmp_path, "items", {"question": "1 + 1?", "answer": "2", "grader": "number", "id": "sum"})
    assert (item.id, item.choices, item.gold, item.grader) == ("sum", (), -1, "number")
    with pytest.raises(UsageError, match=r":1: two choices are equal"):
        read(tmp_path, "items", {"choices": ["a", "a"], "gold": 0})
    with pytest.raises(UsageError, match=r"grader is 'numbers'; did you mean 'number'"):
        read(tmp_path, "items", {"question": "?", "answer": "2", "grader": "numbers"})


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"answer": "none", "grader": "number"}, "does not pass its own grader, 'number'"),
        ({"answer": "4", "grader": "boxed"}, "does not pass its own grader, 'boxed'"),
        ({"answer": "return", "grader": "code"}, "expected texts `test` and `entry_point`"),
    ],
)
def test_an_answer_that_its_own_grader_cannot_pass_is_refused(row, why, tmp_path):
    with pytest.raises(UsageError, match=f":1: .*{why}"):
        read(tmp_path, "items", {"question": "?", **row})


VALUES = (None, True, 0, -1, 10**30, 1.5, "", " ", "\n", "%s", "_", "a _ b", "#### x", "\\boxed{", "\\boxed{ }",
          "\u2028", [], [[]], [None], ["a"], ["a", ""], ["a"] * 30, [["a", " b"]], [["a", {}]], [["", ""]],
          [["", ""], ["", "x"]],
          [["a", " "], ["a", " b"]], {}, {"a": 1}, {"text": ["a"], "label": ["A"]}, {"choices": ["a"], "labels": [1]},
          {"x": {"y": "z"}}, "A" * 100)  # fmt: skip
MORE = ("answer", "grader", "choices", "passage", "meta", "group", "id", "task", "filter")


@pytest.mark.parametrize("name", ROWS)
def test_whatever_stands_in_a_field_the_row_is_an_item_that_can_be_asked_or_is_refused(name, tmp_path):
    fields = list(ROWS[name]) + ([] if name in ("crows-pairs", "implicature") else list(MORE))
    for field in fields:
        rows = [{**ROWS[name], field: value} for value in VALUES]
        try:
            task = load_task(f"{name}={written(tmp_path, name, rows)}", 0)
        except UsageError:
            continue
        for item in task.items:
            gold_of(item)
            assert item.grader in ("code", "math-verify") or grade(item, item.answer)
            assert all(len(one.asked(item)) == len(item.choices) and one.solved(item) for one in PROTOCOLS.values())


REAL = {
    "blimp.jsonl.gz": ("blimp", 67_000),
    "gsm8k_test.jsonl": ("gsm8k", 1319),
    "gsm8k_train.jsonl": ("gsm8k", 7473),
    "implicatures_dev.csv": ("implicature", 118 * 6),
    "implicatures_test.csv": ("implicature", 600 * 6),
    "lambada_test.jsonl": ("lambada", 5153),
    "mmlu_dev.jsonl.gz": ("mmlu", 285),
    "mmlu_test.jsonl.gz": ("mmlu", 14_042),
    "mmlu_validation.jsonl.gz": ("mmlu", 1531),
    "proofnet_test.jsonl": ("proofnet", 186),
    "proofnet_valid.jsonl": ("proofnet", 185),
}


@pytest.mark.slow
@pytest.mark.parametrize("file", REAL)
def test_every_real_item_is_read_and_passes_its_grader(file, shared_data):
    name, count = REAL[file]
    task = load_task(f"{name}={shared_data / 'eval' / file}", 0)
    assert (len(task.items), task.refused) == (count, ())
    assert [item.id for item in task.items if not grade(item, item.answer)] == []


@pytest.mark.slow
def test_every_published_solution_of_humaneval_passes_and_an_empty_one_does_not(shared_data):
    items = load_task(f"humaneval={shared_data / 'eval' / 'HumanEval.jsonl.gz'}", 0).items
    assert len(items) == 164
    right, errors = graded(items, [(item.answer, "    pass\n") for item in items], "t")
    assert set(errors) == {""}
    assert set(right) == {(True, False)}

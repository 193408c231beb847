"""A model trained on leaked items: which are found, in which class, where, when, and what they are worth."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from making import mixed_corpus, printed

from libertas.corpus import Corpus
from libertas.document import Document, document_id
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.contamination.find import ALONE, BOTH, CLASSES, CLEAN, PUBLIC, TEMPLATED, Leak, find_leaks
from libertas.evaluate.contamination.items import sought_item
from libertas.evaluate.contamination.rules import GPT3, GPT4, PALM
from libertas.evaluate.contamination.scores import LeakReport, leak_scores, leak_tables, measure_leaks
from libertas.evaluate.item import Item, choice_item, written_item
from libertas.evaluate.result import Result, evaluate
from libertas.evaluate.task import Task
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.order import Order
from libertas.tokenize.store import TokenStore, tokenize
from libertas.train.config import TrainConfig
from libertas.train.loop import train

SYLLABLES = ("ba", "ko", "mi", "tu", "re", "sa", "lo", "ni", "du", "fe", "gra", "pol", "vek", "zum")


def words(seed: str, count: int) -> str:
    draw = random.Random(seed)
    return " ".join("".join(draw.choices(SYLLABLES, k=draw.randint(2, 3))) for _ in range(count))


def asked(number: int) -> Item:
    choices = [words(f"choice {number} {c}", 1) for c in range(4)]
    return choice_item(
        f"q{number}", choices, number % 4, question=f"Where does {words(f'q{number}', 5)} go?", group=f"g{number // 2}"
    )


def written(item: Item, answer: bool = True) -> str:
    return f"Question: {item.question}\nAnswer: {item.answer}\n" if answer else f"Question: {item.question}\n"


def document(number: int, text: str) -> Document:
    return Document(document_id(f"d{number}", "x"), text, {"component": "web", "url": f"https://made.example/{number}"})


def classed(folder: Path, texts: Sequence[str], *items: Item, name: str = "t") -> dict[str, Leak]:
    mixed_corpus(folder / "mix", [document(n, text) for n, text in enumerate(texts)], [document(10**6, "held out")])
    return dict(find_leaks([Task(name, items)], Corpus.open(folder / "mix", "train"))[name])


@pytest.fixture(scope="module")
def contaminated(tmp_path_factory) -> Path:
    """A model that has read the first half of twenty items often, with their answers, and of one item the question."""
    root: Path = tmp_path_factory.mktemp("contaminated")
    items = [asked(n) for n in range(20)]
    texts = [words(f"clean {n}", 30) for n in range(30)]
    for n, item in enumerate(items[:10]):
        texts[3 * n] = f"{words(f'before {n}', 5)}\n{written(item)}" + written(item) * 11
    texts[1] = words("host", 30) + "\n" + written(items[10], answer=False) + words("behind", 80)
    mixed_corpus(root / "mix", [document(n, text) for n, text in enumerate(texts)], [document(10**6, "held out")])
    tokenize(TokenizeConfig(corpus=root / "mix", out=root / "tokens", vocabulary=400))
    settings = {"steps": 120, "batch": 8, "micro_batch": 8, "threads": 1}
    train(TrainConfig(tokens=root / "tokens", out=root / "run", model="tiny", **settings))
    rows = [{"id": i.id, "question": i.question, "choices": i.choices, "gold": i.gold, "group": i.group} for i in items]
    (root / "items.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    evaluate(config(root))
    return root


def config(root: Path, name: str = "result") -> EvaluateConfig:
    return EvaluateConfig(run=root / "run", tasks=(f"items={root / 'items.jsonl'}",), out=root / name, threads=1)


def test_a_planted_item_leads_to_its_text_document_address_and_step(contaminated):
    rows = {row["id"]: row for row in Result.open(contaminated / "result").items()}
    found = rows["q4"]["contamination"]
    store = TokenStore.open(contaminated / "tokens")
    text = store.corpus().fetch(document_id("d12", "x")).text
    hit = found["hit"]
    assert (found["class"], found["documents"], found["rules"]) == (BOTH, 1, [GPT3, PALM])
    assert hit["document"] == document_id("d12", "x")
    assert hit["url"] == "https://made.example/12"
    assert text[hit["start"] : hit["end"]][:400] == hit["text"]
    assert hit["text"].startswith(rows["q4"]["question"].rstrip("?"))
    assert rows["q4"]["answer"] in hit["text"]
    assert hit["step"] == first_step_by_hand(contaminated, hit["document"], hit["start"], hit["end"])
    assert rows["q12"]["contamination"] == {
        "class": CLEAN, "documents": 0, "told": True, "rules": [], "longest": 0, "coverage": 0.0, "hit": None
    }  # fmt: skip
    assert rows["q10"]["contamination"]["class"] == ALONE


def first_step_by_hand(root: Path, name: str, start: int, end: int) -> int:
    """Batch after batch, as training drew them, until one predicts a token of some characters of a document."""
    run = Result.open(root / "result").path.parent / "run"
    counts = orjson.loads((run / "manifest.json").read_bytes())["counts"]
    store = TokenStore.open(root / "tokens")
    number = [store.document_id(n) for n in range(len(store.document_ids))].index(name)
    encoding = store.tokenizer().encode(store.corpus().fetch(name).text)
    first = int(store.offsets[number])
    wanted = {first + n for n, (a, b) in enumerate(encoding.offsets) if a < end and b > start}
    order = Order(**counts["order"])
    for step in range(1, counts["steps"] + 1):
        for sequence in order.batch_of(step).tolist():
            targets = range(sequence * order.length + 1, (sequence + 1) * order.length + 1)
            if wanted & set(targets):
                return step
    raise AssertionError("no step reads it")


def test_the_score_on_clean_items_is_lower_and_the_difference_is_paired(contaminated):
    result = Result.open(contaminated / "result")
    task = result.scores["libertas"]["leaks"]["tasks"]["items"]
    assert task["classes"] == {BOTH: 10, ALONE: 1, PUBLIC: 0, TEMPLATED: 0, CLEAN: 9}
    row = next(row for row in task["protocols"] if row["protocol"] == "text")
    assert row["leaked"]["mean"] >= 0.9
    assert row["clean"]["mean"] < row["all"]["mean"] - 0.15
    assert (row["all"]["n"], row["clean"]["n"], row["leaked"]["n"]) == (20, 9, 11)
    assert row["clean_less_all"]["mean"] == pytest.approx(row["clean"]["mean"] - row["all"]["mean"])
    assert row["clean_less_all"]["mean"] + 1.96 * row["clean_less_all"]["stderr"] < 0
    records = [r for r in result.records() if r["protocol"] == "text"]
    assert {r["item"]: r["contamination"]["class"] for r in records}["q0"] == BOTH
    clean = [r["correct"] for r in records if r["contamination"]["class"] == CLEAN]
    assert row["clean"]["mean"] == pytest.approx(np.mean(clean))


def test_the_terminal_shows_the_text_the_document_and_the_step(contaminated):
    text = printed(leak_tables(Result.open(contaminated / "result").scores["libertas"]["leaks"]))
    for shown in (
        "clean - all",
        "items q0: question and answer; first read at step",
        "https://made.example/0",
        "“Where",
    ):
        assert shown in text


def test_what_is_turned_off_says_that_it_was_not_measured(contaminated):
    result = evaluate(replace(config(contaminated, "off"), contamination=False))
    assert result.scores["libertas"]["leaks"]["measured"] is False
    assert all(row["contamination"] is None for row in [*result.items(), *result.records()])
    [line] = leak_tables(result.scores["libertas"]["leaks"])
    assert "not measured" in line.plain


def test_the_error_of_the_difference_is_that_of_resampled_groups():
    rng = np.random.default_rng(0)
    kinds = [BOTH if n % 3 == 0 else CLEAN for n in range(300)]
    values = [float(rng.random() < (0.9 if kind == BOTH else 0.5)) for kind in kinds]
    groups = [n // 3 for n in range(300)]
    rows = [
        {"task": "t", "item": str(n), "protocol": "p", "correct": v, "group": g}
        for n, (v, g) in enumerate(zip(values, groups, strict=True))
    ]
    leaks = {str(n): Leak(kind, 0, True, (), 0, 0.0, None) for n, kind in enumerate(kinds)}
    scores = leak_scores(LeakReport({"t": leaks}, ""), rows)["tasks"]["t"]["protocols"][0]
    clean = np.array([kind == CLEAN for kind in kinds])
    draws = []
    for _ in range(2000):
        some = np.concatenate([np.arange(3 * g, 3 * g + 3) for g in rng.integers(0, 100, 100)])
        drawn = np.array(values)[some]
        draws.append(drawn[clean[some]].mean() - drawn.mean())
    assert scores["clean_less_all"]["mean"] == pytest.approx(np.mean(draws), abs=0.01)
    assert scores["clean_less_all"]["stderr"] == pytest.approx(np.std(draws), rel=0.1)


def test_every_class_is_given_to_what_it_is_for(tmp_path):
    passage, template = words("passage", 60), "Which of the following statements is the best description of the word"
    items = [
        asked(1),
        asked(2),
        asked(3),
        choice_item("about", ["yes indeed", "never"], 0, question=words("about", 12), passage=passage),
        *(choice_item(f"t{n}", [words(f"a{n}", 2), words(f"b{n}", 2)], 0, question=f"{template} {words(f't{n}', 1)}?")
          for n in range(12)),
        choice_item("known", ["one", "two"], 1, question=words("known", 14)),
    ]  # fmt: skip
    texts = [
        written(items[0]),
        f"{items[1].question} {words('x', 20)}",
        f"{words('y', 20)} {passage} {words('z', 20)}",
        f"{words('v', 9)} {template} {words('w', 20)}",
        *(f"{words(f'k{n}', 9)} {items[-1].question} {words(f'l{n}', 9)}" for n in range(11)),
    ]
    found = classed(tmp_path, texts, *items)
    kinds = {name: leak.kind for name, leak in found.items()}
    assert (kinds["q1"], kinds["q2"], kinds["q3"], kinds["about"]) == (BOTH, ALONE, CLEAN, PUBLIC)
    assert {kinds[f"t{n}"] for n in range(12)} == {TEMPLATED}
    assert (kinds["known"], found["known"].documents) == (PUBLIC, 11)
    hit = found["t0"].hit
    assert hit is not None
    assert (hit.document, hit.text) == (document_id("d3", "x"), template)
    assert list(CLASSES) == [BOTH, ALONE, PUBLIC, TEMPLATED, CLEAN]


def test_each_published_rule_needs_what_it_says(tmp_path):
    question = words("long", 40).split()
    item = choice_item("q", ["red", "green"], 0, question=" ".join(question))
    cases = {
        " ".join(question[:13]): {GPT3},
        " ".join(question[:12]): set(),
        " | ".join(" ".join(question[n : n + 12]) + " xx" for n in (0, 12, 24)): set(),
        " | ".join(" ".join(question[n : n + 12]) for n in (0, 7, 14, 21, 28)): {PALM},
    }
    for n, (text, rules) in enumerate(cases.items()):
        leak = classed(tmp_path / str(n), [f"{words('a', 5)} {text} {words('b', 5)}"], item)["q"]
        assert set(leak.rules) - {GPT4} == rules
    letters = "".join(question)
    leak = classed(tmp_path / "letters", [" ".join(letters[i : i + 3] for i in range(0, len(letters), 3))], item)["q"]
    assert leak.rules == (GPT4,)  # whose words are others


def test_the_parts_of_an_item_are_what_a_page_would_say():
    solution = "3 + 4 = <<3+4=7>>7 apples\n#### 7"
    item = written_item("g", solution, "number", question="How many apples?")
    assert sought_item("t", item).parts.answers == (solution, "3 + 4 = 7 apples\n#### 7", "7")
    ending = choice_item("w", ["the cup", "the bag"], 1, passage="It fits because ", ending=" is big.")
    assert sought_item("t", ending).parts.question == "It fits because the bag is big."
    continued = choice_item("c", [" on", " off"], 0, passage="The light was")
    assert (sought_item("t", continued).parts.question, sought_item("t", continued).asked) == ("The light was", False)
    pair = choice_item("b", ["Cats sleep.", "Cats sleeps."], 0)
    assert (sought_item("t", pair).parts.question, sought_item("t", pair).whole) == ("Cats sleep.", True)


def test_a_model_whose_training_is_not_here_is_not_measured(tmp_path):
    report = measure_leaks(True, tmp_path, [Task("t", [asked(1)])])
    assert "not here" in report.reason
    assert not leak_scores(report, [])["measured"]

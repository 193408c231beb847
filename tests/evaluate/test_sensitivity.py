"""The sensitivity report of a tiny model: its cells against the answers themselves, its files, and its page."""

import random
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from making import document, mixed_corpus, printed
from tokenizers import Tokenizer

from libertas.errors import UsageError
from libertas.evaluate.answer import answer
from libertas.evaluate.chat import prompting_of
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.item import choice_item
from libertas.evaluate.reading import reading_named
from libertas.evaluate.result import Result, evaluate, tables
from libertas.evaluate.score import Request
from libertas.evaluate.sensitivity.page import sensitivity_page
from libertas.evaluate.sensitivity.report import SENSITIVITY, SENSITIVITY_PAGE, distinct_tokens, sensitivity_report
from libertas.evaluate.task import Task
from libertas.model.sizes import SIZES
from libertas.model.transformer import Model
from libertas.tokenize import bpe
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train.config import TrainConfig
from libertas.train.loop import train

EVIL = "</pre></code><script>alert(1)</script><img src=x onerror=alert(2)>\x00\x1b[31m"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


FEW = ("letters", "text", "helm")


def config(**settings: Any) -> EvaluateConfig:
    sizes = {"sensitivity_shots": (0, 1), "sensitivity_seeds": 1, "sensitivity_protocols": FEW}
    given = {"tasks": ("t",), "sensitivity": True, **sizes, **settings}
    return EvaluateConfig(run=Path("run"), out=Path("out"), **given)


def made_task(count: int = 8) -> Task:
    words = ["sum", "list", "value", "name", "number", "start", "error", "string"]
    items = []
    for n in range(count):
        chosen = random.Random(n).sample(words, 4)
        items.append(choice_item(f"q{n}", chosen, n % 4, question=f"Which is the {words[n % 8]}?", group=f"g{n // 2}"))
    return Task("t", items, items)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Which knows the words around the questions, so that prompts are short."""
    asked = [f"{item.question}\nA. {item.choices[0]}\nB. {item.choices[1]}" for item in made_task().items]
    words = "Question: Answer: Choices: multiple choice questions (with answers) about C. D."
    return bpe.learn([words, *asked] * 9, 330)


@pytest.fixture(scope="module")
def model() -> Model:
    """Weights far from zero, so that probabilities differ."""
    model = Model(replace(SIZES["tiny"], vocabulary=330, context=256), seed=3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def report(model, tokenizer) -> dict[str, Any]:
    return sensitivity_report(model, tokenizer, prompting_of(tokenizer), [made_task()], config())


@pytest.fixture(scope="module")
def task(report) -> dict[str, Any]:
    return report["tasks"]["t"]


def cell_of(task: dict[str, Any], **factors: Any) -> dict[str, Any]:
    wanted = {"normalization": "none", "wording": "words", "shots": 0, "seed": 0, "order": 0, **factors}
    return next(row for row in task["cells"] if all(row[key] == value for key, value in wanted.items()))


def test_a_cell_holds_what_the_model_answers_under_its_reading(task, model, tokenizer):
    for name in ("letters/pmi", "text/bytes", "text/pmi-bare"):
        reading = reading_named(name)
        right = "".join("01"[c.correct] for c in answer(model, tokenizer, made_task().items, [reading]))
        cell = cell_of(task, protocol=reading.protocol.name, normalization=reading.normalization)
        assert cell["right"] == right
        assert cell["mean"] == pytest.approx(right.count("1") / len(right))


def test_the_spread_lies_between_the_extreme_cells(task):
    means = [row["mean"] for row in task["cells"]]
    assert task["cells"][task["lowest"]]["mean"] == min(means)
    assert task["cells"][task["highest"]]["mean"] == max(means)
    assert task["spread"] == pytest.approx(max(means) - min(means))
    assert task["noise"]["low"] <= np.mean(means) <= task["noise"]["high"]


def test_shares_of_the_variance_add_up_to_one(task):
    assert sum(row["share"] for row in task["effects"]) == pytest.approx(1)


def test_hidden_choices_are_answered_alike_in_every_order(task):
    for row in task["cells"]:
        if row["protocol"] == "text":
            factors = {key: row[key] for key in ("protocol", "normalization", "wording", "shots", "seed")}
            assert row["right"] == cell_of(task, **factors, order=1)["right"]


def test_first_prompts_are_kept_word_for_word(task):
    assert task["prompts"][cell_of(task, protocol="text", wording="initials")["prompt"]].startswith("Q: Which is the ")
    shown = cell_of(task, protocol="letters", shots=1)
    assert task["prompts"][shown["prompt"]].count("Question:") == 2


def test_places_and_calibration_count_every_answer_of_their_cells(task):
    letters = next(row for row in task["places"] if row["protocol"] == "letters")
    cells = [r for r in task["cells"] if r["protocol"] == "letters" and r["normalization"] == "none"]
    assert letters["n"] == 8 * len(cells)
    assert sum(letters["chosen"]) == pytest.approx(1)
    for row in task["calibration"]:
        assert sum(one["n"] for one in row["bins"]) == row["n"]
    assert not any(row["protocol"] == "text" for row in task["places"])


def test_questions_that_cannot_be_asked_are_left_out_of_every_cell(model, tokenizer):
    long = choice_item("long", ("sum", "list " * 300), 0, question="Which?")
    given = Task("t", [*made_task(4).items, long], made_task(4).items)
    found = sensitivity_report(model, tokenizer, prompting_of(tokenizer), [given], config())["tasks"]["t"]
    assert found["items"] == ["q0", "q1", "q2", "q3"]
    assert len(found["refused"]) == 1
    assert {len(row["right"]) for row in found["cells"]} == {4}


def test_distinct_tokens_are_those_of_the_tree_of_all_requests():
    # texts 1 2 3, 1 2 4, 1 2 and 5: the tree has 1 2 3 4 5
    requests = [Request((1, 2, 3, 9), 1), Request((1, 2, 4, 9), 1), Request((1, 2, 9), 1), Request((5, 9), 1)]
    assert distinct_tokens([*requests, requests[0]]) == 5


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self.words += data


def test_the_page_shows_every_cell_and_every_prompt(report, task):
    page = Page(sensitivity_page(report, "weights"))
    circles = [attributes for tag, attributes in page.tags if tag == "circle"]
    assert len(circles) >= len(task["cells"])
    assert sum(tag == "pre" for tag, _ in page.tags) == len(task["prompts"])
    for prompt in task["prompts"]:
        assert prompt in page.words
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert len(set(ids)) == len(ids)
    assert {link.removeprefix("#") for link in links if link} <= set(ids)


def test_every_plot_has_words_for_those_who_do_not_see_it(report):
    page = Page(sensitivity_page(report, "weights"))
    assert all(attributes.get("aria-label") for tag, attributes in page.tags if tag == "svg")
    assert {attributes["role"] for tag, attributes in page.tags if tag == "svg"} == {"img"}


def test_what_a_question_says_never_becomes_part_of_the_page(model, tokenizer):
    items = [choice_item(f"q{n}{EVIL}", (f"one{EVIL}", "two"), 0, question=EVIL) for n in range(2)]
    given = [Task(EVIL, items, items)]
    text = sensitivity_page(sensitivity_report(model, tokenizer, prompting_of(tokenizer), given, config()), EVIL)
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "alert(1)" in page.words
    assert not re.search("[\x00-\x08\x1b]", text)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of two steps."""
    root: Path = tmp_path_factory.mktemp("sensitivity")
    mixed_corpus(root / "mix", [document(n) for n in range(12)], [document(n) for n in range(20, 22)])
    tokenize(TokenizeConfig(corpus=root / "mix", out=root / "tokens", vocabulary=300))
    train(TrainConfig(tokens=root / "tokens", out=root / "run", model="tiny", steps=2, batch=2, micro_batch=2))
    return root / "run"


def staged(run: Path, name: str) -> Result:
    settings = config(tasks=("planted-facts",), limit=4, sensitivity_shots=(0,))
    return evaluate(replace(settings, run=run, out=run.parent / name))


def test_the_stage_writes_the_report_and_says_it_in_results_and_tables(run):
    result = staged(run, "result")
    report = orjson.loads((result.path / SENSITIVITY).read_bytes())
    told = result.scores["libertas"]["sensitivity"]["planted-facts"]
    assert told["spread"] == report["tasks"]["planted-facts"]["spread"]
    assert told["lowest"]["mean"] + told["spread"] == pytest.approx(told["highest"]["mean"])
    assert (result.path / SENSITIVITY_PAGE).read_text("utf-8").startswith("<!doctype html>")
    shown = printed(tables(result))
    assert "4 questions" in shown
    assert "protocol " in shown
    assert SENSITIVITY_PAGE in shown.replace("\n", "")


def test_the_same_settings_give_the_same_report_byte_for_byte(run):
    first, second = staged(run, "result"), staged(run, "again")
    for name in (SENSITIVITY, SENSITIVITY_PAGE):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()


@pytest.mark.parametrize(
    ("field", "value"), [("sensitivity_items", -1), ("sensitivity_seeds", 0), ("sensitivity_orders", 0)]
)
def test_impossible_sizes_of_a_grid_are_named(field, value):
    with pytest.raises(UsageError, match=f"{field} is {value}"):
        config(**{field: value})
    with pytest.raises(UsageError, match="sensitivity_shots"):
        config(sensitivity_shots=(0, -1))


@pytest.mark.slow
def test_a_browser_draws_the_page_without_a_complaint(report, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on the PATH")
    page = tmp_path / "page.html"
    page.write_text(sensitivity_page(report, "weights"), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += [f"--user-data-dir={tmp_path}/profile", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += ["--virtual-time-budget=5000", "--enable-logging=stderr", "--v=0", "--dump-dom"]
    done = subprocess.run([*command, f"file://{page}"], capture_output=True, text=True, timeout=200, check=True)
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert done.stdout.count("<svg") == page.read_text("utf-8").count("<svg") > 5

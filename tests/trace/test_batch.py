"""The batch viewer: what it says of a step is what the step read, in every epoch, and the other way round."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from making import document, mixed_corpus

from libertas.cli import main
from libertas.errors import UsageError
from libertas.lineage.artifact import Draft
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.order import Order
from libertas.tokenize.pack import read_batch
from libertas.tokenize.store import TokenStore, tokenize
from libertas.trace.batch import Batches, batch_table, view_batch
from libertas.trace.batch_config import BatchConfig
from libertas.train.config import TrainConfig

STEPS, LENGTH = 50, 16


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, as far as its manifest goes: several epochs over documents of which some are repeated."""
    folder = tmp_path_factory.mktemp("batch")
    documents = [document(n, ("web", "code")[n % 3 == 0], f"text number {n} " * (1 + n % 9)) for n in range(60)]
    documents[7].meta["url"] = "https://example.org/seven"
    corpus = mixed_corpus(folder / "mix", [*documents, *documents[:4]], [])
    store = tokenize(TokenizeConfig(corpus=corpus, out=folder / "tokens", vocabulary=262))
    order = Order(tokens=len(store), length=LENGTH, batch=8, seed=3)
    assert order.sequences * 2 < STEPS * 8 < order.sequences * 3
    config = TrainConfig(tokens=folder / "tokens", out=folder / "run", steps=STEPS, batch=8, seed=3)
    draft = Draft(kind="run", out=config.out, config=config, inputs={"tokens": [config.tokens]}, code="libertas.train")
    with draft.build():
        draft.counts = {"steps": STEPS, "order": {**vars(order)}, "not_applied": [5]}
    return config.out


def shown(words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert not end.value.code


def test_every_line_of_a_step_holds_the_tokens_that_the_step_read(run: Path) -> None:
    batches = Batches(run)
    for step in (1, 17, STEPS):
        rows = read_batch(batches.store, batches.order, step).tokens
        lines = list(batches.of_step(step))
        for row, tokens in enumerate(rows.tolist()):
            told = [t for line in lines if line.content.row == row for t in batches.text_of(line.content)[0]]
            assert told == tokens
        for line in lines:
            corpus = batches.corpus
            assert corpus is not None
            assert batches.text_of(line.content)[1].removesuffix("<|endoftext|>") in corpus.fetch(line.document_id).text
            assert line.component == corpus.fetch(line.document_id).meta["component"]


def test_the_lines_of_a_document_are_those_of_all_steps_that_have_it(run: Path) -> None:
    batches = Batches(run)
    everything = [line for step in range(1, STEPS + 1) for line in batches.of_step(step)]
    for number in (0, 7, 33, 59):
        wanted = batches.store.document_id(number)
        assert list(batches.of_document(wanted)) == [line for line in everything if line.document_id == wanted]
        assert list(batches.of_document(wanted[:12])) == list(batches.of_document(wanted))


def test_how_often_a_document_is_read_counts_its_tokens_as_targets_in_all_copies(run: Path) -> None:
    batches = Batches(run)
    read = np.zeros(len(batches.store))
    for step in range(1, STEPS + 1):
        for number in batches.order.batch_of(step).astype(int):
            read[number * LENGTH + 1 : (number + 1) * LENGTH + 1] += 1
    offsets = batches.store.offsets.astype(int)
    for number in (0, 1, 2, 7, 59, 63):
        mine = [n for n in range(64) if batches.store.document_id(n) == batches.store.document_id(number)]
        assert len(mine) == (2 if number < 4 or number > 59 else 1)
        expected = sum(read[offsets[n] : offsets[n + 1]].sum() for n in mine) / (offsets[number + 1] - offsets[number])
        assert batches.times_read(number) == pytest.approx(expected)


def test_the_file_holds_every_line_with_its_text(run: Path, tmp_path: Path) -> None:
    view = view_batch(BatchConfig(run=run, step=6, rows=2, out=tmp_path / "new" / "six.jsonl"))
    lines = [orjson.loads(line) for line in (tmp_path / "new" / "six.jsonl").read_bytes().splitlines()]
    assert len(lines) == view.count > 2
    assert len(view.shown) == 2
    assert sum(len(line["tokens"]) for line in lines) == 8 * (LENGTH + 1)
    assert [(line["document"], line["first"]) for line in lines[:2]] == [
        (shown.document_id, shown.content.first) for shown in view.shown
    ]
    _, more = batch_table(view)
    assert f"{view.count - 2} more lines" in str(more)


def test_the_command_shows_addresses_and_says_what_was_not_learned(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seven = TokenStore.open(run.parent / "tokens").document_id(7)
    shown(["batch", str(run), "--document", seven, "--rows", "400"])
    out = "".join(capsys.readouterr().out.split())
    assert seven in out
    assert "https://example.org/seven" in out
    shown(["batch", str(run), "--step", "5"])
    assert "not learned, because of a spike: step 5" in capsys.readouterr().out


def test_what_the_run_does_not_have_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for step in (0, STEPS + 1, -3):
        with pytest.raises(UsageError, match=rf"step is {step}; expected 1 to 50, the steps of"):
            view_batch(BatchConfig(run=run, step=step))
    with pytest.raises(UsageError, match="trains on no document 'zzz'"):
        view_batch(BatchConfig(run=run, document="zzz"))
    with pytest.raises(UsageError, match=r"is the beginning of \d+ ids"):
        view_batch(BatchConfig(run=run, document=TokenStore.open(run.parent / "tokens").document_id(7)[:1]))
    for words, said in (([], "neither of step and document"), (["--step", "1", "--document", "a"], "both of step")):
        with pytest.raises(SystemExit):
            main(["batch", str(run), *words])
        assert said in capsys.readouterr().err
    with pytest.raises(UsageError, match="expected a run or a checkpoint"):
        view_batch(BatchConfig(run=run.parent / "tokens", step=1))

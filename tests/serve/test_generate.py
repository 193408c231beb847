"""Generating: the same settings, the same text, and every token with the probability the model gave it."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from making import small_corpus

from libertas.errors import UsageError
from libertas.lineage.walk import find_ancestor
from libertas.serve.config import GenerateConfig
from libertas.serve.generate import Generation, generate, generation_view
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train import checkpoint
from libertas.train.config import TrainConfig
from libertas.train.loop import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    tokenize(TokenizeConfig(corpus=small_corpus(folder / "mix"), out=folder / "tokens", vocabulary=300))
    train(TrainConfig(tokens=folder / "tokens", out=folder / "run", model="tiny", steps=20, batch=4, micro_batch=4))
    return folder / "run"


def made(run: Path, out: Path, **settings: Any) -> Generation:
    return generate(GenerateConfig(run=run, out=out, **{"prompt": "the value", "tokens": 30, **settings}))


def test_equal_settings_write_equal_bytes_whatever_the_number_of_threads(run: Path, tmp_path: Path) -> None:
    first = made(run, tmp_path / "a")
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    second = made(run, tmp_path / "b")
    torch.set_num_threads(threads)
    assert (first.path / "generation.json").read_bytes() == (second.path / "generation.json").read_bytes()
    other = made(run, tmp_path / "c", seed=1)
    assert other.record["token_ids"] != first.record["token_ids"]


def test_log_probabilities_are_those_of_one_pass_over_the_whole_text(run: Path, tmp_path: Path) -> None:
    record = made(run, tmp_path / "a").record
    loaded = checkpoint.load_checkpoint(run)
    ids = record["prompt_token_ids"] + record["token_ids"]
    with torch.no_grad():
        scores = loaded.model(torch.tensor([ids]))[0].log_softmax(-1)
    first = len(record["prompt_token_ids"])
    expected = [float(scores[n - 1, ids[n]]) for n in range(first, len(ids))]
    assert record["log_probabilities"] == pytest.approx(expected, abs=1e-4)


def test_the_text_continues_the_prompt(run: Path, tmp_path: Path) -> None:
    record = made(run, tmp_path / "a").record
    tokenizer = checkpoint.load_checkpoint(run).tokenizer
    assert tokenizer.decode(record["prompt_token_ids"]) == record["prompt"] == "the value"
    invalid = re.compile("\ufffd+")  # the library writes one for several bytes, we write one for each
    assert invalid.sub("?", tokenizer.decode(record["token_ids"])) == invalid.sub("?", record["text"])
    shown = next(line.plain for line in generation_view(Generation(tmp_path, record)))
    assert shown == "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in "the value" + record["text"])


def test_the_text_ends_before_the_first_stop_string_though_tokens_and_characters_are_cut_by_it(
    run: Path, tmp_path: Path
) -> None:
    free = made(run, tmp_path / "a").record
    stop = free["text"][5:8]
    record = made(run, tmp_path / "b", stop=("not there", stop), log_probabilities=False).record
    assert record["text"] == free["text"][: free["text"].index(stop)]
    assert (record["stopped_at"], record["ended"], free["stopped_at"]) == (stop, True, None)
    count = len(record["token_ids"])
    assert record["token_ids"] == free["token_ids"][:count]
    assert record["log_probabilities"] == [None] * count
    tokenizer = checkpoint.load_checkpoint(run).tokenizer
    written = [tokenizer.decode(record["token_ids"][:n]) for n in (count - 1, count)]
    assert [stop in text for text in written] == [False, True]


def test_an_empty_prompt_begins_a_document(run: Path, tmp_path: Path) -> None:
    record = made(run, tmp_path / "a", prompt="", tokens=1, temperature=0.0).record
    loaded = checkpoint.load_checkpoint(run)
    with torch.no_grad():
        likeliest = int(loaded.model(torch.tensor([[0]]))[0, -1].argmax())
    assert (record["prompt_token_ids"], record["token_ids"]) == ([], [likeliest])


def test_a_checkpoint_writes_as_the_model_was_then(run: Path, tmp_path: Path) -> None:
    early = run / "checkpoints" / "step-00000001"
    first, last = made(early, tmp_path / "a").record, made(run, tmp_path / "b").record
    assert (first["step"], last["step"]) == (1, 20)
    assert first["weights"] == checkpoint.load_checkpoint(early).weights_hash != last["weights"]
    assert find_ancestor(tmp_path / "a", "tokens") == run.parent / "tokens"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"tokens": 0}, "tokens is 0"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"seed": 2**63}, "seed is 9223372036854775808; expected a whole number"),
        ({"prompt": "\udcff"}, "prompt has bytes that are not UTF-8"),
        ({"stop": ("a", "")}, "stop has an empty text"),
        ({"stop": ("\udcff",)}, "stop has bytes that are not UTF-8"),
    ],
)
def test_settings_that_write_nothing_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        GenerateConfig(run=Path("run"), out=Path("out"), **settings)

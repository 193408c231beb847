"""The tokenize stage: the same bytes however it is run, killed and run again, and a sample as it was asked for."""

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import document, mixed_corpus, small_corpus, text
from test_bpe import renamed, saved
from test_encoder import made

from libertas.corpus import Corpus
from libertas.errors import DifferentArtifact, UsageError
from libertas.tokenize import bpe, parts
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.sample import sample_of
from libertas.tokenize.store import TokenStore, tokenize

MANY_TASKS = """
import libertas.corpus.store, libertas.tokenize.parts as parts
libertas.corpus.store.PIECE_BYTES = parts.TASK_PIECES = 1
"""
"""A task for each frame of a shard, so that little text makes several."""


def files_of(folder: Path) -> dict[str, bytes]:
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json")
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some frames of text in a shard."""
    folder = tmp_path_factory.mktemp("stage")
    documents = [document(n, ("web", "code")[n % 3 == 0], text(n, 200) * 40) for n in range(60)]
    return mixed_corpus(folder / "mix", documents[3:], documents[:3])


@pytest.fixture
def many_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.corpus.store.PIECE_BYTES", 1)
    monkeypatch.setattr(parts, "TASK_PIECES", 1)


@pytest.fixture(scope="module")
def whole(corpus: Path) -> dict[str, bytes]:
    """The bytes that a run makes which does all in one task."""
    tokenize(TokenizeConfig(corpus=corpus, out=corpus.parent / "whole", vocabulary=300, workers=1))
    return files_of(corpus.parent / "whole")


@pytest.mark.usefixtures("many_tasks")
@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_tasks_and_processes_writes_the_same_bytes(
    corpus: Path, whole: dict[str, bytes], tmp_path: Path, workers: int
) -> None:
    assert len(Corpus.open(corpus, "train").pieces(0)) > 5
    tokenize(TokenizeConfig(corpus=corpus, out=tmp_path / "tokens", vocabulary=300, workers=workers))
    assert files_of(tmp_path / "tokens") == whole


@pytest.mark.slow
def test_ray_writes_the_same_bytes(corpus: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    pytest.importorskip("ray")
    script = tmp_path / "on_ray.py"
    script.write_text(
        f"{MANY_TASKS}\n"
        "import sys; from pathlib import Path; from libertas.tokenize.store import tokenize; import ray\n"
        "from libertas.tokenize.config import TokenizeConfig\n"
        "if __name__ == '__main__':\n"
        "    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)\n"
        "    paths = {'corpus': Path(sys.argv[1]), 'out': Path(sys.argv[2])}\n"
        "    tokenize(TokenizeConfig(**paths, vocabulary=300, engine='ray'))\n"
    )
    subprocess.run([sys.executable, script, corpus, tmp_path / "ray"], check=True, capture_output=True)
    assert files_of(tmp_path / "ray") == whole


@pytest.mark.usefixtures("many_tasks")
@pytest.mark.parametrize("killed_at", [4])
def test_a_killed_run_goes_on_with_what_is_left(
    corpus: Path, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    out = tmp_path / "tokens"
    program = f"""
import os, signal, sys
from pathlib import Path
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.encoder import Encoder
from libertas.tokenize.store import tokenize
{MANY_TASKS}
usual, calls = Encoder.encode, []
def encode(self, texts):
    calls.append(1)
    if len(calls) == {killed_at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return usual(self, texts)
Encoder.encode = encode
tokenize(TokenizeConfig(corpus=Path(sys.argv[1]), out=Path(sys.argv[2]), vocabulary=300, workers=1))
"""
    killed = subprocess.run([sys.executable, "-c", program, corpus, out], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()

    done: list[str] = []
    usual = parts.encode_task

    def encode_task(task: parts.EncodeTask) -> tuple[int, int]:
        done.append(task.name)
        return usual(task)

    def learn_again(*_: object, **__: object) -> None:
        raise AssertionError("the vocabulary was there")

    monkeypatch.setattr(parts, "encode_task", encode_task)
    monkeypatch.setattr(bpe, "learn", learn_again)
    tokenize(TokenizeConfig(corpus=corpus, out=out, vocabulary=300, workers=1))
    assert files_of(out) == whole
    assert done[0] == f"train-{killed_at - 1}"


@pytest.mark.usefixtures("many_tasks")
def test_what_was_interrupted_is_not_taken_for_work_of_other_settings(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parts, "encode_task", fail)
    config = {"corpus": corpus, "out": tmp_path / "tokens", "workers": 1}
    with pytest.raises(KeyboardInterrupt):
        tokenize(TokenizeConfig(**config, vocabulary=300))
    assert (tmp_path / "tokens.partial" / "tokenizer.json").exists()
    with pytest.raises(DifferentArtifact, match="interrupted and was made differently"):
        tokenize(TokenizeConfig(**config, vocabulary=301))


def test_documents_of_no_tokens_and_no_documents_at_all_are_kept(tmp_path: Path) -> None:
    corpus = mixed_corpus(tmp_path / "mix", [document(1, content=""), *(document(n) for n in range(2, 40))], [])
    store = tokenize(TokenizeConfig(corpus=corpus, out=tmp_path / "tokens", vocabulary=300))
    assert store.document_tokens(0).tolist() == [0]
    assert len(TokenStore.open(store.path, "validation").document_ids) == 0


def test_the_end_of_text_of_others_closes_documents(corpus: Path, tmp_path: Path) -> None:
    path = saved(renamed("<done>"), tmp_path, {"eos_token": "<done>"})
    store = tokenize(TokenizeConfig(corpus=corpus, out=tmp_path / "tokens", tokenizer=path))
    assert store.manifest.counts["end_of_text"] == store.closing == 0
    assert int((np.asarray(store.tokens) == 0).sum()) == len(store.document_ids)
    assert store.tokenizer().decode([5], skip_special_tokens=False) == renamed("<done>").decode([5])


def test_other_settings_beside_a_tokenizer_are_another_input(corpus: Path, tmp_path: Path) -> None:
    path = saved(made("llama3"), tmp_path, {"eos_token": "<|endoftext|>"})
    config = TokenizeConfig(corpus=corpus, out=tmp_path / "tokens", tokenizer=path)
    tokenize(config)
    saved(made("llama3"), tmp_path, {"eos_token": "a"})
    with pytest.raises(DifferentArtifact, match=r"its input \(corpus, tokenizer\) had other content"):
        tokenize(config)


def test_more_than_256_components_are_refused(tmp_path: Path) -> None:
    corpus = mixed_corpus(tmp_path / "mix", [document(n, f"c{n}") for n in range(257)], [])
    with pytest.raises(UsageError, match="has 257 components; expected 256 or fewer"):
        tokenize(TokenizeConfig(corpus=corpus, out=tmp_path / "tokens", vocabulary=300))


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """300 documents of `web`, 60 of `code`, 30 of `books`, all of about the same size."""
    folder = tmp_path_factory.mktemp("uneven")
    names = ["web"] * 300 + ["code"] * 60 + ["books"] * 30
    documents = [document(n, name, f"{name} {text(n)}") for n, name in enumerate(names)]
    return Corpus.open(mixed_corpus(folder / "mix", documents, []), "train")


def shares_of(texts: list[str]) -> dict[str, float]:
    sizes: Counter[str] = Counter()
    for content in texts:
        sizes[content.split()[0]] += len(content.encode())
    return {name: size / sizes.total() for name, size in sizes.items()}


def test_a_sample_has_the_shares_that_were_asked_for(uneven: Corpus) -> None:
    sample = sample_of(uneven, 0.02, {"code": 0.5})
    texts = list(sample)
    found = shares_of(texts)
    assert found["code"] == pytest.approx(0.5, abs=0.03)
    assert found["web"] / found["books"] == pytest.approx(10, rel=0.2)
    assert sum(len(t.encode()) for t in texts) == pytest.approx(20_000, rel=0.05)
    assert sample.bytes == pytest.approx(20_000, rel=0.001)
    assert texts == list(sample)


def test_a_component_gives_at_most_what_it_has(uneven: Corpus) -> None:
    texts = list(sample_of(uneven, 0.05, {"books": 1.0}))
    assert len(texts) == 30
    assert shares_of(texts) == {"books": 1.0}


def test_without_shares_the_sample_is_mixed_as_the_corpus_is(uneven: Corpus) -> None:
    everything = [d.text for d in uneven]
    assert list(sample_of(uneven, 1000, {})) == everything
    total = uneven.manifest.counts["train_bytes"]
    assert list(sample_of(uneven, total / 4e6, {})) == everything[::4]


SHARE = st.floats(0, 0.33, allow_subnormal=False)


@given(st.dictionaries(st.sampled_from(["web", "code", "books"]), SHARE), st.floats(0.001, 1))
def test_a_sample_is_never_larger_than_what_was_asked_for(
    uneven: Corpus, shares: dict[str, float], megabytes: float
) -> None:
    longest = max(len(d.text) for d in uneven)
    texts = list(sample_of(uneven, megabytes, shares))
    assert sum(map(len, texts)) <= megabytes * 1e6 + (3 * longest if shares else len(uneven) * longest)


def test_a_share_of_no_component_is_refused(uneven: Corpus) -> None:
    with pytest.raises(UsageError, match=r"shares\.wiki is of no component; the corpus has books, code, web"):
        sample_of(uneven, 1, {"wiki": 0.5})


def test_all_choices_together_make_a_vocabulary(tmp_path: Path) -> None:
    store = tokenize(
        TokenizeConfig(
            corpus=small_corpus(tmp_path / "mix"),
            out=tmp_path / "tokens",
            vocabulary=350,
            splitting="neox",
            digits=True,
            padding=True,
            fim=True,
            sentinels=5,
            shares={"code": 0.5},
        )
    )
    tokenizer = store.tokenizer()
    assert store.vocabulary == bpe.vocabulary_size(tokenizer) == 350
    assert [tokenizer.token_to_id(name) for name in ("<|padding|>", "<fim_pad>", "<extra_id_4>", " " * 24)] == [
        1, 5, 10, 327,
    ]  # fmt: skip
    for number, item in enumerate(store.corpus()):
        assert tokenizer.decode(store.document_tokens(number)[:-1].tolist()) == item.text

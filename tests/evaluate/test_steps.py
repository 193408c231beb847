"""Checkpoints of one run under one result's settings: the same scores, and nothing prepared twice."""

from pathlib import Path

import pytest
from making import printed, small_corpus

from libertas.errors import UsageError
from libertas.evaluate import asked
from libertas.evaluate.config import EvaluateConfig, StepsConfig
from libertas.evaluate.contamination import scores as leak_scores
from libertas.evaluate.result import RESULTS, evaluate
from libertas.evaluate.steps import evaluate_steps, steps_table
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train.config import TrainConfig
from libertas.train.loop import train


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, which keeps the checkpoints 0, 1 and 2, and a result of it."""
    root = tmp_path_factory.mktemp("steps")
    tokenize(TokenizeConfig(corpus=small_corpus(root / "mix", 60), out=root / "tokens", vocabulary=300))
    train(TrainConfig(tokens=root / "tokens", out=root / "run", model="tiny", steps=2, batch=2, micro_batch=2))
    evaluate(EvaluateConfig(run=root / "run", tasks=("planted-facts",), limit=12, items=0, out=root / "result"))
    return root


def test_every_checkpoint_is_scored_as_the_result_was_and_the_last_one_is_that_result(life: Path) -> None:
    results = evaluate_steps(StepsConfig(result=life / "result", out=life / "all"))
    assert [result.scores["libertas"]["step"] for result in results] == [0, 1, 2]
    assert [result.path.name for result in results] == ["step-00000000", "step-00000001", "step-00000002"]
    assert (results[-1].path / RESULTS).read_bytes() == (life / "result" / RESULTS).read_bytes()
    shown = printed(steps_table(results))
    assert max(map(len, shown.splitlines())) <= 80
    assert "planted-facts letters" in " ".join(shown.split())


def test_prompts_become_tokens_once_and_items_are_looked_up_once(life: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded, looked_up = [], []
    encode, find = asked.encode_pairs, leak_scores.find_leaks
    monkeypatch.setattr(asked, "encode_pairs", lambda *given, **named: encoded.append(1) or encode(*given, **named))
    monkeypatch.setattr(leak_scores, "find_leaks", lambda *given: looked_up.append(1) or find(*given))
    asked._TOKENIZED.clear()
    leak_scores._LAST.clear()
    evaluate_steps(StepsConfig(result=life / "result", steps=(1, 2), out=life / "again"))
    assert (len(encoded), len(looked_up)) == (1, 1)


def test_a_step_without_a_checkpoint_and_a_result_of_a_checkpoint_are_refused(life: Path) -> None:
    with pytest.raises(UsageError, match=r"keeps no checkpoint of step 7; it keeps 0, 1, 2; see `libertas replay`"):
        evaluate_steps(StepsConfig(result=life / "result", steps=(7,), out=life / "none"))
    (single,) = evaluate_steps(StepsConfig(result=life / "result", steps=(1,), out=life / "single"))
    with pytest.raises(UsageError, match="expected the result of a run"):
        evaluate_steps(StepsConfig(result=single.path, out=life / "none"))

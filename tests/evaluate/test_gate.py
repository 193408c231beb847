"""A model that is scored beside a baseline: one verdict with `libertas compare`, and its exit status."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from test_compare import result

from libertas.errors import UsageError
from libertas.evaluate import gate
from libertas.evaluate.compare import NoGo, TooFewItems
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.result import Result
from libertas.lineage.fingerprint import identity

NAMES = [f"i{n}" for n in range(400)]


@dataclass
class Scored:
    """Counts how often something is scored."""

    times: int = 0


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Scored:
    """Scoring finds what lies at `out` already."""
    found = Scored()

    def evaluate(config: EvaluateConfig) -> Result:
        found.times += 1
        return Result.open(config.out)

    monkeypatch.setattr(gate, "evaluate", evaluate)
    monkeypatch.setattr(gate, "tables", lambda result: ["the scores"])
    return found


def settings(out: Path, baseline: Path | None, asked: bool = True) -> EvaluateConfig:
    return EvaluateConfig(run=Path("run"), tasks=("arithmetic",), out=out, baseline=baseline, gate=asked)


def test_the_gate_says_go_no_go_or_inconclusive_as_compare_does(tmp_path: Path, scored: Scored) -> None:
    good = result(tmp_path / "good", dict.fromkeys(NAMES, True), {})
    bad = result(tmp_path / "bad", {name: n % 2 == 0 for n, name in enumerate(NAMES)}, {})
    few = result(tmp_path / "few", dict.fromkeys(NAMES[:3], True), {})
    assert "GO: no score fell" in str(list(gate.evaluation_tables(gate.evaluate_against(settings(good, bad))))[-1])
    for out, error, status in ((bad, NoGo, 1), (few, TooFewItems, 3)):
        shown = iter(gate.evaluation_tables(gate.evaluate_against(settings(out, good))))
        assert next(shown) == "the scores"
        with pytest.raises(error) as ended:
            list(shown)
        assert ended.value.status == status
    assert scored.times == 3


def test_without_a_gate_the_baseline_is_only_shown(tmp_path: Path, scored: Scored) -> None:
    good = result(tmp_path / "good", dict.fromkeys(NAMES, True), {})
    bad = result(tmp_path / "bad", dict.fromkeys(NAMES, False), {})
    shown = list(gate.evaluation_tables(gate.evaluate_against(settings(bad, good, asked=False))))
    assert "NO-GO" not in str(shown[-1])
    assert len(shown) > 2
    assert list(gate.evaluation_tables(gate.evaluate_against(settings(bad, None, asked=False)))) == ["the scores"]


def test_a_baseline_that_is_no_result_is_refused_before_anything_is_scored(tmp_path: Path, scored: Scored) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        gate.evaluate_against(settings(tmp_path / "out", tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="names one result twice"):
        gate.evaluate_against(settings(tmp_path / "out", tmp_path / "out"))
    assert scored.times == 0


def test_a_gate_needs_a_baseline_and_a_margin_that_can_be_meant(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gate is asked for without a baseline"):
        settings(tmp_path, None)
    with pytest.raises(UsageError, match="margin is -1"):
        EvaluateConfig(run=Path("run"), tasks=("arithmetic",), out=tmp_path, margin=-1)


def test_a_baseline_is_no_part_of_what_a_result_is(tmp_path: Path) -> None:
    alone = EvaluateConfig(run=Path("run"), tasks=("arithmetic",), out=tmp_path)
    assert identity(alone) == identity(replace(alone, baseline=tmp_path / "old", gate=True, margin=0.5))

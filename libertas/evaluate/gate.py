"""`libertas evaluate --baseline OLD --gate`: a model is scored, and compared at once with the one it may replace."""

from collections.abc import Iterable
from dataclasses import dataclass

from libertas.evaluate.compare import Comparison, compare, opened_result
from libertas.evaluate.compare_tables import comparison_tables
from libertas.evaluate.config import CompareConfig, EvaluateConfig
from libertas.evaluate.result import Result, evaluate, tables


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A result, beside a baseline if one was named."""

    result: Result
    comparison: Comparison | None


def evaluate_against(config: EvaluateConfig) -> Evaluation:
    """Score a model, and compare it with the baseline if there is one.

    Raises:
        UsageError: as `evaluate` and `compare` do; what is wrong with the baseline is said before anything is scored.
    """
    if config.baseline is None:
        return Evaluation(evaluate(config), None)
    against = CompareConfig(results=(config.baseline, config.out), gate=config.gate, margin=config.margin)
    opened_result(config.baseline)
    return Evaluation(evaluate(config), compare(against))


def evaluation_tables(evaluation: Evaluation) -> Iterable[object]:
    """The scores, then what changed since the baseline.

    Raises:
        NoGo, TooFewItems: as `comparison_tables`.
    """
    yield from tables(evaluation.result)
    if evaluation.comparison:
        yield from comparison_tables(evaluation.comparison)

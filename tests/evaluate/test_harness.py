"""lm-eval's tasks with our model as the backend, beside lm-eval's own backend on the exported weights."""

import random
from pathlib import Path
from typing import Any

import orjson
import pytest

pytest.importorskip("lm_eval", reason="lm-eval is not installed")

from test_result import write_corpus

from libertas.errors import UsageError
from libertas.evaluate.config import HarnessConfig
from libertas.evaluate.harness import run_harness
from libertas.exchange.config import ExportConfig
from libertas.exchange.folder import export_model
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train.config import TrainConfig
from libertas.train.loop import train

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

LETTERS = """
task: local_letters
description: "The following are questions (with answers) about words.\\n\\n"
num_fewshot: 5
fewshot_split: test
fewshot_config: {{sampler: first_n}}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}\\nA. {{{{choices[0]}}}}\\nB. {{{{choices[1]}}}}\\nAnswer:"
doc_to_choice: ["A", "B"]
doc_to_target: gold
metric_list: [{{metric: acc}}]
"""
CLOZE = """
task: local_cloze
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
fewshot_split: test
num_fewshot: 2
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: gold
metric_list: [{{metric: acc}}, {{metric: acc_norm}}, {{metric: acc_mutual_info}}]
"""
ROLLING = """
task: local_rolling
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list: [{{metric: word_perplexity}}, {{metric: byte_perplexity}}, {{metric: bits_per_byte}}]
"""
GENERATION = """
task: local_generation
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{choices[0]}}}}"
generation_kwargs: {{until: [" ba"], max_gen_toks: 12, do_sample: false}}
metric_list: [{{metric: exact_match}}]
"""
TASKS = ("local_letters", "local_cloze", "local_rolling", "local_generation")


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small GPT-NeoX, its Hugging Face folder, and four tasks over local files."""
    root = tmp_path_factory.mktemp("harness")
    documents = write_corpus(root / "mix")
    tokenize(TokenizeConfig(corpus=root / "mix", out=root / "tokens", vocabulary=320))
    train(TrainConfig(tokens=root / "tokens", out=root / "run", model="tiny-neox", steps=30, batch=2, micro_batch=2))
    export_model(ExportConfig(checkpoint=root / "run", out=root / "hf", to="hf"))
    generator = random.Random(1)
    words = documents[1].text.split()
    rows = []
    for _ in range(20):
        at = generator.randrange(len(words) - 8)
        choices = [" ".join(words[at + 4 : at + 7]), " ".join(generator.sample(words, 3))]
        rows.append(
            {"question": " ".join(words[at : at + 4]), "choices": choices, "gold": 0, "text": documents[1].text}
        )
    (root / "rows.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    (root / "tasks").mkdir()
    for name, text in zip(TASKS, (LETTERS, CLOZE, ROLLING, GENERATION), strict=True):
        (root / "tasks" / f"{name}.yaml").write_text(text.format(file=root / "rows.jsonl"))
    return root


DISCRETE = ("acc,none", "acc_norm,none", "acc_mutual_info,none", "exact_match,none")


def of_its_own_backend(life: Path, dtype: str) -> dict[str, Any]:
    """What lm-eval finds with the exported weights."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    found: dict[str, Any] = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(life / "hf"), "dtype": dtype, "device": "cpu"},
        tasks=list(TASKS),
        task_manager=TaskManager(include_path=str(life / "tasks"), include_defaults=False),
        bootstrap_iters=0,
        batch_size=1,
    )
    return found


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_every_metric_request_and_answer_is_that_of_lm_evals_own_backend(
    life: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    settings = {"run": life / "run", "tasks": TASKS, "include_path": life / "tasks", "threads": 1}
    ours = run_harness(HarnessConfig(out=life / precision, precision=precision, **settings))
    theirs = of_its_own_backend(life, precision)
    compared = 0
    for task in TASKS:
        for key, value in theirs["results"][task].items():
            if key in DISCRETE:
                assert ours.results[task][key] == value, (task, key)
            elif isinstance(value, float) and "stderr" not in key:
                assert ours.results[task][key] == pytest.approx(value, rel=1e-6, abs=1e-6), (task, key)
            compared += isinstance(value, float)
    assert compared >= 8
    samples = [orjson.loads(line) for line in (life / precision / "samples.jsonl").read_bytes().splitlines()]
    assert len(samples) == 20 * len(TASKS)
    for task in TASKS:
        own = [row for row in samples if row["task"] == task]
        for mine, other in zip(own, theirs["samples"][task], strict=True):
            assert mine["doc_hash"] == other["doc_hash"]
            assert mine["prompt_hash"] == other["prompt_hash"]
            assert mine["arguments"] == orjson.loads(orjson.dumps(other["arguments"]))  # every prompt, byte by byte
            if task == "local_generation":
                assert mine["resps"] == other["resps"]
            elif task == "local_rolling":
                assert float(mine["resps"][0][0]) == pytest.approx(float(other["resps"][0][0]), rel=1e-6)
            else:
                for (score, likeliest), (their_score, theirs_likeliest) in zip(
                    mine["filtered_resps"], other["filtered_resps"], strict=True
                ):
                    assert float(score) == pytest.approx(their_score, rel=1e-5)
                    assert str(likeliest) == str(theirs_likeliest)


def test_a_task_that_lm_eval_does_not_know_is_refused(life: Path) -> None:
    config = HarnessConfig(run=life / "run", tasks=("nothing",), include_path=life / "tasks", out=life / "none")
    with pytest.raises(UsageError, match="lm-eval knows no task 'nothing'"):
        run_harness(config)

"""Seconds for a suite of multiple choice: `libertas evaluate` beside lm-eval's own backend, same weights, same items.

Usage: python benchmarks/evaluate_suite.py [ROUNDS] --peer PYTHON [--shapes letters,cloze,endings] [--size pythia-70m]
           [--data FOLDER] [--subjects 4] [--items 48] [--threads 2] [--batches 1,8,16]

    letters  MMLU with five examples, the choices shown and their letters compared (lm-eval's `mmlu`)
    cloze    MMLU with five examples, the choices hidden and their texts compared (lm-eval's `mmlu_continuation`)
    endings  four endings of a passage without examples, as long as HellaSwag's

`--data` names a folder with `eval/mmlu_test.jsonl.gz`, `eval/mmlu_dev.jsonl.gz` and `text/*.txt`; without it, items of
the same shape are made of drawn words. `--items` are those of one subject; so many share their five examples. Weights
are drawn, a GPT-NeoX of a published size; it is imported, and exported again for lm-eval, which `--peer` runs: a Python
that has libertas, lm-eval and transformers. lm-eval has the fastest of the batch sizes, tried on a part of the items;
`auto` is not tried: it begins with 64 rows of 2,048 tokens, whose logits fill 26 GB.

Each system is a process of its own that works when it is its turn; the order moves on at each round, and medians over
ROUNDS (3) count. Seconds are those from items in memory to rows of results: words, tokens, model, choices. Ours also
asks every item without its question, for the baseline that `libertas evaluate` prints; `libertas-plain` is the same
without that, which is what lm-eval does. Prints a line of JSON for each system and shape.
"""

import argparse
import dataclasses
import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SHAPES = {"letters": ("harness",), "cloze": ("harness-text", "harness-text/characters"), "endings": ("text",)}
"""What is measured, and our readings of it; lm-eval's metrics are `acc` and `acc_norm`, in the same order."""
SHOTS, VOCABULARY, GAIN = 5, 16_384, 1.5
SYSTEMS = ("libertas", "libertas-plain", "lm-eval")
TRIED = 4
"""Items of each subject on which lm-eval's batch sizes are tried."""
TOPIC = "<|endoftext|>The following are {}questions (with answers) about {}.\\n\\n"
"""lm-eval's descriptions, behind the token that ours begins every text with."""
ASKED = {
    "letters": r"""doc_to_text: "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. """
    r"""{{choices[3]}}\nAnswer:"
doc_to_choice: ["A", "B", "C", "D"]""",
    "cloze": r"""doc_to_text: "Question: {{question.strip()}}\nAnswer:"
doc_to_choice: "{{choices}}" """,
    "endings": """doc_to_text: "<|endoftext|>{{passage}}"
doc_to_choice: "{{choices}}" """,
}
Row = dict[str, Any]
Outcome = dict[str, Any]


def drawn_words(seed: str, count: int) -> str:
    """Words whose frequencies fall as in a language, with sentences of some twenty words."""
    rng = random.Random(seed)
    syllables = [a + b for a in (*"bdfgklmnprstv", "st", "tr", "pl") for b in (*"aeiou", "an", "er", "on")]
    words = ["".join(random.Random(n).choices(syllables, k=1 + n % 4)) for n in range(6000)]
    drawn = rng.choices(words, [1 / (n + 2) for n in range(len(words))], k=count)
    return " ".join(word + ("." if rng.random() < 0.05 else "") for word in drawn)


def texts_of(data: Path | None) -> list[str]:
    """Texts to learn the vocabulary from."""
    if data is None:
        return [drawn_words(f"text {n}", 2000) for n in range(150)]
    return [part for path in sorted(data.glob("text/*.txt")) for part in path.read_text().split("\n \n") if part]


def mmlu(data: Path | None, subjects: int, items: int) -> dict[str, dict[str, list[Row]]]:
    """Rows of MMLU's test and dev sets, by subject; the subjects are evenly spread over the alphabet."""
    found: dict[str, dict[str, list[Row]]] = {}
    if data is not None:
        for part in ("test", "dev"):
            for line in gzip.decompress((data / f"eval/mmlu_{part}.jsonl.gz").read_bytes()).splitlines():
                row = json.loads(line)
                found.setdefault(row["subject"], {"test": [], "dev": []})[part].append(row)
        names = sorted(found)
        chosen = [names[n * len(names) // subjects] for n in range(subjects)]
        return {name: {"test": found[name]["test"][:items], "dev": found[name]["dev"]} for name in chosen}

    def row(subject: str, number: int) -> Row:
        words = drawn_words(f"{subject} {number}", 80).split()
        choices = [" ".join(words[40 + 8 * n : 48 + 8 * n]) for n in range(4)]
        return {"question": " ".join(words[:36]) + "?", "choices": choices, "answer": number % 4, "subject": subject}

    return {
        s: {"test": [row(s, n) for n in range(items)], "dev": [row(s, -n - 1) for n in range(SHOTS)]}
        for s in (f"subject_{n}" for n in range(subjects))
    }


def endings(texts: list[str], count: int) -> Iterator[Row]:
    """Passages of about 48 words, the 21 that follow, and 21 from elsewhere three times: HellaSwag's lengths."""
    words = " ".join(texts).split()
    rng = random.Random(0)
    for number in range(count):
        at, *others = (rng.randrange(len(words) - 100) for _ in range(4))
        choices = [" ".join(words[n : n + 21]) for n in (at + 48, *others)]
        order = rng.sample(range(4), 4)
        yield {
            "activity_label": "Text", "ctx_a": " ".join(words[at : at + 48]), "ctx_b": "",
            "endings": [choices[n] for n in order], "label": order.index(0), "ind": number,
        }  # fmt: skip


def write_rows(path: Path, rows: list[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def prepare(folder: Path, given: argparse.Namespace) -> None:
    """Write items, lm-eval's tasks over them, and the weights, as a checkpoint and as lm-eval reads them."""
    from libertas.evaluate.task import load_task

    data = Path(given.data) if given.data else None
    texts = texts_of(data)
    tests: list[Row] = []
    for shape in ASKED:
        (folder / shape).mkdir()
    examples: list[Row] = []
    for subject, parts in mmlu(data, given.subjects, given.items).items():
        tests += parts["test"]
        examples += parts["dev"]
        for part, rows in parts.items():
            write_rows(folder / f"{subject}-{part}.jsonl", rows)
        files = f"{{test: {folder}/{subject}-test.jsonl, dev: {folder}/{subject}-dev.jsonl}}"
        for shape, words in (("letters", "multiple choice "), ("cloze", "")):
            about = TOPIC.format(words, subject.replace("_", " "))
            more = f'fewshot_split: dev\nfewshot_config: {{sampler: first_n}}\ndescription: "{about}"\n'
            write_task(folder, shape, subject, files, more + "doc_to_target: answer")
    write_rows(folder / "mmlu-test.jsonl", tests)
    write_rows(folder / "mmlu-dev.jsonl", examples)
    write_rows(folder / "endings.jsonl", list(endings(texts, given.subjects * given.items)))
    items = [dataclasses.asdict(item) for item in load_task(f"hellaswag={folder}/endings.jsonl", 0).items]
    rows = [{k: i[k] for k in ("passage", "gold")} | {"choices": [c[1:] for c in i["choices"]]} for i in items]
    write_rows(folder / "endings-peer.jsonl", rows)
    write_task(folder, "endings", "all", f"{{test: {folder}/endings-peer.jsonl}}", "doc_to_target: gold")
    write_weights(folder, given.size, texts)


def write_task(folder: Path, shape: str, part: str, files: str, more: str) -> None:
    text = f"task: {shape}_{part}\ndataset_path: json\ndataset_kwargs: {{data_files: {files}}}\ntest_split: test\n"
    metrics = "metric_list: [{metric: acc}, {metric: acc_norm}]\noutput_type: multiple_choice\n"
    (folder / shape / f"{part}.yaml").write_text(f"{text}{metrics}{ASKED[shape]}\n{more}\n")


def write_weights(folder: Path, size: str, texts: list[str]) -> None:
    """Drawn so widely (GAIN / sqrt(width)) that answers depend on the question, as a trained model's do."""
    import torch
    import transformers

    from libertas.exchange.config import ExportConfig, ImportConfig
    from libertas.exchange.folder import export_model, import_model
    from libertas.model.sizes import named_size
    from libertas.tokenize.bpe import learn

    shape = named_size(size)
    torch.manual_seed(0)
    settings = transformers.GPTNeoXConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.width, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, intermediate_size=4 * shape.width, max_position_embeddings=shape.context,
        initializer_range=GAIN / shape.width**0.5, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    transformers.GPTNeoXForCausalLM(settings).save_pretrained(folder / "drawn")
    tokenizer = learn(texts, VOCABULARY if len("".join(texts)) > 3e6 else VOCABULARY // 4)
    tokenizer.save(str(folder / "drawn" / "tokenizer.json"))
    import_model(ImportConfig(folder=folder / "drawn", out=folder / "checkpoint"))
    export_model(ExportConfig(checkpoint=folder / "checkpoint", out=folder / "exported"))


def libertas(folder: Path, shape: str, plain: bool) -> Callable[[], Outcome]:
    """Load, and return what answers all items."""
    import orjson
    import torch

    from libertas.evaluate.answer import Arrangement, answer_arranged
    from libertas.evaluate.reading import reading_named
    from libertas.evaluate.shots import Shots
    from libertas.evaluate.task import load_task
    from libertas.train.checkpoint import load_checkpoint

    torch.set_flush_denormal(True)
    checkpoint = load_checkpoint(folder / "checkpoint")
    model = checkpoint.model
    mmlu_task = f"mmlu={folder}/mmlu-test.jsonl,{folder}/mmlu-dev.jsonl"
    task = load_task(f"hellaswag={folder}/endings.jsonl" if shape == "endings" else mmlu_task, 0)
    readings = [reading_named(name) for name in SHAPES[shape]]
    shots = Shots(count=0 if shape == "endings" else SHOTS)
    counts = counted(model, "hidden", lambda tokens, *_: tokens.numel())
    unembedded = counted(model, "unembed", lambda hidden, *_: hidden.shape[:-1].numel())
    arrangement = Arrangement(items=task.items, readings=readings, pool=task.pool, shots=shots)

    def run() -> Outcome:
        counts[0] = unembedded[0] = 0
        started, worked = time.perf_counter(), time.process_time()
        (choices,) = answer_arranged(model, checkpoint.tokenizer, [arrangement], "suite", blind=not plain)
        rows = [orjson.dumps(choice.to_json()) for choice in choices]
        seconds, cpu = time.perf_counter() - started, time.process_time() - worked
        assert len(rows) == len(task.items) * len(readings)
        chosen = {r.name: [c.chosen for c in choices if c.reading == r.name] for r in readings}
        right = {r.name: [c.correct for c in choices if c.reading == r.name] for r in readings}
        return {
            "seconds": seconds, "cpu": cpu, "tokens": counts[0], "unembedded": unembedded[0],
            "chosen": chosen[readings[0].name],
            "scores": [lp for c in choices if c.reading == readings[0].name for lp in c.log_probabilities],
            "aggregates": [sum(right[r.name]) / len(task.items) for r in readings],
        }  # fmt: skip

    return run


def counted(of: Any, name: str, amount: Callable[..., int]) -> list[int]:
    """Count what a method is given."""
    total, method = [0], getattr(of, name)

    def counting(*given: Any, **named: Any) -> Any:
        total[0] += amount(*given)
        return method(*given, **named)

    setattr(of, name, counting)
    return total


def lm_eval(folder: Path, shape: str, batch: int, limit: int | None) -> Callable[[], Outcome]:
    """Load, and return what answers all items of the tasks in a folder."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_DATASETS_CACHE=str(folder / "cache"))
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = HFLM(str(folder / "exported"), dtype="float32", device="cpu", batch_size=batch)
    names = sorted(path.stem for path in (folder / shape).glob("*.yaml"))
    manager = TaskManager(include_path=str(folder / shape), include_defaults=False)
    tasks = manager.load([f"{shape}_{name}" for name in names])
    for task in tasks["tasks"].values():
        task.set_config(key="num_fewshot", value=0 if shape == "endings" else SHOTS)
    counts = counted(model, "_model_call", lambda tokens, *_: tokens.numel())

    def run() -> Outcome:
        counts[0] = 0
        started, worked = time.perf_counter(), time.process_time()
        found = evaluate(model, tasks, limit=limit, bootstrap_iters=0)
        seconds, cpu = time.perf_counter() - started, time.process_time() - worked
        samples = [row for name in names for row in found["samples"][f"{shape}_{name}"]]
        totals = [[response[0] for response in row["filtered_resps"]] for row in samples]
        metrics = ("acc", "acc_norm")[: len(SHAPES[shape])]
        return {
            "seconds": seconds, "cpu": cpu, "tokens": counts[0], "unembedded": counts[0],
            "chosen": [max(range(len(row)), key=row.__getitem__) for row in totals],
            "scores": [lp for row in totals for lp in row],
            "aggregates": [sum(row[metric] for row in samples) / len(samples) for metric in metrics],
        }  # fmt: skip

    return run


PIPE = os.fdopen(os.dup(1), "w")
"""To the process that leads; whatever else is printed goes elsewhere."""


def work(given: argparse.Namespace) -> None:
    """Be a system: load, say so, and answer all items whenever a line comes."""
    import torch

    os.dup2(2, 1)
    torch.set_num_threads(given.threads)
    folder = Path(given.folder)
    if given.worker == "lm-eval":
        run = lm_eval(folder, given.shapes, int(given.batches), given.limit)
    else:
        run = libertas(folder, given.shapes, given.worker == "libertas-plain")
    print("{}", file=PIPE, flush=True)
    while sys.stdin.readline():
        print(json.dumps(run()), file=PIPE, flush=True)


class Worker:
    """A system in a process of its own."""

    def __init__(self, system: str, shape: str, folder: Path, given: argparse.Namespace, *more: str) -> None:
        python = given.peer if system == "lm-eval" else sys.executable
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [python, __file__, "--worker", system, "--shapes", shape, "--folder", str(folder),
             "--threads", str(given.threads), *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": str(given.threads)},
        )  # fmt: skip
        self.read()
        self.start_up = time.perf_counter() - started

    def read(self) -> Outcome:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} ended")
        found: Outcome = json.loads(line)
        return found

    def run(self) -> Outcome:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.read()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def best_batch(shape: str, folder: Path, given: argparse.Namespace) -> dict[str, float]:
    """Seconds of the processor that lm-eval takes with each batch size, on a part of the items."""
    tried = {}
    for size in given.batches.split(","):
        worker = Worker("lm-eval", shape, folder, given, "--batches", size, "--limit", str(TRIED))
        tried[size] = round(worker.run()["cpu"], 2)
        worker.end()
    return tried


def measure(shape: str, folder: Path, given: argparse.Namespace) -> None:
    """All systems in turns; prints a line for each."""
    tried = best_batch(shape, folder, given)
    batch = min(tried, key=lambda size: tried[size])
    workers = {s: Worker(s, shape, folder, given, *(["--batches", batch] if s == "lm-eval" else [])) for s in SYSTEMS}
    outcomes: dict[str, list[Outcome]] = {system: [] for system in SYSTEMS}
    for number in range(given.rounds):
        for place in range(len(SYSTEMS)):
            system = SYSTEMS[(number + place) % len(SYSTEMS)]
            outcomes[system].append(workers[system].run())
    for worker in workers.values():
        worker.end()
    theirs = outcomes["lm-eval"][0]
    seconds, cpu = (
        {system: statistics.median(one[what] for one in found) for system, found in outcomes.items()}
        for what in ("seconds", "cpu")
    )
    for system, found in outcomes.items():
        mine, start_up = found[0], workers[system].start_up
        with_start = (seconds["lm-eval"] + workers["lm-eval"].start_up) / (seconds[system] + start_up)
        line = {
            "benchmark": "evaluate_suite", "shape": shape, "system": system, "model": given.size,
            "items": len(theirs["chosen"]), "requests": len(theirs["scores"]), "seconds": round(seconds[system], 2),
            "start_up": round(start_up, 2), "times_faster": round(seconds["lm-eval"] / seconds[system], 2),
            "times_faster_with_start_up": round(with_start, 2), "cpu_seconds": round(cpu[system], 2),
            "times_less_cpu": round(cpu["lm-eval"] / cpu[system], 2),
            "tokens": mine["tokens"], "times_fewer_tokens": round(theirs["tokens"] / mine["tokens"], 2),
            "unembedded": mine["unembedded"],
            "decisions_equal": sum(a == b for a, b in zip(mine["chosen"], theirs["chosen"], strict=True)),
            "scores_apart": max(abs(a - b) for a, b in zip(mine["scores"], theirs["scores"], strict=True)),
            "aggregates_apart": max(abs(a - b) for a, b in zip(mine["aggregates"], theirs["aggregates"], strict=True)),
            "batch": int(batch) if system == "lm-eval" else None, "batches_tried": tried,
            "threads": given.threads, "load": round(os.getloadavg()[0], 1),
        }  # fmt: skip
        print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", nargs="?", type=int, default=3)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--size", default="pythia-70m")
    parser.add_argument("--data", default="")
    parser.add_argument("--subjects", type=int, default=4)
    parser.add_argument("--items", type=int, default=48)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", default="1,8,16")
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--worker", default="")
    parser.add_argument("--folder", default="")
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    if given.worker:
        return work(given)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given.folder or temporary)
        if not (folder / "exported").exists():
            folder.mkdir(exist_ok=True)
            prepare(folder, given)
        for shape in given.shapes.split(","):
            measure(shape, folder, given)


if __name__ == "__main__":
    main()

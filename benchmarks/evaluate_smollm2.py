"""MMLU on an imported model: letters beside answer texts, with and without its chat template; and lm-eval beside it.

Usage: python benchmarks/evaluate_smollm2.py FOLDER TEST DEV [--items 500] [--parts 0,0-chat,5,5-chat]
           [--peer PYTHON] [--peer-parts letters-0:500,text-0:500,letters-5:500,text-5:60] [--threads 2] [--work DIR]

FOLDER is a Hugging Face folder with float32 weights; TEST and DEV are MMLU's, as JSON lines. Items are spread evenly
over TEST. A part is a number of examples, as plain text or in the model's chat template with a turn for each example;
each is one pass over `letters` and `text`, the latter under every normalization. `--peer` names a Python with lm-eval
0.4, which answers as many of the same items, evenly spread, as each of `--peer-parts` says, with its own `hf` backend.

Prints the scores with their standard errors, and item by item how the two agree: equal decisions under every rule that
lm-eval has, and the largest difference of a log-probability. All that was found stays in DIR, and is not made again.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

NORMALIZATIONS = ("none", "characters", "bytes", "tokens", "pmi", "pmi-bare")
RULES = {"none": "acc", "characters": "acc_norm", "bytes": "acc_bytes", "pmi-bare": "acc_mutual_info"}
"""Ours -> lm-eval's name of the same rule."""
QUESTION = "Question: {{question.strip()}}"
OPTIONS = "".join(f"\n{letter}. {{{{shown[{number}]}}}}" for number, letter in enumerate("ABCD"))
Row = dict[str, Any]


def task_of(kind: str, chat: bool, subject: str, files: dict[str, str]) -> Row:
    """A task of lm-eval: the words of our protocol; in a chat, the cue begins the assistant's turn."""
    words = QUESTION + (OPTIONS if kind == "letters" else "")
    rules = ["acc"] if kind == "letters" else list(RULES.values())
    return {
        "task": f"{kind}_{subject}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files},
        "test_split": "test",
        "fewshot_split": "dev",
        "fewshot_config": {"sampler": "first_n"},
        "output_type": "multiple_choice",
        "doc_to_text": words + ("" if chat else "\nAnswer:"),
        "doc_to_choice": list("ABCD") if kind == "letters" else "choices",
        "doc_to_target": "gold",
        "metric_list": [{"metric": rule} for rule in rules],
        **({"gen_prefix": "Answer:"} if chat else {}),
    }


def as_peer(job: Row) -> None:
    """In lm-eval's Python: answer what the job says, and write a row for each item."""
    import torch
    import yaml
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    torch.set_num_threads(job["threads"])
    folder = Path(job["tasks"])
    folder.mkdir(exist_ok=True)
    names = []
    for subject, files in job["files"].items():
        task = task_of(job["kind"], job["chat"], subject, files)
        (folder / f"{task['task']}.yaml").write_text(yaml.safe_dump(task))
        names.append(task["task"])
    model = HFLM(pretrained=job["folder"], dtype="float32", device="cpu", batch_size=1)
    started = time.perf_counter()
    found = simple_evaluate(
        model=model,
        tasks=names,
        num_fewshot=job["shots"],
        apply_chat_template=job["chat"],
        fewshot_as_multiturn=job["chat"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        bootstrap_iters=0,
    )
    seconds = time.perf_counter() - started
    rows = [
        {
            "id": sample["doc"]["id"],
            "prompt": sample["arguments"][0][0],
            "log_probabilities": [float(answer[0]) for answer in sample["filtered_resps"]][:4],
            **{rule: sample[rule] for rule in RULES.values() if rule in sample},
        }
        for samples in found["samples"].values()
        for sample in samples
    ]
    Path(job["out"]).write_text(json.dumps({"seconds": seconds, "rows": rows}))


def ours(arguments: argparse.Namespace, part: str) -> Row:
    """Our answers to one part, by reading: a row for each item, and the first prompt."""
    import torch

    from libertas.evaluate.answer import answer_arranged, first_prompt
    from libertas.evaluate.asking import AUTO, PLAIN, TURNS, Asking
    from libertas.evaluate.chat import read_prompting
    from libertas.exchange.config import ImportConfig
    from libertas.exchange.folder import import_model
    from libertas.train.checkpoint import load_checkpoint

    torch.set_num_threads(arguments.threads)
    checkpoint = load_checkpoint(import_model(ImportConfig(folder=arguments.folder, out=arguments.work / "imported")))
    prompting = read_prompting(checkpoint.path, checkpoint.tokenizer)
    chat = TURNS if part.endswith("chat") else PLAIN
    plan = arrangement(arguments, Asking(start=AUTO, chat=chat).resolved(prompting.usual), part)
    started = time.perf_counter()
    refused: list[str] = []
    (choices,) = answer_arranged(
        checkpoint.model, checkpoint.tokenizer, [plan], part, blind=False, prompting=prompting, refused=refused
    )
    seconds = time.perf_counter() - started
    rows: dict[str, list[Row]] = {}
    for choice in choices:
        rows.setdefault(choice.reading, []).append(choice.to_json())
    prompts = {one.name: first_prompt(plan.items, one, plan.pool, plan.shots, prompting) for one in plan.readings}
    return {"rows": rows, "prompts": prompts, "seconds": seconds, "refused": refused}


def arrangement(arguments: argparse.Namespace, asking: Any, part: str) -> Any:
    """Letters, and texts under every normalization."""
    from libertas.evaluate.answer import Arrangement
    from libertas.evaluate.reading import Reading, reading_named
    from libertas.evaluate.shots import Shots

    task = items_of(arguments)
    named = [reading_named(name) for name in ("letters", *(f"text/{how}" for how in NORMALIZATIONS))]
    readings = [Reading(one.name, one.protocol, one.normalization, asking) for one in named]
    return Arrangement(items=task.items, readings=readings, pool=task.pool, shots=Shots(count=int(part.split("-")[0])))


def items_of(arguments: argparse.Namespace) -> Any:
    """The items, evenly spread, and the examples."""
    from libertas.evaluate.task import load_task

    return load_task(f"mmlu={arguments.test},{arguments.dev}", 0).limited(arguments.items)


def theirs(arguments: argparse.Namespace, part: str) -> Row:
    """lm-eval's answers to one part, such as `letters-5-chat:500`."""
    name, _, count = part.partition(":")
    kind, shots, *chat = name.split("-")
    folder = arguments.work / f"lm-eval-{name}-{count}"
    folder.mkdir(exist_ok=True)
    task = items_of(arguments)
    files: dict[str, dict[str, str]] = {}
    for split, items in (("test", task.limited(int(count)).items), ("dev", task.pool)):
        for item in items:
            subject = str(item.meta["subject"])
            if split == "dev" and subject not in files:
                continue
            choices = {
                "choices": [c.strip() for c in item.choices],
                "shown": [" ".join(c.split()) for c in item.choices],
            }
            path = folder / f"{subject}-{split}.jsonl"
            with path.open("a" if split in files.setdefault(subject, {}) else "w") as file:
                file.write(json.dumps({"id": item.id, "question": item.question, "gold": item.gold, **choices}) + "\n")
            files[subject][split] = str(path)
    job = {"kind": kind, "shots": int(shots), "chat": bool(chat), "files": files, "tasks": str(folder / "tasks")}
    job |= {"folder": str(arguments.folder), "threads": arguments.threads, "out": str(folder / "found.json")}
    (folder / "job.json").write_text(json.dumps(job))
    subprocess.run([arguments.peer, __file__, "--as-peer", str(folder / "job.json")], check=True)
    found: Row = json.loads((folder / "found.json").read_text())
    return found


def compared(part: str, own: Row, found: Row) -> None:
    """Print how lm-eval's rows and ours agree, and every item on which they do not."""
    kind = part.split("-")[0]
    other = {row["id"]: row for row in found["rows"]}
    for how, rule in [("", "acc")] if kind == "letters" else RULES.items():
        name = "letters" if kind == "letters" else f"text/{how}"
        mine = [row for row in own["rows"][name] if row["item"] in other]
        pairs = [(row, other[row["item"]]) for row in mine]
        apart = [
            (a, b)
            for a, b in pairs
            if float(a["correct"]) != b[rule] or (rule == "acc" and a["chosen"] != likeliest(b["log_probabilities"]))
        ]
        differences = [
            abs(x - y) for a, b in pairs for x, y in zip(a["log_probabilities"], b["log_probabilities"], strict=True)
        ]
        prompt = other.get(own["rows"][name][0]["item"], {}).get("prompt", own["prompts"][name])
        print(
            f"{part:18} {name:16} {rule:16} {len(mine):4} items  right: ours {sum(a['correct'] for a, _ in pairs)}, "
            f"lm-eval {sum(b[rule] for _, b in pairs):.0f}  different {len(apart)}  log-probabilities within "
            f"{max(differences):.1e}  first prompt {'equal' if prompt == own['prompts'][name] else 'DIFFERS'}"
        )
        for a, b in apart:
            print("   ", a["item"], "gold", a["gold"], a["scores"], b["log_probabilities"])


def likeliest(values: list[float]) -> int:
    """The place of the highest; the first of equals."""
    return values.index(max(values))


def table(part: str, own: Row) -> None:
    """Print every score with its standard error, its paired difference to that by letters, and the places chosen."""
    from libertas.evaluate.statistics import clustered_mean

    letters = [float(row["correct"]) for row in own["rows"]["letters"]]
    for name, rows in own["rows"].items():
        right, items = [float(row["correct"]) for row in rows], [row["item"] for row in rows]
        score = clustered_mean(right, items)
        more = clustered_mean([a - b for a, b in zip(right, letters, strict=True)], items)
        assert score is not None
        assert more is not None
        print(
            f"{part:8} {name:16} {100 * score.mean:5.1f} ±{100 * (score.stderr or 0):.1f}  of {score.n}; less letters "
            f"{100 * more.mean:5.1f} ±{100 * (more.stderr or 0):.1f}; chosen "
            f"{[sum(row['chosen'] == place for row in rows) for place in range(4)]}"
        )


def kept(path: Path, make: Callable[[], Row]) -> Row:
    """What was found before, or is made now."""
    if not path.exists():
        path.write_text(json.dumps(make()))
    found: Row = json.loads(path.read_text())
    print(f"{path.stem}: {found['seconds']:.0f} s", file=sys.stderr)
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("folder", "test", "dev"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--parts", default="0,0-chat,5,5-chat")
    parser.add_argument("--peer")
    parser.add_argument("--peer-parts", default="letters-0:500,text-0:500,letters-5:500,text-5:60,letters-0-chat:500")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("smollm2-mmlu"))
    arguments = parser.parse_args()
    arguments.work = arguments.work.resolve()
    arguments.work.mkdir(exist_ok=True, parents=True)
    own = {}
    for part in arguments.parts.split(","):
        own[part] = kept(arguments.work / f"ours-{part}-{arguments.items}.json", partial(ours, arguments, part))
        table(part, own[part])
    for part in arguments.peer_parts.split(",") if arguments.peer else []:
        name = part.replace(":", "-of-")
        found = kept(arguments.work / f"lm-eval-{name}.json", partial(theirs, arguments, part))
        compared(part, own[part.partition(":")[0].partition("-")[2]], found)


if __name__ == "__main__":
    if sys.argv[1] == "--as-peer":
        as_peer(json.loads(Path(sys.argv[2]).read_text()))
    else:
        main()

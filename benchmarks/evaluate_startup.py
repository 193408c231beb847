"""Seconds of `libertas evaluate` until the model reads its first token: imports, hashes, weights, items, prompts.

Usage: python benchmarks/evaluate_startup.py [TIMES] [--size pythia-70m]

Whole processes, medians of TIMES (5), with drawn weights of a published size. `cpu_seconds` do not depend on what else
the machine does. `torch` is the import of torch alone. Prints a line of JSON.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from evaluate_suite import texts_of, write_weights

UNTIL_READING = """
import sys
from libertas.model import transformer
transformer.Model.hidden = lambda *given, **named: sys.exit(0)
from libertas.cli import main
sys.argv = ["libertas", *sys.argv[1:]]
main()
"""


def timed(*command: str) -> tuple[float, float]:
    """Wall and CPU seconds of a process."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *command], capture_output=True, check=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("times", nargs="?", type=int, default=5)
    parser.add_argument("--size", default="pythia-70m")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_weights(folder, given.size, texts_of(None))
        run = ["evaluate", str(folder / "checkpoint"), "--tasks", "planted-facts", "--out", str(folder / "result")]
        commands = {
            "help": ("-m", "libertas.cli", "evaluate", "--help"),
            "evaluate": ("-c", UNTIL_READING, *run),
            "torch": ("-c", "import torch"),
        }
        found = {name: [timed(*command) for _ in range(given.times)] for name, command in commands.items()}
    line = {
        name: {
            what: round(statistics.median(column), 2)
            for what, column in zip(("seconds", "cpu_seconds"), zip(*rows, strict=True), strict=True)
        }
        for name, rows in found.items()
    }
    print(json.dumps({"benchmark": "evaluate_startup", "model": given.size, **line, "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()

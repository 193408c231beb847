"""Local attention beside causal attention over all positions, forward and backward, in turns.

Usage: python benchmarks/model_speed.py [STEPS]

8 heads of 64 numbers over 8,192 positions; the local ones see 256 of them. Medians over STEPS (5) steps. Whole models,
forward and backward, are beside their peers in train_speed.py, and decoding is in model_decode.py.
Prints one JSON line for each.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch

from libertas.model.attend import attend

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
POSITIONS, WINDOW = 8192, 256


def taken(systems: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each, taking turns in an order that moves on."""
    times: dict[str, list[float]] = {name: [] for name in systems}
    names = list(systems)
    for step in range(-2, STEPS):  # the first two are not counted
        for place in range(len(names)):
            name = names[(step + place) % len(names)]
            started = time.perf_counter()
            systems[name]()
            if step >= 0:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 8, POSITIONS, 64, requires_grad=True) for _ in range(3))

    def run(window: int | None) -> Callable[[], object]:
        return lambda: attend(q, k, v, window, 0.125).sum().backward()

    found = taken({f"window {WINDOW}": run(WINDOW), "all positions": run(None)})
    for system, seconds in found.items():
        times = round(found["all positions"] / seconds, 2)
        line = {"task": f"attention over {POSITIONS}", "system": system, "seconds": round(seconds, 4)}
        print(json.dumps({**line, "times_faster": times}), flush=True)


if __name__ == "__main__":
    main()

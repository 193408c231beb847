"""How long does help take? Whole processes, medians of seven, every command; prints one JSON line.

Usage: python benchmarks/startup.py
"""

import json
import statistics
import subprocess
import sys
import time

from libertas.cli import EXAMPLES
from libertas.stages import CRAWL_AND_PACK, LOOKS, STAGES

commands = [("gather", name) if name in CRAWL_AND_PACK else name.split() for name in (*STAGES, *LOOKS, *EXAMPLES)]
medians = {}
for command in commands:
    seconds = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "libertas.cli", *command, "--help"], capture_output=True, check=True)
        seconds.append(time.perf_counter() - started)
    medians[" ".join(command)] = round(statistics.median(seconds), 3)
slowest = max(medians, key=lambda name: medians[name])
print(json.dumps({"benchmark": "startup", "seconds": medians, "slowest": slowest, "slowest_seconds": medians[slowest]}))

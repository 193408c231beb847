"""How long does it take to go from a training token to the verified bytes of its archive record?

Usage: python benchmarks/trace_lookup.py RUN [TOKENS] [SEED]

Looks up random training tokens of a run: document, training steps, archive record read again and its digest checked.
Prints one JSON line. Exit status 1 if a token has no record to read.
"""

import json
import random
import sys
import time
from pathlib import Path

from libertas.lineage.fingerprint import digest
from libertas.trace.origin import Origins

run = Path(sys.argv[1])
count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0

started = time.perf_counter()
origins = Origins.of_model(run)
opened = time.perf_counter() - started
positions = random.Random(seed).choices(range(len(origins.store)), k=count)
milliseconds, verified = [], 0
for position in positions:
    started = time.perf_counter()
    origin = origins.origin(position)
    milliseconds.append(1000 * (time.perf_counter() - started))
    if origin.warc is not None and origin.payload is not None:
        verified += digest(origin.payload) == origin.warc.payload_digest
milliseconds.sort()
print(
    json.dumps(
        {
            "benchmark": "trace_lookup",
            "training_tokens": len(origins.store),
            "looked_up": count,
            "verified": verified,
            "open_ms": round(1000 * opened, 2),
            "p50_ms": round(milliseconds[count // 2], 3),
            "p95_ms": round(milliseconds[int(0.95 * count)], 3),
            "max_ms": round(milliseconds[-1], 3),
        }
    )
)
sys.exit(verified != count)

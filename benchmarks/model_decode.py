"""Cached decoding beside `transformers.generate`: greedy, one text alone and eight together, with the same weights.

Usage: python benchmarks/model_decode.py [ROUNDS]

The 30 M-parameter shape of GPT-NeoX's kind (8 layers of width 512, context 512, vocabulary 16,384) adds 64 tokens to
prompts of 64, in float32; both write the same tokens, which is checked. `libertas without kernel` is the reference in
torch. Systems take turns; medians over ROUNDS (20) rounds. `share_of_memory_speed` is the speed at which the weights
are read once for each step, relative to the speed at which torch sums them up in the same run.
Prints one JSON line per system and batch.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import torch
import transformers
from safetensors.torch import load_file

import libertas.kernel as kernel
from libertas.exchange.config import ImportConfig
from libertas.exchange.folder import import_model
from libertas.generate.sample import Sampling, sample
from libertas.model.config import ModelConfig
from libertas.model.transformer import Model

ROUNDS = int(next((word for word in sys.argv[1:] if word.isdigit()), 20))
PROMPT, ADDED = 64, 64
GREEDILY = {"max_new_tokens": ADDED, "min_new_tokens": ADDED, "do_sample": False, "pad_token_id": 0}
SHAPE = {
    "vocab_size": 16_384,
    "hidden_size": 512,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "intermediate_size": 2048,
    "max_position_embeddings": 512,
    "hidden_act": "gelu_new",
    "eos_token_id": None,
}


def models() -> tuple[Model, Any]:
    """Ours and theirs, with the same weights."""
    theirs = transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(**SHAPE)).eval()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(Path(folder, "theirs"))
        import_model(ImportConfig(folder=Path(folder, "theirs"), out=Path(folder, "ours")))
        record = orjson.loads(Path(folder, "ours", "model.json").read_bytes())
        ours = Model(ModelConfig.from_json(record), seed=None)
        ours.load_state_dict(load_file(Path(folder, "ours", "model.safetensors")))
    return ours.eval(), theirs


def by_torch(call: Callable[[], Any]) -> Any:
    native, kernel.native = kernel.native, None
    try:
        return call()
    finally:
        kernel.native = native


def turns_taken(systems: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median seconds of each, in an order that moves on."""
    names, times = list(systems), {name: [] for name in systems}
    for turn in range(ROUNDS):
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]
            started = time.perf_counter()
            systems[name]()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    torch.manual_seed(0)
    ours, theirs = models()
    weights = [p.detach() for name, p in ours.named_parameters() if name != "embedding.weight"]
    size = sum(w.nbytes for w in weights)
    for batch in (1, 8):
        prompts = torch.randint(0, SHAPE["vocab_size"], (batch, PROMPT))
        mask, rows = torch.ones_like(prompts), prompts.tolist()

        def native(rows: Any = rows) -> Any:
            return [found.tokens for found in sample(ours, rows, ADDED, Sampling(temperature=0))]

        def peer(prompts: Any = prompts, mask: Any = mask) -> Any:
            return theirs.generate(prompts, attention_mask=mask, **GREEDILY)[:, PROMPT:].tolist()

        assert native() == peer() == by_torch(native), "the texts differ"
        found = turns_taken(
            {
                "libertas": native,
                "libertas without kernel": lambda native=native: by_torch(native),
                "transformers": peer,
                "weights summed up": lambda: [float(w.sum()) for w in weights],
            }
        )
        memory = size / found.pop("weights summed up")
        for system, seconds in found.items():
            line = {
                "task": f"decode batch {batch}",
                "system": system,
                "seconds": round(seconds, 4),
                "tokens_per_second": round(ADDED * batch / seconds),
                "times_faster": round(found["transformers"] / seconds, 2),
                "share_of_memory_speed": round(ADDED * size / seconds / memory, 2),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

"""A model's continuation of a text, with the log-probability of every token, as an artifact that can be traced."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import torch
from rich.text import Text

from libertas.generate.sample import Sampling, sample
from libertas.generate.stop import cut_at_stop, stops_at
from libertas.lineage.artifact import Draft, write_json
from libertas.serve.config import GenerateConfig
from libertas.terminal import printable, progress
from libertas.tokenize.bpe import closing_token
from libertas.trace.spans import bytes_of
from libertas.trace.subject import GENERATION
from libertas.train import checkpoint


@dataclass(frozen=True)
class Generation:
    """A finished generation."""

    path: Path
    record: dict[str, Any]
    """Content of `generation.json`."""


def generate(config: GenerateConfig) -> Generation:
    """Continue the prompt, or begin a document where it is empty.

    Raises:
        UsageError: there is no checkpoint.
        BrokenLineage: the checkpoint's bytes are not the recorded ones.
    """
    draft = Draft(kind="generation", out=config.out, config=config, inputs={"run": [config.run]}, code=__name__)
    if not draft.finished():
        with draft.build() as folder, progress("Generating"):
            record = _record(config, checkpoint.load_checkpoint(config.run))
            write_json(folder / GENERATION, record)
            draft.counts = {"tokens": len(record["token_ids"]), "step": record["step"], "weights": record["weights"]}
    return Generation(config.out, orjson.loads((config.out / GENERATION).read_bytes()))


def _record(config: GenerateConfig, loaded: checkpoint.Checkpoint) -> dict[str, Any]:
    tokenizer = loaded.tokenizer
    end_of_text = closing_token(tokenizer)
    prompt: list[int] = tokenizer.encode(config.prompt, add_special_tokens=False).ids
    with _one_thread():
        how = Sampling(
            repetition_penalty=config.repetition_penalty,
            temperature=config.temperature,
            top_k=config.top_k,
            top_p=config.top_p,
            min_p=config.min_p,
            seed=config.seed,
        )
        (found,) = sample(
            loaded.model,
            [prompt or [end_of_text]],
            config.tokens,
            how,
            end=end_of_text,
            stop=stops_at(config.stop, lambda token: bytes_of(tokenizer, [token])[0]) if config.stop else None,
            log_probabilities=config.log_probabilities,
        )
    added = found.tokens
    text, stopped = cut_at_stop(b"".join(bytes_of(tokenizer, added)), config.stop)
    return {
        "prompt": config.prompt,
        "text": text,
        "prompt_token_ids": prompt,
        "token_ids": added,  # those of the text that stopped it as well
        "log_probabilities": found.log_probabilities or [None] * len(added),
        "ended": found.ended,
        "stopped_at": stopped,
        "step": loaded.step,
        "weights": loaded.weights_hash,
        "settings": {"tokens": config.tokens, "stop": list(config.stop), **asdict(how)},
    }


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums depend on how they are split: one thread makes the same text on machines with any number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def generation_view(result: Generation) -> Iterator[Text]:
    """The prompt and what the model wrote."""
    record = result.record
    yield Text.assemble((printable(record["prompt"]), "dim"), printable(record["text"]))
    yield Text(f"{len(record['token_ids'])} tokens by step {record['step']:,}; {result.path}", style="dim")

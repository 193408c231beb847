"""What `libertas import` and `libertas export` can be told."""

from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError

SHARD_BYTES = 5_000_000_000
"""Largest file of an export, as `transformers` writes them."""
FORMATS = ("hf", "neox")


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """Make a checkpoint from a model that others published: a Hugging Face folder with safetensors."""

    folder: Path
    """Folder with `config.json`, `*.safetensors` and, if it has one, `tokenizer.json`; or GPT-NeoX's files of one step
    (`layer_00-model_00-model_states.pt`, ...)."""
    out: Path
    """Directory of the checkpoint."""
    like: str = ""
    """Named size, such as pythia-70m, where the folder does not say which it is: GPT-NeoX's files."""


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Write a checkpoint so that others can open it: `transformers` needs no code of ours."""

    checkpoint: Path
    """Checkpoint, or run, of which the last checkpoint is taken."""
    out: Path
    """Folder of the export."""
    to: str = "hf"
    """Format: `hf`, a Hugging Face folder; `neox`, GPT-NeoX's files for each layer and part."""
    parts: int = 1
    """Tensor-parallel parts of a `neox` export."""
    shard_bytes: int = SHARD_BYTES
    """Largest file of weights, in bytes; more weights are written to several files with an index."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.to not in FORMATS:
            raise UsageError(f"to is {self.to!r}; expected {' or '.join(FORMATS)}")
        if self.parts < 1 or (self.parts > 1 and self.to != "neox"):
            raise UsageError(f"parts is {self.parts}; expected 1, or more with --to neox")
        if self.shard_bytes < 1:
            raise UsageError(f"shard_bytes is {self.shard_bytes}; expected 1 or more, such as {SHARD_BYTES}")

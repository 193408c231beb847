"""Hashes: of bytes, of files, of code, and the fingerprint that says whether work can be reused."""

import dataclasses
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from blake3 import blake3

HASH_PREFIX = "b3:"
"""Hashes carry their algorithm, so that a later change of it is seen instead of splitting identities in silence."""


def digest(data: bytes) -> str:
    """BLAKE3 of some bytes, tagged: `b3:` and 64 hexadecimal digits."""
    return HASH_PREFIX + blake3(data).hexdigest()


def file_digest(path: Path) -> str:
    """BLAKE3 of a file's content, tagged; reads through a memory map, so large files cost no memory."""
    hasher = blake3(max_threads=blake3.AUTO)
    hasher.update_mmap(path)
    return HASH_PREFIX + hasher.hexdigest()


def canonical(value: Any) -> bytes:
    """The one JSON spelling of a value: sorted keys, two-space indent, final newline."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def execution(default: Any) -> Any:
    """A config field that says how to run (workers, device), not what to compute: left out of fingerprints."""
    return dataclasses.field(default=default, metadata={"identity": False})


def resolved(config: Any) -> dict[str, Any]:
    """A config dataclass as plain JSON values, all fields included."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def identity(config: Any) -> dict[str, Any]:
    """The fields that decide the result: no paths (inputs speak for themselves), no `execution` fields."""
    return {
        f.name: _plain(getattr(config, f.name))
        for f in dataclasses.fields(config)
        if f.metadata.get("identity", True) and not _is_path(getattr(config, f.name))
    }


def _is_path(value: Any) -> bool:
    return isinstance(value, Path) or (isinstance(value, tuple) and any(isinstance(v, Path) for v in value))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return resolved(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def code_digest(*modules: str) -> str:
    """Hash of the files of modules or whole packages (page templates included): a stage's results depend on them."""
    hasher = blake3()
    for name in modules:
        spec = importlib.util.find_spec(name)
        assert spec is not None, f"no module {name}"
        assert spec.origin is not None, f"no source for {name}"
        origin = Path(spec.origin)
        package = spec.submodule_search_locations is not None
        for source in _files_of(origin.parent) if package else [origin]:
            hasher.update(f"{name}/{source.relative_to(origin.parent)}\n".encode())
            hasher.update(source.read_bytes())
    return HASH_PREFIX + hasher.hexdigest()


def _files_of(package: Path) -> list[Path]:
    return sorted(p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts)

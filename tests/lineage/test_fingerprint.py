"""The digest of a stage's code: which files it covers."""

import ast
from pathlib import Path

import pytest

import libertas
from libertas.lineage.fingerprint import _imported, _names_in, code_digest

SOURCES = sorted(Path(libertas.__file__).parent.rglob("*.py"))


def all_names_in(source: bytes) -> set[str]:
    """What some source imports, all of it parsed."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_no_import_is_overlooked(path: Path) -> None:
    assert set(_names_in(path.read_bytes())) >= all_names_in(path.read_bytes())


def test_c_code_beside_a_module_counts_whether_compiled_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "labwithc"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "stage.py").write_text("from labwithc.fast import go\n")
    (package / "fast").mkdir()
    (package / "fast" / "__init__.py").write_text("go = 1\n")
    monkeypatch.syspath_prepend(tmp_path)

    def digest() -> str:
        code_digest.cache_clear()
        return code_digest("labwithc.stage")

    assert set(_imported("labwithc.stage")) == {"labwithc.stage", "labwithc.fast"}
    before = digest()
    (package / "fast" / "fast.c").write_text("int go;\n")
    with_c = digest()
    (package / "fast" / "fast.abi3.so").write_bytes(b"compiled")
    assert before != with_c == digest()

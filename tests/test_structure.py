"""The shape of the house: imports go one way, files and functions stay short, names are used once."""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import libertas

PACKAGE = Path(libertas.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {
    "errors": set(),
    "spelling": set(),
    "terminal": set(),
    "kernel": set(),
    "lineage": {"errors", "terminal"},
    "document": {"lineage"},
    "corpus": {"document", "lineage", "engine"},
    "engine": set(),
    "permutation": set(),
    "planting": set(),
    "page": set(),
    "gather": {"document", "corpus", "engine", "lineage", "planting"},
    "curate": {"document", "corpus", "engine", "permutation", "lineage"},
    "tokenize": {"document", "corpus", "engine", "permutation", "lineage"},
    "model": set(),
    "generate": {"model"},
    "tensor_files": set(),
    "exchange": {"lineage", "model", "tensor_files"},
    "train": {"lineage", "tokenize", "model", "tensor_files"},
    "trace": {"document", "corpus", "lineage", "gather", "curate", "tokenize"},
    "evaluate": {"document", "corpus", "lineage", "curate", "tokenize", "model", "generate", "train", "trace"}
    | {"planting", "page"},
    "serve": {"document", "corpus", "lineage", "gather", "curate", "tokenize", "model", "generate", "train", "trace"}
    | {"evaluate", "page"},
    "stages": set(),
    "lab": {"stages", "lineage"},
    "demo": {"lab", "lineage"},
    "__main__": {"cli"},
    "cli": {"stages", "lab", "demo", "lineage", "corpus", "curate", "model", "train", "serve"},
}
"""Which rooms a room may import, beside itself and the words everyone uses."""

EVERYONE = {"errors", "kernel", "spelling", "terminal"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{a.name}" if node.module == "libertas" else node.module for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("libertas."))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    room = room_of(path)
    if room != "__init__":
        allowed = MAY_IMPORT[room] | EVERYONE | {room}
        assert set(imported_rooms(path)) <= allowed, f"{path.name} imports {set(imported_rooms(path)) - allowed}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 600
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= 60, f"{node.name} has more than 60 lines"


def test_a_public_name_is_defined_once() -> None:
    homes = defaultdict(set)
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].add(str(path.relative_to(PACKAGE)))
    commands = {"show", "verify", "run", "demo", "main"}  # the command line names its commands as the stages are named
    repeated = {n: sorted(h) for n, h in homes.items() if len(h - ({"cli.py"} if n in commands else set())) > 1}
    assert repeated == {}


def test_modules_have_no_grab_bag_names() -> None:
    assert {p.stem for p in SOURCES} & {"utils", "util", "common", "helpers", "misc", "manager", "handler"} == set()


def test_every_public_name_can_be_imported_and_is_sorted() -> None:
    assert libertas.__all__ == sorted(libertas.__all__)
    for name in libertas.__all__:
        assert getattr(libertas, name).__name__ == name


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no public name 'Trainer'"):
        _ = libertas.Trainer


def test_importing_libertas_and_the_document_rooms_needs_no_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None; import libertas, libertas.cli; "
        "from libertas import make, verify, Corpus, TokenStore, TokenIndex; import libertas.stages as s; "
        "[s._load(s.STAGES[n].function) for n in ('crawl', 'pack', 'gather', 'adopt', 'curate', 'dedup', 'redact', "
        "'decontaminate', 'score-model', 'mix', 'datasheet', 'tokenize', 'index')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

"""What `libertas show` prints of an artifact."""

import io
from dataclasses import replace
from pathlib import Path

from making import small_corpus
from rich.console import Console

from libertas.lineage.manifest import read_manifest
from libertas.serve.show import details


def test_what_looks_like_markup_in_a_path_is_shown_as_it_is(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "mix")
    manifest = replace(read_manifest(corpus), command=("libertas", "we[/b]ird\x1b"))
    console = Console(width=200, file=io.StringIO())
    console.print(details(manifest))
    assert "libertas we[/b]ird\ufffd" in console.file.getvalue()

"""Local files as an archive of their own."""

from pathlib import Path
from typing import Any

import pytest

from libertas.errors import UsageError
from libertas.gather import warc
from libertas.gather.config import GatherConfig, PackConfig
from libertas.gather.documents import gather
from libertas.gather.pack import ARCHIVE, pack
from libertas.lineage.manifest import read_manifest


def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    (root / "inner" / "test").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "a.md").write_text("# Eins\n")
    (root / "b.txt").write_text("zwei")
    (root / "empty.txt").write_text(" \n")
    (root / "image.txt").write_bytes(b"a\0b")
    (root / "latin.txt").write_bytes("größe".encode("latin-1"))
    (root / "inner" / "größe 1.py").write_text("drei = 3\n")
    (root / "inner" / "test" / "t.py").write_text("vier\n")
    (root / ".git" / "config").write_text("hidden")
    return root


def packed(out: Path) -> list[tuple[str, str, bytes]]:
    read = [r for r in warc.records(out / ARCHIVE) if isinstance(r, warc.Record)]
    return [(r.uri, r.content_type, r.body) for r in read if r.type == "resource"]


def test_text_files_are_packed_in_order_and_others_are_counted(tmp_path: Path) -> None:
    out = pack(PackConfig(paths=(str(folder(tmp_path)),), out=tmp_path / "p", exclude=("test",)))
    assert packed(out) == [
        ("urn:file:notes/a.md", "text/markdown", b"# Eins\n"),
        ("urn:file:notes/b.txt", "text/plain", b"zwei"),
        ("urn:file:notes/inner/gr%C3%B6%C3%9Fe%201.py", "text/x-python", b"drei = 3\n"),
    ]
    counts = read_manifest(out).counts
    assert counts["files"] == {"in": 6, "out": 3, "dropped": 3}
    assert counts["dropped"] == {"empty": 1, "not UTF-8": 1, "not text": 1}


def test_suffixes_and_a_limit_choose_among_files(tmp_path: Path) -> None:
    root = folder(tmp_path)
    out = pack(PackConfig(paths=(str(root), str(root / "b.txt")), out=tmp_path / "p", suffixes=(".md",)))
    assert [uri for uri, *_ in packed(out)] == ["urn:file:notes/a.md", "urn:file:b.txt"]
    out = pack(PackConfig(paths=(str(root / "a.md"), str(root / "b.txt")), out=tmp_path / "q", megabytes=7e-6))
    assert [uri for uri, *_ in packed(out)] == ["urn:file:a.md"]


def test_packing_the_same_files_elsewhere_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    outs = [pack(PackConfig(paths=(str(folder(tmp_path / d)),), out=tmp_path / d / "p")) for d in "xy"]
    assert (outs[0] / ARCHIVE).read_bytes() == (outs[1] / ARCHIVE).read_bytes()


def test_the_archive_outlives_its_files_but_is_not_mistaken_for_new_ones(tmp_path: Path) -> None:
    root = folder(tmp_path)
    config = PackConfig(paths=(str(root / "b.txt"),), out=tmp_path / "p")
    pack(config)
    corpus = gather(GatherConfig(archives=(config.out,), out=tmp_path / "c", workers=1))
    (root / "b.txt").write_text("changed")
    (document,) = list(corpus)
    assert document.warc is not None
    assert warc.read_record(config.out / ARCHIVE, document.warc) == b"zwei"
    with pytest.raises(UsageError, match="was made differently: content was"):
        pack(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"paths": ()}, "paths is empty"),
        ({"paths": ("nowhere",)}, "nowhere does not exist"),
        ({"suffixes": ("md",)}, r"suffixes has 'md'; .* write '\.md'"),
        ({"megabytes": 0}, "megabytes is 0"),
        ({"suffixes": (".none",)}, "has no file to pack"),
    ],
)
def test_requests_that_pack_nothing_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        pack(PackConfig(**{"paths": (str(folder(tmp_path)),), "out": tmp_path / "p", **changes}))
    assert not (tmp_path / "p").exists()

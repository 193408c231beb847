"""Local files as an archive of their own."""

import gzip
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from libertas.errors import UsageError
from libertas.gather import warc
from libertas.gather.config import GatherConfig, PackConfig
from libertas.gather.documents import gather
from libertas.gather.pack import ARCHIVE, DROPS, LONGEST_URL, pack
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


def drops(out: Path) -> list[tuple[str, str, str | None]]:
    return [(row["uri"], row["reason"], row["value"]) for row in pq.read_table(out / DROPS).to_pylist()]


def test_text_files_are_packed_in_order_and_others_are_counted(tmp_path: Path) -> None:
    out = pack(PackConfig(paths=(str(folder(tmp_path)),), out=tmp_path / "p", exclude=("test",)))
    assert packed(out) == [
        ("urn:file:notes/a.md", "text/markdown", b"# Eins\n"),
        ("urn:file:notes/b.txt", "text/plain", b"zwei"),
        ("urn:file:notes/inner/gr%C3%B6%C3%9Fe%201.py", "text/x-python", b"drei = 3\n"),
    ]
    counts = read_manifest(out).counts
    assert counts["files"] == {"in": 6, "out": 3, "dropped": 3}
    assert counts["pieces"] == {"in": 6, "out": 3, "dropped": 3}
    assert counts["dropped"] == {"empty": 1, "not UTF-8": 1, "not text": 1}
    assert drops(out) == [
        ("urn:file:notes/empty.txt", "empty", None),
        ("urn:file:notes/image.txt", "not text", None),
        ("urn:file:notes/latin.txt", "not UTF-8", None),
    ]


def test_suffixes_and_a_limit_choose_among_files(tmp_path: Path) -> None:
    root = folder(tmp_path)
    out = pack(PackConfig(paths=(str(root), str(root / "b.txt")), out=tmp_path / "p", suffixes=(".md",)))
    assert [uri for uri, *_ in packed(out)] == ["urn:file:notes/a.md", "urn:file:b.txt"]
    out = pack(PackConfig(paths=(str(root / "a.md"), str(root / "b.txt")), out=tmp_path / "q", megabytes=7e-6))
    assert [uri for uri, *_ in packed(out)] == ["urn:file:a.md"]
    assert drops(out) == [("urn:file:b.txt", "beyond the megabytes limit", "4")]


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


def test_a_table_becomes_a_record_for_each_row_at_its_address_or_its_place(tmp_path: Path) -> None:
    table = tmp_path / "rows.jsonl.gz"
    rows = [
        {"body": "one", "link": "https://a.org/ü x?q=1#f"},
        {"body": "two", "link": "no address", "n": "é 2"},
        {"body": "three", "link": "https://a.org/" + "x" * LONGEST_URL},
        {"other": "x"},
    ]
    table.write_bytes(gzip.compress(b"\n".join(map(orjson.dumps, rows))))
    config = PackConfig(paths=(str(table),), out=tmp_path / "p", text_field="body", url_field="link", id_field="n")
    out = pack(config)
    assert [uri for uri, *_ in packed(out)] == [
        "https://a.org/%C3%BC%20x?q=1#f",
        "urn:file:rows.jsonl.gz#%C3%A9%202",
        "urn:file:rows.jsonl.gz#3",
    ]
    assert {kind for _, kind, _ in packed(out)} == {"application/x-row+json"}
    assert orjson.loads(packed(out)[1][2]) == {"id": "é 2", "url": "no address", "text": "two"}
    counts = read_manifest(out).counts
    assert counts["files"] == {"in": 1, "out": 1, "dropped": 0}
    assert counts["pieces"] == {"in": 4, "out": 3, "dropped": 1}
    assert (counts["records"], counts["bytes"]) == (3, sum(len(body) for *_, body in packed(out)))
    assert drops(out) == [("urn:file:rows.jsonl.gz", "row without text", "4")]


def test_rows_become_documents_with_their_titles_dates_and_texts(tmp_path: Path) -> None:
    table = tmp_path / "rows.jsonl"
    table.write_text(
        '{"text":"One text.","title":"One","date":"2020-05-06T07:08:09"}\n{"text":"Two","url":"http://a.org/2"}\nx\n'
    )
    out = pack(PackConfig(paths=(str(table),), out=tmp_path / "p"))
    corpus = gather(GatherConfig(archives=(out,), out=tmp_path / "c", workers=1))
    one, two = corpus
    assert (one.text, one.meta["title"], one.meta["published"]) == ("One text.", "One", "2020-05-06")
    assert (two.text, two.meta["url"]) == ("Two", "http://a.org/2")
    for document in (one, two):
        assert document.warc is not None
        assert orjson.loads(warc.read_record(out / ARCHIVE, document.warc))["text"] == document.text


def test_behind_the_limit_the_rest_of_a_container_stays_unread(tmp_path: Path) -> None:
    table = tmp_path / "rows.jsonl"
    table.write_text("".join(f'{{"text":"row {n}"}}\n' for n in range(1, 100)))
    out = pack(PackConfig(paths=(str(table),), out=tmp_path / "p", megabytes=len('{"text":"row 1"}') * 3 / 1e6))
    assert [uri.rpartition("#")[2] for uri, *_ in packed(out)] == ["1", "2", "3"]
    assert drops(out) == [("urn:file:rows.jsonl", "beyond the megabytes limit", "from 4 on")]
    assert read_manifest(out).counts["pieces"] == {"in": 4, "out": 3, "dropped": 1}


def test_code_takes_the_license_of_its_tree_along_and_foreign_code_is_left_out(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    (root / "inner").mkdir(parents=True)
    (root / "vendor").mkdir()
    (root / "LICENSE").write_text("to deal in the Software without restriction")
    (root / "a.c").write_text("int a;\n")
    (root / "inner" / "COPYING").write_text("GNU GENERAL PUBLIC LICENSE\nVersion 2, June 1991")
    (root / "inner" / "b.py").write_text("b = 1\n")
    (root / "vendor" / "c.py").write_text("c = 1\n")
    (root / "yarn.lock").write_text("x\n")
    out = pack(PackConfig(paths=(str(root),), out=tmp_path / "p"))
    code = {uri: orjson.loads(body) for uri, kind, body in packed(out) if kind == "application/x-source+json"}
    assert code == {
        "urn:file:tree/a.c": {"programming_language": "c", "license": "MIT", "text": "int a;\n"},
        "urn:file:tree/inner/b.py": {"programming_language": "python", "license": "GPL-2.0", "text": "b = 1\n"},
    }
    assert drops(out) == [
        ("urn:file:tree/vendor/c.py", "vendored", "vendor"),
        ("urn:file:tree/yarn.lock", "lock file", "yarn.lock"),
    ]
    corpus = gather(GatherConfig(archives=(out,), out=tmp_path / "c", workers=1))
    licenses = {d.meta["url"]: d.meta["license"] for d in corpus if "programming_language" in d.meta}
    assert licenses == {"urn:file:tree/a.c": "MIT", "urn:file:tree/inner/b.py": "GPL-2.0"}


def test_another_license_or_other_names_of_users_are_other_work(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a.c").write_text("int a;\n")
    config = PackConfig(paths=(str(root),), out=tmp_path / "p", suffixes=(".c",))
    pack(config)
    assert pack(config) == config.out
    (root / "LICENSE").write_text("to deal in the Software without restriction")
    with pytest.raises(UsageError, match="was made differently: content was"):
        pack(config)
    (tmp_path / "Posts.xml").write_text('<posts>\n<row Id="1" PostTypeId="1" OwnerUserId="1" Body="b"/>\n</posts>')
    config = PackConfig(paths=(str(tmp_path / "Posts.xml"),), out=tmp_path / "q")
    pack(config)
    (tmp_path / "Users.xml").write_text('<users>\n<row Id="1" DisplayName="Ann"/>\n</users>')
    with pytest.raises(UsageError, match="was made differently: content was"):
        pack(config)


def test_a_container_with_nothing_in_it_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.mbox").write_text("")
    (tmp_path / "b.txt").write_text("words")
    out = pack(PackConfig(paths=(str(tmp_path / "a.mbox"), str(tmp_path / "b.txt")), out=tmp_path / "p"))
    assert drops(out) == [("urn:file:a.mbox", "nothing in it", None)]
    with pytest.raises(UsageError, match=r"has nothing to pack \(1 nothing in it\)"):
        pack(PackConfig(paths=(str(tmp_path / "a.mbox"),), out=tmp_path / "q"))


def test_every_real_document_is_packed_and_gathered(shared_data: Path, tmp_path: Path) -> None:
    out = pack(PackConfig(paths=(str(shared_data / "documents"),), out=tmp_path / "p"))
    assert read_manifest(out).counts["files"] == {"in": 9, "out": 9, "dropped": 0}
    corpus = gather(GatherConfig(archives=(out,), out=tmp_path / "c", workers=1))
    names = {d.meta["url"].rpartition("/")[2] for d in corpus}
    assert names == {p.name for p in (shared_data / "documents").iterdir()} - {"libreoffice-writer-password.pdf"}


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

"""Every form of lm_dataformat's files, written by the original where it can, and all that can be wrong with them."""

import bz2
import gzip
import io
import json
import lzma
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from libertas.corpus import lines
from libertas.corpus.lines import array_values
from libertas.corpus.lmd import LmdDrop, LmdText, lmd_files, lmd_kind, read_lmd
from libertas.errors import UsageError

lm_dataformat = pytest.importorskip("lm_dataformat")

TEXTS = ["plain", 'slash / and \\ and "quotes"\nand lines', "ünïcödé 😀 漢字", "x" * 5000]


def commit(archive) -> None:
    """Commit, and close what the original leaves open."""
    archive.commit()
    if hasattr(archive, "fh"):
        archive.fh.close()


def texts_of(path: Path) -> list[str]:
    return [item.text for item in read_lmd(path) if isinstance(item, LmdText)]


def reasons_of(path: Path) -> list[tuple[int, str]]:
    return [(item.number, item.drop.reason) for item in read_lmd(path) if isinstance(item, LmdDrop)]


def lines_file(tmp_path: Path, content: bytes, name: str = "a.jsonl") -> Path:
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


def tarball(members: dict[str, bytes], mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["Archive", "DatArchive", "JSONArchive"])
def test_what_the_original_writes_is_read(tmp_path: Path, form: str) -> None:
    archive = getattr(lm_dataformat, form)(str(tmp_path / "lmd"))
    for text in TEXTS:
        archive.add_data(text)
    commit(archive)
    files, _ = lmd_files(tmp_path / "lmd")
    assert [text for file in files for text in texts_of(file)] == TEXTS
    original = lm_dataformat.Reader(str(tmp_path / "lmd")).stream_data()
    assert list(original) == TEXTS


def test_meta_comes_along_and_paragraphs_are_joined_as_the_original_joins_them(tmp_path: Path) -> None:
    archive = lm_dataformat.Archive(str(tmp_path / "lmd"))
    archive.add_data(["one", "two"], meta={"n": 1, "set": {"name": "ä"}})
    archive.add_data("three")
    commit(archive)
    [path], _ = lmd_files(tmp_path / "lmd")
    read = [(item.text, item.meta) for item in read_lmd(path) if isinstance(item, LmdText)]
    assert read == list(lm_dataformat.Reader(str(tmp_path / "lmd")).stream_data(get_meta=True))
    assert read[0] == ("one\n\ntwo", {"n": 1, "set": {"name": "ä"}})


def test_what_was_not_committed_is_read_up_to_its_last_whole_line_and_comes_last(tmp_path: Path) -> None:
    archive = lm_dataformat.Archive(str(tmp_path / "lmd"))
    archive.add_data("committed")
    archive.commit()
    archive.add_data("first")
    archive.add_data("second")
    archive.compressor.write(b'{"text": "half a li')
    archive.compressor.flush(zstandard.FLUSH_BLOCK)
    archive.fh.close()
    files, _ = lmd_files(tmp_path / "lmd")
    assert [text for file in files for text in texts_of(file)] == ["committed", "first", "second"]
    assert reasons_of(files[1]) == [(3, "compressed data is cut off")]


def test_files_are_read_in_numeric_order_and_others_are_named(tmp_path: Path) -> None:
    for name in ("data_10_time1_a.jsonl", "data_9_time2_a.jsonl", "data_1_time1_a.jsonl", "notes.md"):
        (tmp_path / name).write_bytes(b'{"text": "x"}\n')
    (tmp_path / "current_chunk_incomplete").touch()
    files, others = lmd_files(tmp_path)
    assert [f.name.split("_")[1] for f in files] == ["1", "9", "10"]
    assert others == ["notes.md"]


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json.gz", "a.json.zst", "a.jsonl.xz", "a.ndjson"]
)
def test_lines_are_read_under_every_name_and_packing(tmp_path: Path, name: str) -> None:
    content = b"".join(json.dumps({"text": text}).encode() + b"\n" for text in TEXTS)
    pack = {"gz": gzip.compress, "zst": zstandard.compress, "xz": lzma.compress}.get(name.rpartition(".")[2], bytes)
    assert texts_of(lines_file(tmp_path, pack(content), name)) == TEXTS


def test_archives_of_texts_and_of_lines_are_read(tmp_path: Path) -> None:
    packed = {n: zstandard.compress(b'{"text": "%b 1"}\n{"text": "%b 2"}\n' % (n, n)) for n in (b"a", b"b")}
    inner = tarball({"1.txt": b"inner 1", "2.txt": b"inner 2"}, "w:xz")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", "zip ä")
        archive.writestr("b.json", '{"a": 1}')
    files = {
        "a.jsonl.zst.tar": tarball({"a.jsonl.zst": packed[b"a"], "d/b.jsonl.zst": packed[b"b"]}, "w"),
        "b.tar.gz": tarball({"a": b"text a", "b.txt": b"text b"}, "w:gz"),
        "c.zip": zipped.getvalue(),
        "openwebtext.tar.xz": tarball({"openwebtext/urlsf_subset00-1_data.xz": inner}, "w:xz"),
        "urlsf_subset01-2_data.xz": inner,
        "x.gz": gzip.compress(b"line 1\nline 2\n"),
        "y.txt": b"a whole\r\nfile",
        "z.txt.bz2": bz2.compress(b"packed"),
    }
    found = {name: texts_of(lines_file(tmp_path, data, name)) for name, data in files.items()}
    assert found == {
        "a.jsonl.zst.tar": ["a 1", "a 2", "b 1", "b 2"],
        "b.tar.gz": ["text a", "text b"],
        "c.zip": ["zip ä", '{"a": 1}'],
        "openwebtext.tar.xz": ["inner 1", "inner 2"],
        "urlsf_subset01-2_data.xz": ["inner 1", "inner 2"],
        "x.gz": ["line 1", "line 2"],
        "y.txt": ["a whole\r\nfile"],
        "z.txt.bz2": ["packed"],
    }
    members = [item.member for item in read_lmd(tmp_path / "openwebtext.tar.xz") if isinstance(item, LmdText)]
    assert members == [f"openwebtext/urlsf_subset00-1_data.xz/{n}.txt" for n in (1, 2)]


def test_line_ends_of_all_kinds_blank_lines_and_a_mark_at_the_beginning(tmp_path: Path) -> None:
    path = lines_file(tmp_path, b'\xef\xbb\xbf{"text":"a"}\r\n\n \r\n{"text":"b"}\r{"text":"c"}\r"d"\n{"text":"e"}')
    assert [(i.number, i.text) for i in read_lmd(path) if isinstance(i, LmdText)] == [
        (1, "a"),
        (4, "b"),
        (5, "c"),
        (6, "d"),
        (7, "e"),
    ]
    assert reasons_of(path) == []


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (rb'{"text": "a \ud800 b"}', "a � b"),
        (rb'{"text": "\ud83d\ude00 \ude00"}', "\U0001f600 �"),
        (b'{"text": "caf\xe9"}', "caf�"),
        (b'{"text": "tab\there", "n": NaN}', "tab\there"),
    ],
)
def test_what_no_text_can_hold_is_replaced_and_said(tmp_path: Path, line: bytes, text: str) -> None:
    [item] = read_lmd(lines_file(tmp_path, line))
    assert isinstance(item, LmdText)
    assert (item.text, item.mended) == (text, True)
    assert item.meta in ({}, {"n": None})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{nope", "malformed line"),
        (b"[" * 100_000, "malformed line"),
        (b"[1]", "no text"),
        (b'{"title": "x"}', "no text"),
        (b'{"text": 7}', "no text"),
        (b'{"text": ["a", 1]}', "no text"),
        (b'{"text": " \\n"}', "no text"),
    ],
)
def test_a_line_without_a_text_costs_itself_alone(tmp_path: Path, line: bytes, reason: str) -> None:
    path = lines_file(tmp_path, b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n')
    assert texts_of(path) == ["before", "after"]
    assert reasons_of(path) == [(2, reason)]


def test_fields_beside_the_text_become_meta(tmp_path: Path) -> None:
    path = lines_file(
        tmp_path, b'{"content": "a", "text": 1, "url": "u", "meta": {"n": 2}}\n{"content": "b", "meta": "m"}\n'
    )
    read = [(item.text, item.meta) for item in read_lmd(path, "content") if isinstance(item, LmdText)]
    assert read == [("a", {"text": 1, "url": "u", "n": 2}), ("b", {"meta": "m"})]


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST", 5_000_000)
    path = lines_file(tmp_path, b'{"text": "%b"}\n{"text": "after"}\n' % (b"x" * 6_000_000))
    assert texts_of(path) == ["after"]
    assert reasons_of(path) == [(1, "longer than 128 MiB")]


@pytest.mark.slow
def test_a_line_of_a_hundred_megabytes_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = lines_file(tmp_path, b'{"text": "%b"}\n{"text": "after"}\n' % (b"x" * 100_000_000))
    program = (
        "import sys; from pathlib import Path; from libertas.corpus.lmd import read_lmd; "
        "sizes = [len(i.text) for i in read_lmd(Path(sys.argv[1]))]; assert sizes == [100_000_000, 5], sizes; "
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"  # rusage has the parent's, too
    )
    said = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True).stdout
    assert int(said) < 700_000  # kibibytes


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_packed_lines_that_are_cut_off_are_read_as_far_as_they_go(tmp_path: Path, pack) -> None:
    content = b"".join(b'{"text": "%d %d"}\n' % (n, n**9) for n in range(5_000))
    path = lines_file(tmp_path, pack(content)[: -len(pack(content)) // 3], "a.jsonl")
    texts = texts_of(path)
    assert texts == [f"{n} {n**9}" for n in range(len(texts))]
    assert [reason for _, reason in reasons_of(path)] == ["compressed data is cut off"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.tar.gz", gzip.compress(b"no archive at all" * 100)),
        ("a.zip", b"PK no archive"),
        ("a.dat.zst", zstandard.compress(b"0000000000000003abc00000000000x0004d")),
        ("b.dat.zst", zstandard.compress(b"0000000000000009abc")),
        ("a.json.zst", zstandard.compress(b'["a", "b", {')),
        ("a.jsonl.zst", b"\x28\xb5\x2f\xfd\x00\x58\x41"),
        ("a.jsonl.gz", b"\x1f\x8b\x08 not gzip"),
    ],
)
def test_damage_of_every_kind_is_a_reason_and_never_an_error(tmp_path: Path, name: str, data: bytes) -> None:
    path = lines_file(tmp_path, data, name)
    assert len(reasons_of(path)) == 1
    assert texts_of(path) == {"a.dat.zst": ["abc"], "a.json.zst": ["a", "b"]}.get(name, [])


@given(st.lists(st.one_of(st.text(), st.integers(), st.dictionaries(st.text(), st.text())), max_size=12), st.data())
def test_an_array_is_read_as_json_reads_it_however_it_comes_in_blocks(
    values: list[object], data: st.DataObject
) -> None:
    written = json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass")
    size = data.draw(st.integers(1, 40))
    blocks = [written[n : n + size] for n in range(0, len(written), size)]
    read_at_a_time = lines.READ_BYTES
    try:
        lines.READ_BYTES = data.draw(st.integers(1, 30))
        assert list(array_values(blocks)) == list(enumerate(values, start=1))
    finally:
        lines.READ_BYTES = read_at_a_time


def test_what_is_no_file_of_lm_dataformat_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").touch()
    for path, words in (
        (tmp_path, "holds no file"),
        (tmp_path / "a.parquet", "is no file of"),
        (tmp_path / "b", "not exist"),
    ):
        with pytest.raises(UsageError, match=words):
            lmd_files(path)
    assert lmd_kind("a.parquet") is None

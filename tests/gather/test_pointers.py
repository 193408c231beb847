"""Records fetched one by one, and archives copied, from a server on loopback that serves ranges and fails at will."""

import gzip
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import zstandard
from archives import PAGE, bodies, lost, resource, response, saved

from libertas.errors import UsageError
from libertas.gather import inputs, remote, warc
from libertas.gather.pointers import MERGED_BYTES, Pointer, pointed_records, pointers
from libertas.gather.remote import FetchFailed, fetch_range, listed_paths, open_archive
from libertas.gather.warc import Lost, Record


@dataclass
class Server:
    """What is served, how it fails, and what was asked of it."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of each request."""
    statuses: list[int] = field(default_factory=list)
    """Answers with these come first."""
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    """The next answers end after this many bytes."""
    tags: list[str] = field(default_factory=lambda: ['"1"'])
    """ETag of each answer; the last one stays."""
    later: dict[str, bytes] = field(default_factory=dict)
    """What the files are after the first answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range", "")
        self.asked.append((handler.path, asked))
        data = self.files.get(handler.path)
        status = self.statuses.pop(0) if self.statuses else 200 if data is not None else 404
        if status != 200 or data is None:
            handler.send_error(status)
            return
        tag = self.tags.pop(0) if len(self.tags) > 1 else self.tags[0]
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked) if self.ranges else None
        if found and handler.headers.get("If-Range", tag) == tag:
            start = int(found[1])
            end = min(len(data), int(found[2]) + 1 if found[2] else len(data))
            if start >= len(data):
                handler.send_error(416)
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
            data = data[start:end]
        else:
            handler.send_response(200)
        handler.send_header("ETag", tag)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        self.files |= self.later
        handler.wfile.write(data[: self.breaks.pop(0)] if self.breaks else data)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(remote, "FIRST_PAUSE_SECONDS", 0.0)
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield state
        http.shutdown()
        thread.join()


MEMBERS = [warc.warcinfo("2026-01-31T12:00:00Z", "x"), response(PAGE), resource(b"one"), resource(b"two", "urn:file:b")]
STARTS = [sum(map(len, MEMBERS[:i])) for i in range(4)]
ROWS = [("crawl/a.warc.gz", at, len(member)) for at, member in zip(STARTS, MEMBERS, strict=True)]


def cdxj(rows: list[tuple[str, int, int]]) -> str:
    """Lines as pywb writes them, numbers as text."""
    return "".join(
        f"example,a)/{i} 20260131120000 {json.dumps({'filename': f, 'offset': str(o), 'length': str(n)})}\n"
        for i, (f, o, n) in enumerate(rows)
    )


def written(folder: Path, rows: list[tuple[str, int, int]], name: str) -> Path:
    """A file of pointers in the format that its name says."""
    path = folder / name
    columns = ("warc_filename", "warc_record_offset", "warc_record_length")
    table = pa.table({column: [row[i] for row in rows] for i, column in enumerate(columns)})
    if name.endswith(".parquet"):
        pq.write_table(table, path)
    elif name.endswith(".csv"):
        pyarrow.csv.write_csv(table, path)
    else:
        text = cdxj(rows).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


FORMATS = ["a.cdxj", "a.cdxj.gz", "a.parquet", "a.csv"]


@pytest.mark.parametrize("name", FORMATS)
def test_records_at_pointers_are_those_of_the_whole_archive(tmp_path: Path, server: Server, name: str) -> None:
    server.files["/crawl/a.warc.gz"] = b"".join(MEMBERS)
    whole = list(warc.records(saved(tmp_path, *MEMBERS)))
    chosen = [3, 1]
    found = list(pointed_records(written(tmp_path, [ROWS[i] for i in chosen], name), server.url))
    assert found == [whole[i] for i in chosen]
    assert server.asked == [
        ("/crawl/a.warc.gz", f"bytes={STARTS[i]}-{STARTS[i] + len(MEMBERS[i]) - 1}") for i in chosen
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_the_same(tmp_path: Path, name: str) -> None:
    assert list(pointers(written(tmp_path, ROWS, name))) == [Pointer(*row) for row in ROWS]


def test_records_that_lie_side_by_side_are_fetched_at_once(tmp_path: Path, server: Server) -> None:
    server.files["/crawl/a.warc.gz"] = b"".join(MEMBERS)
    found = list(pointed_records(written(tmp_path, ROWS, "a.cdxj"), server.url))
    assert found == list(warc.records(saved(tmp_path, *MEMBERS)))
    assert len(server.asked) == 1


def test_neighbours_are_not_fetched_together_beyond_the_limit(tmp_path: Path, server: Server) -> None:
    large = resource(b"x" * (MERGED_BYTES // 2))
    plain = [gzip.decompress(large)] * 3
    server.files["/a.warc"] = b"".join(plain)
    rows = [("a.warc", i * len(plain[0]), len(plain[0])) for i in range(3)]
    assert len(bodies(pointed_records(written(tmp_path, rows, "a.cdxj"), server.url))) == 3
    assert len(server.asked) == 3


def test_a_folder_is_read_like_a_server(tmp_path: Path) -> None:
    (tmp_path / "crawl").mkdir()
    path = saved(tmp_path / "crawl", *MEMBERS)
    assert list(pointed_records(written(tmp_path, ROWS, "a.csv"), str(tmp_path))) == list(warc.records(path))


def test_a_zstandard_archive_is_read_with_its_dictionary(tmp_path: Path, server: Server) -> None:
    plain = [gzip.decompress(m) for m in MEMBERS]
    dictionary = zstandard.ZstdCompressionDict(plain[1] + bytes(range(256)), zstandard.DICT_TYPE_RAWCONTENT)
    raw = dictionary.as_bytes()
    head = b"\x5d\x2a\x4d\x18" + len(raw).to_bytes(4, "little") + raw
    packed = [zstandard.ZstdCompressor(dict_data=dictionary).compress(p) for p in plain]
    server.files["/a.warc.zst"] = head + b"".join(packed)
    rows = [("a.warc.zst", len(head) + sum(map(len, packed[:i])), len(packed[i])) for i in (1, 3)]
    assert bodies(pointed_records(written(tmp_path, rows, "a.cdxj"), server.url)) == [PAGE, b"two"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("none.warc.gz", 0, 99), "cannot be fetched"),
        (("a.warc.gz", 10**9, 99), "cannot be fetched"),
        (("a.warc.gz", STARTS[1] + 10, 40), "not a WARC record"),
        (("a.warc.gz", STARTS[1], len(MEMBERS[1]) - 9), "truncated record"),
    ],
)
def test_a_pointer_to_no_record_is_a_loss_at_its_place_and_the_next_is_read(
    tmp_path: Path, server: Server, row: tuple[str, int, int], reason: str
) -> None:
    server.files["/a.warc.gz"] = b"".join(MEMBERS)
    rows = [row, ("a.warc.gz", STARTS[3], len(MEMBERS[3]))]
    found = list(pointed_records(written(tmp_path, rows, "a.cdxj"), server.url))
    assert lost(found) == [(reason, row[1], row[2])]
    assert bodies(found) == [b"two"]
    assert len(server.asked) == 2  # what is refused for good is not asked for again


def test_a_pointer_behind_the_end_of_a_file_in_a_folder_is_a_loss(tmp_path: Path) -> None:
    saved(tmp_path, *MEMBERS)
    found = list(pointed_records(written(tmp_path, [("a.warc.gz", 10**9, 99)], "a.cdxj"), str(tmp_path)))
    assert lost(found) == [("behind the end of the archive", 10**9, 99)]


def test_what_fails_for_a_time_is_asked_for_again(tmp_path: Path, server: Server) -> None:
    server.files["/crawl/a.warc.gz"] = b"".join(MEMBERS)
    server.statuses, server.breaks = [503, 429, 500], [10]
    assert bodies(pointed_records(written(tmp_path, ROWS[2:3], "a.cdxj"), server.url)) == [b"one"]
    assert len(server.asked) == 5


def test_what_fails_for_ever_is_a_loss_after_the_last_try(tmp_path: Path, server: Server) -> None:
    server.statuses = [503] * 99
    found = list(pointed_records(written(tmp_path, ROWS[2:3], "a.cdxj"), server.url))
    assert lost(found) == [("cannot be fetched", ROWS[2][1], ROWS[2][2])]
    assert isinstance(found[0], Lost)
    assert found[0].drop.value == "HTTP status 503"
    assert len(server.asked) == 1 + remote.RETRIES


def test_a_server_without_ranges_is_not_asked_for_the_whole_file_again_and_again(
    tmp_path: Path, server: Server
) -> None:
    server.files["/crawl/a.warc.gz"] = b"".join(MEMBERS)
    server.ranges = False
    (found,) = pointed_records(written(tmp_path, ROWS[2:3], "a.cdxj"), server.url)
    assert isinstance(found, Lost)
    assert found.drop.value == "the server serves no ranges"
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "line",
    [
        "no pointer at all",
        "a 2026 {broken",
        'a 2026 {"filename": "a", "offset": 1}',
        'a 2026 {"filename": "a", "offset": -1, "length": 9}',
        'a 2026 {"filename": "a", "offset": 1, "length": 0}',
        'a 2026 {"filename": "", "offset": 1, "length": 9}',
        'a 2026 {"filename": "a", "offset": "1e3", "length": 9}',
        'a 2026 {"filename": "a", "offset": 1, "length": 99999999999}',
        'a 2026 {"filename": "a", "offset": null, "length": [9]}',
        "a 2026 " + "{" * 5000,
    ],
)
def test_a_row_that_is_no_pointer_is_a_loss_with_its_number_and_the_others_stand(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.cdxj"
    path.write_text(cdxj(ROWS[:1]) + line + "\n" + cdxj(ROWS[1:2]))
    first, second, third = pointers(path)
    assert (first, third) == (Pointer(*ROWS[0]), Pointer(*ROWS[1]))
    assert isinstance(second, Lost)
    assert (second.file, second.offset, second.drop.reason) == ("a.cdxj", 1, "no pointer")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"warc_filename,warc_record_offset\na,1\n"),
        ("a.parquet", b"PAR1" + b"\0" * 40),
        ("a.cdxj.gz", gzip.compress(cdxj(ROWS).encode())[:-20]),
        ("a.cdxj.gz", gzip.compress(cdxj(ROWS).encode())[:12] + b"\xff" * 30),
    ],
)
def test_a_file_that_holds_no_pointers_is_refused_in_one_line(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"a\.\w+.*; expected .*; (fetch it again|name another file)") as caught:
        list(pointers(path))
    assert "\n" not in str(caught.value)


def test_a_range_of_a_file_is_what_lies_there_and_ends_where_the_file_ends(tmp_path: Path, server: Server) -> None:
    data = bytes(range(256)) * 4
    server.files["/a%20b%23c"] = data
    (tmp_path / "a").write_bytes(data)
    for place in (server.url + "a%20b%23c", str(tmp_path / "a"), (tmp_path / "a").as_uri()):
        assert fetch_range(place, 250, 20) == data[250:270]
        assert fetch_range(place, 1000, 900) == data[1000:]
    with pytest.raises(FetchFailed, match="404"):
        fetch_range(server.url + "none", 0, 9)


def test_an_archive_is_copied_whole_under_its_own_name(tmp_path: Path, server: Server) -> None:
    server.files["/crawl/a%20b.warc.gz"] = b"".join(MEMBERS)
    path = open_archive(server.url + "crawl/a%20b.warc.gz", tmp_path)
    assert path == tmp_path / "a b.warc.gz"
    assert path.read_bytes() == b"".join(MEMBERS)
    assert [f.name for f in tmp_path.iterdir()] == ["a b.warc.gz"]


def test_a_copy_that_breaks_off_goes_on_where_it_ended(tmp_path: Path, server: Server) -> None:
    data = bytes(range(251)) * 40
    server.files["/a"], server.breaks = data, [4000, 3000]
    assert open_archive(server.url + "a", tmp_path).read_bytes() == data
    assert [asked for _, asked in server.asked] == ["", "bytes=4000-", "bytes=7000-"]


@pytest.mark.parametrize("tags", [['"1"', '"2"'], ['W/"1"']])
def test_a_copy_starts_over_where_the_file_may_have_changed_since(
    tmp_path: Path, server: Server, tags: list[str]
) -> None:
    server.files["/a"], server.later["/a"] = b"old" * 3000, b"new" * 3000
    server.breaks, server.tags = [4000], tags
    assert open_archive(server.url + "a", tmp_path).read_bytes() == b"new" * 3000


def test_an_archive_that_cannot_be_copied_is_refused_in_one_line_and_leaves_nothing(
    tmp_path: Path, server: Server
) -> None:
    server.files["/torn"], server.breaks = b"x" * 99, [9] * 99
    for name in ("none", "torn"):
        with pytest.raises(UsageError, match=f"{name} cannot be fetched: .*; expected a whole archive; ") as caught:
            open_archive(server.url + name, tmp_path)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def everything(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.fixture
def treasure(tmp_path: Path) -> Path:
    """A folder with an archive and with much that must stay."""
    folder = tmp_path / "treasure"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "thesis.txt").write_text("years of work")
    saved(folder, *MEMBERS, name="a b.warc.gz")
    return folder


def test_a_file_address_of_an_archive_is_the_file_itself_and_nothing_is_deleted(tmp_path: Path, treasure: Path) -> None:
    before, address = everything(tmp_path), (treasure / "a b.warc.gz").as_uri()
    assert open_archive(address, tmp_path / "unused") == treasure / "a b.warc.gz"
    assert list(inputs.records_in(address)) == list(warc.records(treasure / "a b.warc.gz"))
    half = inputs.records_in(address)
    assert isinstance(next(half), Record)
    half.close()  # type: ignore[attr-defined]
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["none.warc.gz", "below/none.warc.gz", "gone/none.warc.gz", "below"])
def test_a_file_address_of_no_archive_is_refused_in_one_line_and_nothing_is_deleted(
    tmp_path: Path, treasure: Path, name: str
) -> None:
    before = everything(tmp_path)
    with pytest.raises(UsageError, match=f"{name} is no file; expected a WARC file") as caught:
        list(inputs.records_in((treasure / name).as_uri()))
    assert "\n" not in str(caught.value)
    assert everything(tmp_path) == before


def test_a_file_address_in_a_list_means_the_plain_path(tmp_path: Path, treasure: Path) -> None:
    listed = tmp_path / "a.paths"
    missing = treasure / "none.warc.gz"
    listed.write_text(f"{(treasure / 'a b.warc.gz').as_uri()}\n{missing.as_uri()}\n")
    before = everything(tmp_path)
    found = inputs.inputs_of([listed])
    assert found.archives == (str(treasure / "a b.warc.gz"), str(missing))
    assert found.lineage["archive"] == [treasure / "a b.warc.gz", missing]
    assert len(list(inputs.records_in(found.archives[0]))) == 4
    with pytest.raises(UsageError, match=r"none\.warc\.gz is no file"):
        list(inputs.records_in(found.archives[1]))
    assert everything(tmp_path) == before


def test_an_archive_behind_http_is_read_and_its_copy_is_gone_afterwards(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "copies"))
    (tmp_path / "copies").mkdir()
    server.files["/a.warc.gz"] = b"".join(MEMBERS)
    whole = list(warc.records(saved(tmp_path, *MEMBERS)))
    assert list(inputs.records_in(server.url + "a.warc.gz")) == whole
    assert list((tmp_path / "copies").iterdir()) == []


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_list_is_its_lines_without_the_empty_ones(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    path = tmp_path / "a.paths"
    path.write_bytes(pack(b"crawl/a.warc.gz\r\n\n  crawl/b.warc.gz \n"))
    assert listed_paths(path) == ["crawl/a.warc.gz", "crawl/b.warc.gz"]


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xff\xfe\n", gzip.compress(b"a\nb\n" * 99)[:-9], b"\x1f\x8brest"])
def test_a_list_that_is_none_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.paths"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="expected one path a line") as caught:
        listed_paths(path)
    assert "\n" not in str(caught.value)

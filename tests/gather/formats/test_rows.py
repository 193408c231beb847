"""Tables of texts as pieces, and pieces as texts."""

import csv
import gzip
from datetime import date
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from libertas.document import Drop
from libertas.gather.extracted import PLAIN_TEXT, Extracted
from libertas.gather.formats.part import Part
from libertas.gather.formats.rows import CSV, JSON_LINES, PARQUET, ROW, TSV, read_row, row_parts

NAMES = {"text": "text", "id": "id", "url": "url", "title": "title", "date": "date"}


def parts(path: Path, kind: str, **names: str) -> list[Part | Drop]:
    return list(row_parts(path, kind, NAMES | names))


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "table"
    path.write_bytes(data)
    return path


def shown(found: list[Part | Drop]) -> list[tuple[str, object]]:
    """Name and object of a piece; reason and value of a drop."""
    return [(f.reason, f.value) if isinstance(f, Drop) else (f.name, orjson.loads(f.body)) for f in found]


def test_json_lines_become_pieces_by_id_or_line_and_keep_only_the_named_fields(tmp_path: Path) -> None:
    lines = b'\xef\xbb\xbf{"text":"one","id":7,"other":1}\n\n'
    lines += b'{"text":"two","url":"http://a/b","title":" T ","date":"2020-01-02"}'
    found = parts(written(tmp_path, lines), JSON_LINES)
    assert shown(found) == [
        ("7", {"id": "7", "text": "one"}),
        ("3", {"url": "http://a/b", "title": "T", "date": "2020-01-02", "text": "two"}),
    ]
    assert [f.url for f in found if isinstance(f, Part)] == [None, "http://a/b"]
    assert {f.content_type for f in found if isinstance(f, Part)} == {ROW}


def test_a_dot_leads_into_nested_fields_unless_a_field_has_that_name(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"a":{"b":"in"}}\n{"a.b":"out","a":{"b":"in"}}\n{"a":"flat"}\n')
    assert shown(parts(path, JSON_LINES, text="a.b")) == [
        ("1", {"text": "in"}),
        ("2", {"text": "out"}),
        ("row without text", 3),
    ]


def test_each_bad_line_of_json_is_dropped_alone(tmp_path: Path) -> None:
    lines = [b'{"text":"good"}', b"{", b"[1]", b'{"text":" "}', b'{"text":5}', b'{"text":"\xff"}', b'{"text":"end"}']
    assert shown(parts(written(tmp_path, b"\n".join(lines)), JSON_LINES)) == [
        ("1", {"text": "good"}),
        ("malformed line", 2),
        ("not an object", 3),
        ("row without text", 4),
        ("row without text", 5),
        ("malformed line", 6),
        ("7", {"text": "end"}),
    ]


def test_json_nested_without_end_is_one_malformed_line(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"text":' + b"[" * 200_000 + b'\n{"text":"next"}\n')
    assert shown(parts(path, JSON_LINES)) == [("malformed line", 1), ("2", {"text": "next"})]


def test_a_line_too_large_for_a_record_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("containers", "rows"):
        monkeypatch.setattr(f"libertas.gather.formats.{module}.PIECE_BYTES", 50)
    path = written(tmp_path, b'{"text":"' + b"x" * 100 + b'"}\n{"text":"next"}\n')
    assert shown(parts(path, JSON_LINES)) == [("too large for a record", 1), ("2", {"text": "next"})]


def test_a_compressed_table_that_is_cut_off_gives_its_whole_rows_and_says_so(tmp_path: Path) -> None:
    lines = b"".join(orjson.dumps({"text": f"row {n} {n * n}"}) + b"\n" for n in range(20_000))
    packed = gzip.compress(lines)
    found = parts(written(tmp_path, packed[: len(packed) // 2]), JSON_LINES)
    assert isinstance(found[-1], Drop)
    assert found[-1].reason == "damaged table"
    pieces = [f for f in found if isinstance(f, Part)]
    assert 5_000 < len(pieces) < 20_000
    assert all(orjson.loads(p.body)["text"] == f"row {n} {n * n}" for n, p in enumerate(pieces))


def test_csv_is_read_with_quotes_and_line_breaks_inside(tmp_path: Path) -> None:
    table = b'\xef\xbb\xbfid,text\r\na,"one, ""two""\nthree"\r\n,four\r\n'
    assert shown(parts(written(tmp_path, table), CSV)) == [
        ("a", {"id": "a", "text": 'one, "two"\nthree'}),
        ("4", {"text": "four"}),
    ]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_header_says_what_parts_the_cells(sign: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"id{sign}text\n1{sign}word\n".encode())
    assert shown(parts(path, CSV)) == [("1", {"id": "1", "text": "word"})]


def test_tab_separated_values_may_hold_commas_in_their_header(tmp_path: Path) -> None:
    path = written(tmp_path, b"text\ta,b,c\nword\t1\n")
    assert shown(parts(path, TSV)) == [("2", {"text": "word"})]


def test_each_bad_row_of_csv_is_dropped_alone(tmp_path: Path) -> None:
    path = written(tmp_path, b"id,text\n1,good\n2,too,many\n3,caf\xe9\n4\n5,end\n")
    assert shown(parts(path, CSV)) == [
        ("1", {"id": "1", "text": "good"}),
        ("malformed line", 3),
        ("not UTF-8", 4),
        ("row without text", 5),
        ("5", {"id": "5", "text": "end"}),
    ]


def test_a_quote_that_nothing_closes_costs_no_more_than_a_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libertas.gather.formats.rows.LONGEST_CELL", 1000)
    path = written(tmp_path, b'id,text\n1,good\n2,"' + b"x" * 80 + b"\n" + b"n,more words\n" * 100)
    found = parts(path, CSV)
    assert shown(found[:2]) == [("1", {"id": "1", "text": "good"}), ("malformed line", 3)]
    assert sum(isinstance(f, Part) for f in found) > 5


def test_a_table_without_the_field_is_dropped_with_the_fields_it_has(tmp_path: Path) -> None:
    assert shown(parts(written(tmp_path, b"a,b\n1,2\n"), CSV)) == [("no field for the text", "text is not among a, b")]
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "t.parquet")
    assert shown(parts(tmp_path / "t.parquet", PARQUET)) == [("no field for the text", "text is not among body")]


def test_parquet_rows_are_numbered_and_may_be_nested(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "meta": {"day": date(2021, 3, n % 28 + 1)}} for n in range(150)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    found = shown(parts(tmp_path / "t.parquet", PARQUET, date="meta.day"))
    assert len(found) == 150
    assert found[0] == ("1", {"date": "2021-03-01", "text": "text 0"})
    assert found[149] == ("150", {"date": "2021-03-10", "text": "text 149"})


def test_a_parquet_text_that_is_not_utf_8_costs_its_row_alone(tmp_path: Path) -> None:
    column = pa.Array.from_buffers(pa.string(), 3, pa.array([b"one", b"\xff\xfe", b"two"], pa.binary()).buffers())
    pq.write_table(pa.table({"text": column}), tmp_path / "t.parquet")
    assert shown(parts(tmp_path / "t.parquet", PARQUET)) == [
        ("1", {"text": "one"}),
        ("not UTF-8", 2),
        ("3", {"text": "two"}),
    ]


def test_damaged_parquet_is_dropped(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x" * 1000]}), tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    for data in (b"", b"PAR1", whole[:200], b"PAR1" + whole[50:]):
        found = parts(written(tmp_path, data), PARQUET)
        assert [f.reason for f in found if isinstance(f, Drop)] == ["damaged table"]


def test_a_row_reads_as_its_text_title_and_facts() -> None:
    body = orjson.dumps({"text": "one\r\ntwo", "title": "T", "id": "9", "date": "2020-05-06T10:00:00Z"})
    expected = Extracted("one\ntwo", "T", {"row_id": "9", "published": "2020-05-06"})
    assert read_row(body, PLAIN_TEXT) == expected
    assert read_row(b'{"text":"x","date":"May 5"}', PLAIN_TEXT) == Extracted("x", "", {})


def test_real_tables_become_pieces_without_loss(shared_data: Path) -> None:
    path = shared_data / "eval" / "implicatures_test.csv"
    found = parts(path, CSV, text="Context utterance")
    with path.open(newline="", encoding="utf-8") as file:
        assert len(found) == len(list(csv.reader(file))) - 1
    assert all(isinstance(f, Part) for f in found)

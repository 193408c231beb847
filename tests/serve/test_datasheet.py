"""The datasheet: numbers of the corpus on a page, in Markdown and in Croissant; texts stay texts."""

import hashlib
import logging
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlcroissant
import orjson
import pyarrow.parquet as pq
import pytest
import zstandard
from making import MadeConfig, document, mixed_corpus, text
from markdown_it import MarkdownIt
from page_reader import Reader
from tokenizers import Tokenizer, models, pre_tokenizers

from libertas.corpus import CorpusWriter
from libertas.curate.datasheet import topics
from libertas.curate.datasheet.config import DatasheetConfig
from libertas.curate.datasheet.questions import QUESTIONS
from libertas.curate.sidecar import AGAINST_SCHEMA, CUTS_SCHEMA, rows_of
from libertas.document import Document
from libertas.errors import UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.manifest import read_manifest
from libertas.lineage.verify import verify
from libertas.serve.datasheet.blocks import Quoted, Rows, clipped, in_bytes
from libertas.serve.datasheet.figures import counted_years, label, length_figure
from libertas.serve.datasheet.markdown import escaped
from libertas.serve.datasheet.stage import datasheet
from libertas.stages import STAGES

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
TURNED = "abc\u202edef\u0000\u001b[31m"
LONG = "w" * 10_000
NAME = '<b>evil</b> %{x} $y$ | `code` "><svg onload=alert(3)>'
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def hostile(number: int) -> Document:
    meta = {
        "component": NAME if number % 2 else "plain",
        "url": ("javascript:alert(4)", "https://<script>.org/", "https://example.org/x|y")[number % 3],
        "license": f'"><b onclick=x>{number % 2}',
        "language": ("en", "</style><i>", "\u202e")[number % 3],
        "opt_out": [EVIL],
        "published": "2021-05-01",
        "date": "2024-01-01T00:00:00Z",
    }
    said = f"{EVIL} {TURNED} {LONG} she said {text(number)}\n{EVIL} a line that many documents have, {TURNED}\n"
    return Document(document(number).id, said, meta)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("datasheet")


def made(path: Path, kind: str, inputs: dict[str, list[Path]]) -> Draft:
    return Draft(kind=kind, out=path, config=MadeConfig(out=path), inputs=inputs, code="libertas.document")


@pytest.fixture(scope="module")
def evil(folder: Path) -> Path:
    """A corpus of hostile documents, a side-car about them, and their datasheet."""
    documents = [hostile(n) for n in range(24)]
    with made(folder / "evil", "corpus", {}).build() as built, CorpusWriter(built, "evil") as writer:
        for each in documents:
            writer.add(each)
    said = {"number": 0, "document_id": documents[0].id, "rule": NAME, "reason": f"{EVIL} above 3", "value": 4.5}
    cut = {
        "number": 1,
        "document_id": documents[1].id,
        "start": 0,
        "end": 5,
        "replacement": "",
        "rule": EVIL,
        "detail": "",
    }
    draft = made(folder / "judged", "redactions", {"corpus": [folder / "evil"]})
    with draft.build() as built:
        for table, schema, rows in (("against", AGAINST_SCHEMA, [said]), ("cuts", CUTS_SCHEMA, [cut])):
            (built / table).mkdir()
            pq.write_table(rows_of(schema, rows), built / table / "0-00000.parquet")
        draft.counts.update({"documents": {"in": 24, "out": 24, "dropped": 0}, EVIL: 7})
    about = folder / "about.toml"
    about.write_text(f"[dataset]\ndescription = '{EVIL}'\n[answers]\npurpose = '{EVIL} | `x`'\n", encoding="utf-8")
    out = folder / "sheet-evil"
    config = DatasheetConfig(corpus=folder / "evil", decisions=(folder / "judged",), about=about, name=NAME, out=out)
    datasheet(config)
    return out


@pytest.fixture(scope="module")
def page(evil: Path) -> Reader:
    return Reader((evil / "datasheet.html").read_text(encoding="utf-8"))


def charts(path: Path) -> dict[str, Any]:
    written = re.search(r'id="charts">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
    assert written is not None
    found: dict[str, Any] = orjson.loads(written[1])
    return found


def test_what_a_document_says_never_becomes_part_of_the_page(page: Reader) -> None:
    assert not {tag for tag, _ in page.elements} & {"img", "svg", "b", "iframe", "object"}
    assert [a for tag, a in page.elements if tag == "script"] == [{"type": "application/json", "id": "charts"}, {}, {}]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    links = [a["href"] or "" for tag, a in page.elements if tag in ("a", "link")]
    assert all(link.startswith("#") or link == "data:," for link in links)
    shown = "".join(page.words)
    assert EVIL in shown
    assert NAME in shown
    assert LONG[:200] not in shown


def test_the_page_holds_no_character_that_html_forbids_and_isolates_text_that_turns(evil: Path) -> None:
    written = (evil / "datasheet.html").read_text(encoding="utf-8")
    outside = re.sub("<script.*?</script>", "", written, flags=re.DOTALL)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", outside)
    assert "<bdi>" in written


def test_labels_of_charts_are_no_markup_template_or_formula(evil: Path) -> None:
    assert label("<b>%{x}$1$&\u202e\x00") == "&lt;b&gt;%\u200b{x}\uff041\uff04&amp;\ufffd\ufffd"
    for figure in charts(evil / "datasheet.html").values():
        for series in figure["data"]:
            assert "<b>" not in str(series.get("name"))
            assert "%{x} $" not in str(series.get("hovertemplate"))


def test_markdown_shows_hostile_text_as_text(evil: Path) -> None:
    written = (evil / "datasheet.md").read_text(encoding="utf-8")
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(written)
    inside = [child for token in tokens for child in token.children or []]
    assert not {t.type for t in [*tokens, *inside]} & {"html_block", "html_inline", "image", "link_open", "fence"}
    assert EVIL in "".join(t.content for t in inside if t.type == "text")
    rows, widths = [], set()
    for token in tokens:
        rows += [0] if token.type == "tr_open" else []
        if token.type in ("td_open", "th_open"):
            rows[-1] += 1
        if token.type == "table_close":
            widths.add(len(set(rows)))
            rows = []
    assert widths == {1}
    assert escaped("- a\u202eb\n|*") == r"\- a\ufffdb \|\*".replace(r"\ufffd", "\ufffd")


@pytest.fixture(scope="module")
def sheet(folder: Path) -> Path:
    """The datasheet of 120 documents in two components and two parts, with tokens that are bytes."""
    tokenizer = Tokenizer(
        models.BPE(vocab={c: n for n, c in enumerate(pre_tokenizers.ByteLevel.alphabet())}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    things = ["anchor", "comet", "flour", "goal", "ink", "tenor", "maple", "river"]
    kinds = [f"{thing} {thing}s" for thing in things]
    documents = [document(n, ("web", "code")[n % 2], f"{text(n)} {kinds[n % 8]}") for n in range(120)]
    mixed_corpus(folder / "mix", documents[12:], documents[:12])
    settings = {"tokens": folder / "tokenizer.json", "topics": 5, "workers": 1}
    datasheet(DatasheetConfig(corpus=folder / "mix", out=folder / "sheet", **settings))
    return folder / "sheet"


def facts_in(sheet: Path) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((sheet / "facts.json").read_bytes())
    return found


def test_the_datasheet_is_an_artifact_that_verifies(sheet: Path) -> None:
    manifest = read_manifest(sheet)
    assert (manifest.kind, [i.role for i in manifest.inputs]) == ("datasheet", ["corpus", "tokens"])
    assert sorted(f.path for f in manifest.files) == ["croissant.json", "datasheet.html", "datasheet.md", "facts.json"]
    assert verify(sheet).sound
    assert manifest.counts["documents"] == 120


def test_the_same_corpus_makes_the_same_bytes_with_one_worker_and_two(sheet: Path, folder: Path) -> None:
    other = folder / "again"
    settings = {"tokens": folder / "tokenizer.json", "topics": 5, "workers": 2}
    datasheet(DatasheetConfig(corpus=folder / "mix", out=other, name="mix", **settings))
    for name in ("facts.json", "croissant.json", "datasheet.html", "datasheet.md"):
        assert (other / name).read_bytes() == (sheet / name).read_bytes()


def test_tokens_are_those_of_the_tokenizer(sheet: Path) -> None:
    for row in facts_in(sheet)["composition"]["components"]:
        assert row["tokens"] == row["bytes"]
        assert row["bytes_per_token"] == 1.0


def test_the_charts_are_the_facts(sheet: Path) -> None:
    facts, drawn = facts_in(sheet), charts(sheet / "datasheet.html")
    histogram = facts["lengths"]["web"]["characters"]["histogram"]
    web = next(s for s in drawn["lengths"]["data"] if s["name"] == "web")
    assert web["y"] == [0, *(pytest.approx(100 * n / 60, rel=1e-3) for _, n in histogram), 0]
    assert drawn["languages"]["data"][0]["x"] == [120]
    ratios = facts["compressibility"]["components"]
    assert [s["x"][::-1] for s in drawn["compressibility"]["data"]] == [
        [ratios[row["name"]][codec]["mean"] for row in facts["composition"]["components"]]
        for codec in ("zstd_3", "zstd_19", "xz")
    ]
    shades = drawn["topics"]["data"][0]["z"][::-1]
    assert len(shades) == len(facts["topics"]["topics"]) == 5


def test_every_number_of_the_page_stands_in_the_markdown_too(sheet: Path) -> None:
    reader = Reader((sheet / "datasheet.html").read_text(encoding="utf-8"))
    cells = {w for w in reader.words if re.fullmatch(r"\d[\d,]*(\.\d+)? ?[kM]?B?", w)}
    written = (sheet / "datasheet.md").read_text(encoding="utf-8").replace("\\", "")
    assert len(cells) > 30
    assert {c for c in cells if c not in written} <= {"120"}


def test_no_element_of_the_page_names_anything_to_load(sheet: Path) -> None:
    page = Reader((sheet / "datasheet.html").read_text(encoding="utf-8"))
    assert not [(tag, a) for tag, a in page.elements if {"src", "srcset", "action", "data", "poster"} & a.keys()]


def test_every_question_is_answered_by_a_number_by_the_author_or_marked(sheet: Path, evil: Path) -> None:
    asked = facts_in(sheet)["questions"]
    assert [q["key"] for q in asked] == [key for part in QUESTIONS.values() for key in part]
    open_ones = [q for q in asked if q["facts"] is None and q["author"] is None]
    assert (sheet / "datasheet.html").read_text(encoding="utf-8").count('class="prompt"') == len(open_ones) > 5
    answered = next(q for q in facts_in(evil)["questions"] if q["key"] == "purpose")
    assert answered["author"] == f"{EVIL} | `x`"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[answer]\n", "no table"),
        ("[answers]\npurpos = 'x'\n", "did you mean 'purpose'"),
        ("[dataset]\nlicence = 'x'\n", "did you mean 'license'. Expected one of citation, creators"),
        ("[dataset]\nlicense = 3\n", "expected text"),
        ("[dataset\n", "cannot be read as TOML"),
    ],
)
def test_what_the_author_misspells_is_told(folder: Path, tmp_path: Path, content: str, message: str) -> None:
    about = tmp_path / "about.toml"
    about.write_text(content)
    with pytest.raises(UsageError, match=message):
        datasheet(DatasheetConfig(corpus=folder / "mix", about=about, out=tmp_path / "out"))


def test_without_scikit_learn_topics_must_be_left_out_and_then_are(
    sheet: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(UsageError, match=r"libertas\[datasheet\].*--topics 0"):
        datasheet(DatasheetConfig(corpus=folder / "mix", out=folder / "none"))
    assert not (folder / "none").exists()
    datasheet(DatasheetConfig(corpus=folder / "mix", topics=0, workers=1, out=folder / "none"))
    assert facts_in(folder / "none")["topics"]["topics"] == []
    assert topics.topic_facts({}, 0, 0)["topics"] == []


def test_a_corpus_that_is_none_or_a_tokenizer_that_is_none_are_refused(sheet: Path, folder: Path) -> None:
    with pytest.raises(UsageError, match="expected a corpus"):
        datasheet(DatasheetConfig(corpus=sheet, out=folder / "no"))
    with pytest.raises(UsageError, match=r"tokenizer\.json"):
        datasheet(DatasheetConfig(corpus=folder / "mix", tokens=sheet, topics=0, out=folder / "no"))


def test_decisions_about_another_corpus_are_refused(evil: Path, folder: Path) -> None:
    assert evil.is_dir()
    config = DatasheetConfig(corpus=folder / "mix", decisions=(folder / "judged",), topics=0, out=folder / "no")
    with pytest.raises(UsageError, match=r"judged speaks of other corpora \(evil\), not of mix"):
        datasheet(config)
    assert not (folder / "no").exists()


def issues_of(path: Path, caplog: pytest.LogCaptureFixture) -> Sequence[str]:
    with caplog.at_level(logging.WARNING):
        found = mlcroissant.Dataset(str(path))
    report: str = found.metadata.ctx.issues.report()
    assert "error" not in report
    return [line for line in report.splitlines() if line.strip().startswith("-")]


@pytest.mark.filterwarnings("ignore")
def test_the_metadata_is_valid_croissant_and_its_hashes_are_those_of_the_files(
    sheet: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    missing = issues_of(sheet / "croissant.json", caplog)
    assert all("is recommended" in line for line in missing)
    said = orjson.loads((sheet / "croissant.json").read_bytes())
    assert "http://mlcommons.org/croissant/1.1" in said["conformsTo"]
    for file in said["distribution"]:
        content = (sheet / file["contentUrl"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert file["contentSize"] == f"{len(content)} B"


@pytest.mark.filterwarnings("ignore")
def test_what_the_author_says_leaves_nothing_to_recommend(
    folder: Path, sheet: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    about = tmp_path / "about.toml"
    about.write_text(
        "[dataset]\nlicense = 'CC-BY-4.0'\nurl = 'https://example.org/'\npublished = '2026-01-31'\n"
        "creators = ['A. Author']\ncitation = '@misc{a}'\n"
    )
    datasheet(DatasheetConfig(corpus=folder / "mix", about=about, topics=0, out=tmp_path / "sheet"))
    assert issues_of(tmp_path / "sheet" / "croissant.json", caplog) == []


@pytest.mark.filterwarnings("ignore")
def test_a_croissant_reader_finds_the_documents(sheet: Path, folder: Path, tmp_path: Path) -> None:
    """The reader knows no zstd: it gets the same description of the same shards, unpacked."""
    said = orjson.loads((sheet / "croissant.json").read_bytes())
    for file in said["distribution"]:
        packed = (sheet / file["contentUrl"]).open("rb")
        with packed, zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as stream:
            content = stream.read()
        (tmp_path / file["@id"]).write_bytes(content)
        file.update(contentUrl=file["@id"], sha256=hashlib.sha256(content).hexdigest())
    (tmp_path / "croissant.json").write_bytes(orjson.dumps(said))
    records = list(mlcroissant.Dataset(str(tmp_path / "croissant.json")).records("validation"))
    assert len(records) == 12
    first = document(0, "web", f"{text(0)} anchor anchors")
    assert records[0]["validation/text"].decode() == first.text
    assert records[0]["validation/id"].decode() == first.id
    assert records[0]["validation/component"].decode() == "web"


def test_small_things_are_said_as_people_say_them() -> None:
    assert [in_bytes(n) for n in (7, 1234, 5_681_065, 2.5e12)] == ["7 B", "1.23 kB", "5.68 MB", "2.5 TB"]
    assert clipped("a\n b" + "c" * 100, 10) == "a bcccccc…"
    assert isinstance(clipped("x"), Quoted)
    rows = [{"name": n, "documents": 1} for n in ("1970", "0001", "9999", "2020", "(unknown)")]
    assert counted_years(rows) == [(2020, 1)]
    assert length_figure({"a": {"characters": {"histogram": []}}}, ["a"])["data"][0]["x"] == []
    assert Rows(["a"], []).names == 1


def test_the_stage_is_known_by_its_name() -> None:
    assert STAGES["datasheet"].config_type() is DatasheetConfig


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1200])
def test_a_browser_draws_hostile_pages_without_a_complaint_or_a_sideways_scroll(evil: Path, width: int) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on the PATH")
    look = (
        "<script>const page = document.documentElement; const told = document.body.dataset;"
        "told.sideways = page.scrollWidth - page.clientWidth;"
        "told.charts = document.querySelectorAll('.js-plotly-plot .main-svg').length;"
        "told.requested = performance.getEntriesByType('resource').length;</script>"
    )
    read = "Object.assign(document.body.dataset, this.contentDocument.body.dataset)"
    with tempfile.TemporaryDirectory() as folder:
        page, frame = Path(folder) / "page.html", Path(folder) / "frame.html"
        page.write_text((evil / "datasheet.html").read_text(encoding="utf-8") + look, encoding="utf-8")
        frame.write_text(f'<iframe src="page.html" onload="{read}" style="width:{width}px;height:900px"></iframe>')
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--dump-dom"]
        command += [f"--user-data-dir={folder}/profile", "--host-resolver-rules=MAP * ~NOTFOUND", "--v=0"]
        command += ["--virtual-time-budget=5000", "--enable-logging=stderr", "--allow-file-access-from-files"]
        done = subprocess.run([*command, f"file://{frame}"], capture_output=True, text=True, timeout=200, check=True)
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    assert 'data-sideways="0"' in done.stdout
    assert 'data-requested="0"' in done.stdout
    charts_drawn = re.search(r'data-charts="(\d+)"', done.stdout)
    assert charts_drawn is not None
    assert int(charts_drawn[1]) >= len(charts(evil / "datasheet.html")) == 6

"""The report: one page whose numbers are those of the artifacts, whose texts stay texts, and that asks for nothing."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import text
from page_reader import Reader

from libertas.curate.config import CurateConfig
from libertas.curate.decide import curate
from libertas.curate.duplicates.config import DedupConfig
from libertas.curate.duplicates.find import dedup
from libertas.curate.mixture.config import MixConfig
from libertas.curate.mixture.mix import mix
from libertas.errors import UsageError
from libertas.evaluate.config import EvaluateConfig
from libertas.evaluate.result import evaluate
from libertas.gather.config import GatherConfig, PackConfig
from libertas.gather.documents import gather
from libertas.gather.pack import pack
from libertas.lineage.manifest import read_manifest
from libertas.lineage.verify import verify
from libertas.page.markup import compact, element, embedded_json
from libertas.serve.charts import MOST_POINTS, smoothed, thinned
from libertas.serve.config import ReportConfig
from libertas.serve.life import live
from libertas.serve.report import report
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.trace.config import IndexConfig, TraceConfig
from libertas.trace.index import index
from libertas.trace.trace import trace
from libertas.train.config import TrainConfig
from libertas.train.journal import read_metrics
from libertas.train.loop import train

HOSTILE = "</script><script>alert('read me')</script><img src=x onerror=alert(2)> & so on é"
SECOND = "no other document says that zebras count bottles"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
STEPS = 12


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archives to trace, with the real stages: 12 notes, and 24 letters of which two are the same."""
    folder = tmp_path_factory.mktemp("life")
    for component, first, count in (("notes", 0, 12), ("letters", 100, 24)):
        source = folder / "source" / component
        source.mkdir(parents=True)
        for number in range(first, first + count):
            body = text(100 if number == 123 else number, 120)
            extra = f"\n{HOSTILE}\n{SECOND}\n" if component == "notes" else ""
            (source / f"<b>{number}.txt").write_text(body + extra, encoding="utf-8")
        pack(PackConfig(paths=(str(source),), out=folder / "archives" / component))
        archives = (folder / "archives" / component,)
        gather(GatherConfig(archives=archives, component=component, workers=1, out=folder / "corpora" / component))
    corpora = (folder / "corpora" / "notes", folder / "corpora" / "letters")
    curate(CurateConfig(corpora=corpora, rules=(), workers=1, out=folder / "decisions"))
    dedup(DedupConfig(corpora=corpora, methods=("exact",), workers=1, out=folder / "duplicates"))
    judged = (folder / "decisions", folder / "duplicates")
    weights = {"notes": 2.0, "letters": 0.5}
    mixed = folder / "mix"
    mix(MixConfig(corpora=corpora, decisions=judged, weights=weights, validation=0.1, out=mixed))
    tokenize(TokenizeConfig(corpus=mixed, out=folder / "tokens", vocabulary=300))
    index(IndexConfig(tokens=folder / "tokens", out=folder / "index"))
    run = folder / "run"
    train(TrainConfig(tokens=folder / "tokens", out=run, model="tiny", steps=STEPS, batch=4, micro_batch=4))
    evaluate(EvaluateConfig(run=run, corpus=mixed, index=folder / "index", items=10, out=folder / "result"))
    said = f"{HOSTILE} 7 {SECOND}"
    trace(TraceConfig(source=run, text=said, index=folder / "index", out=folder / "trace"))
    return folder


def drawn(life: Path, name: str = "report", *, whole: bool = True) -> Path:
    extra = {"result": life / "result", "trace": life / "trace"} if whole else {}
    return report(ReportConfig(run=life / "run", out=life / name, **extra))


@pytest.fixture(scope="module")
def page(life: Path) -> Reader:
    return Reader(drawn(life).read_text(encoding="utf-8"))


def test_the_report_is_an_artifact_that_verifies_up_to_the_archives(life: Path) -> None:
    drawn(life)
    manifest = read_manifest(life / "report")
    assert manifest.kind == "report"
    assert [i.role for i in manifest.inputs] == ["run", "result", "trace"]
    outcome = verify(life / "report")
    assert outcome.sound
    assert outcome.artifacts == manifest.counts["artifacts"] + 1 == 13


def test_the_same_inputs_draw_the_same_bytes(life: Path) -> None:
    first = drawn(life).read_bytes()
    shutil.rmtree(life / "report")
    assert drawn(life).read_bytes() == first


def test_the_summary_is_made_from_the_manifests(life: Path, page: Reader) -> None:
    run, mixed = read_manifest(life / "run").counts, read_manifest(life / "mix").counts
    scores = orjson.loads((life / "result" / "results.json").read_bytes())
    bits = scores["results"]["bits_per_byte_all"]["bits_per_byte,none"]
    said = (
        f"{compact(run['parameters'])} parameters, 12 steps, 3,072 tokens read from "
        f"{mixed['train_documents']} documents of 2 components; {bits:.2f} bits per byte on held-out text."
    )
    assert said in page.text()


def test_every_document_is_kept_or_dropped_with_a_reason(life: Path, page: Reader) -> None:
    passages = live(life / "run", None, None).passages
    assert [(p.title, p.entered, p.left) for p in passages[:3]] == [
        ("Extraction", 38, 36),
        ("Curation", 36, 36),
        ("Deduplication", 36, 35),
    ]
    assert passages[0].dropped == (("warcinfo record", 2),)
    assert passages[2].dropped == (("same text as a kept document", 1),)
    assert passages[3].entered == 35
    assert passages[3].left == read_manifest(life / "mix").counts["documents"]["out"]
    assert passages[3].dropped == (("beyond the weight of its component", 35 - passages[3].left),)
    for passage in passages:
        lost = passage.entered - passage.left
        assert f"{passage.entered:,} {passage.unit} = {passage.left:,} kept + {lost:,} dropped" in page.text()


def test_components_have_the_bytes_of_the_corpus_and_the_tokens_of_the_store(life: Path) -> None:
    components = live(life / "run", None, None).components
    assert {c.name: c.weight for c in components} == {"notes": 2.0, "letters": 0.5}
    assert sum(c.bytes for c in components) == read_manifest(life / "mix").counts["train_bytes"]
    assert sum(c.tokens for c in components) == read_manifest(life / "tokens").counts["train_tokens"]


def test_what_a_document_says_never_becomes_part_of_the_page(life: Path, page: Reader) -> None:
    assert HOSTILE in page.text()
    assert [a for tag, a in page.elements if tag == "img"] == []
    scripts = [a for tag, a in page.elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "charts"}, {}, {}]
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_the_traced_text_stands_there_character_by_character(life: Path) -> None:
    written = drawn(life).read_text(encoding="utf-8")
    paper = re.search(r'<div class="paper"[^>]*>(.*?)</div>', written, re.DOTALL)
    assert paper is not None
    assert Reader(paper[1]).text() == f"{HOSTILE} 7 {SECOND}"


def test_each_followed_span_is_a_link_to_a_panel_with_its_record(life: Path, page: Reader) -> None:
    record = orjson.loads((life / "trace" / "trace.json").read_bytes())
    followed = [s for s in record["spans"] if s["places"]]
    links = [a["href"] for tag, a in page.elements if tag == "a" and "followed" in (a.get("class") or "")]
    panels = [f"#{a['id']}" for tag, a in page.elements if a.get("class") == "origin"]
    assert sorted(links) == sorted(panels) == [f"#span-{n}" for n in range(len(followed))]
    assert len(followed) >= 2
    for place in (p for s in followed for p in s["places"]):
        assert place["warc"]["record_id"] in page.text()
        assert place["warc"]["payload_digest"] in page.text()
        assert f"offset {place['warc']['offset']:,}, {place['warc']['length']:,} bytes" in page.text()


def test_no_element_of_the_page_names_anything_to_load(page: Reader) -> None:
    loads = {"src", "srcset", "action", "data", "poster"}
    assert not [(tag, a) for tag, a in page.elements if loads & a.keys()]
    assert [a["href"] for tag, a in page.elements if tag == "link"] == ["data:,"]


def test_the_lineage_names_every_artifact(life: Path, page: Reader) -> None:
    for name in ("run", "tokens", "mix", "corpora/notes", "corpora/letters", "archives/notes", "decisions", "index"):
        assert read_manifest(life / name).fingerprint in page.text()
    assert "libertas verify report" in page.text()
    assert str(life / "run") not in page.text()


def test_a_run_alone_makes_a_page_that_says_what_is_missing(life: Path) -> None:
    said = Reader(drawn(life, "bare", whole=False).read_text(encoding="utf-8")).text()
    assert "It has not been scored" in said
    assert "No text has been traced" in said


def test_scores_and_traces_of_another_run_are_refused(life: Path) -> None:
    other = life / "other"
    train(TrainConfig(tokens=life / "tokens", out=other, model="tiny", steps=2, batch=4, micro_batch=4))
    with pytest.raises(UsageError, match="does not come from"):
        report(ReportConfig(run=other, result=life / "result", out=life / "mixed"))
    with pytest.raises(UsageError, match="is an artifact of kind trace; expected a result made by `libertas evaluate`"):
        report(ReportConfig(run=life / "run", result=life / "trace", out=life / "mixed"))
    assert not (life / "mixed").exists()


@given(st.text())
def test_escaped_text_comes_back_as_it_was_or_as_a_visible_mark(content: str) -> None:
    shown = "".join(
        c if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f" and not "\ud800" <= c <= "\udfff") else "\ufffd"
        for c in content
    )
    reader = Reader(element("p", {"title": content}, content))
    assert [tag for tag, _ in reader.elements] == ["p"]
    assert reader.text() == shown


@given(st.recursive(st.text() | st.integers(-(2**53), 2**53) | st.none(), st.lists))
def test_embedded_json_cannot_end_its_script_and_means_the_same(value: object) -> None:
    written = embedded_json(value)
    assert "<" not in written
    assert orjson.loads(str(written)) == value


def test_long_runs_are_averaged_over_equal_stretches() -> None:
    rows = [{"step": n + 1, "loss": float(n % 2)} for n in range(4 * MOST_POINTS)]
    steps, values = thinned(rows, "loss")
    assert steps == list(range(4, 4 * MOST_POINTS + 1, 4))
    assert values == [0.5] * MOST_POINTS


def test_the_smooth_curve_is_the_mean_of_neighbours_on_both_sides() -> None:
    assert smoothed([0.0, 3.0, 6.0, 0.0], 3) == [1.5, 3.0, 3.0, 3.0]


def opened(page: Path, fragment: str = "", script: str = "") -> tuple[str, list[str]]:
    """The page as a browser without network leaves it after running `script`, and what its console said."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "page.html"
        copy.write_text(page.read_text(encoding="utf-8") + f"<script>{script}</script>", encoding="utf-8")
        quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet]
        command += [f"--user-data-dir={folder}/profile", "--host-resolver-rules=MAP * ~NOTFOUND"]
        command += ["--virtual-time-budget=5000", "--enable-logging=stderr", "--v=0", "--dump-dom"]
        done = subprocess.run([*command, f"file://{copy}{fragment}"], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.slow
def test_a_browser_draws_the_charts_without_a_complaint_or_a_request(life: Path) -> None:
    look = """
        document.body.dataset.requested = performance.getEntriesByType('resource').map((e) => e.name).join(' ');
        Plotly.Fx.hover(document.querySelector('[data-chart=training]'), { xval: 7 }, ['xy']);
        const words = [...document.querySelectorAll('.hoverlayer text')].map((t) => t.textContent);
        document.body.dataset.hover = words.join('|');
    """
    dom, console = opened(drawn(life), script=look)
    assert console == []
    assert 'data-requested=""' in dom
    assert len(re.findall(r'<div class="chart js-plotly-plot"', dom)) == 3
    assert len(re.findall(r'<svg class="main-svg"', dom)) >= 3
    row = read_metrics(life / "run" / "metrics.jsonl")[6]
    assert f'data-hover="step 7|loss : {row["loss"]:.3f}|smoothed : {row["loss"]:.3f}|learning rate : ' in dom


@pytest.mark.slow
def test_the_browser_itself_refuses_every_request_of_the_page(life: Path) -> None:
    asks = "const i = new Image(); i.src = 'http://example.org/x.png'; fetch('http://example.org/').catch(() => 0)"
    _, console = opened(drawn(life), script=asks)
    assert sum("Content Security Policy" in line for line in console) >= 2


@pytest.mark.slow
def test_a_link_to_a_span_opens_its_panel_and_no_other(life: Path) -> None:
    dom, console = opened(drawn(life), "#span-1")
    assert console == []
    assert re.findall(r'<article class="origin open" id="(span-\d+)"', dom) == ["span-1"]
    assert re.findall(r'href="(#span-\d+)"[^>]*aria-expanded="true"', dom) == ["#span-1"]


@pytest.mark.slow
def test_spans_open_and_close_with_clicks_and_keys(life: Path) -> None:
    press = """
        const link = document.querySelector('a[href="#span-1"]'), seen = [];
        const look = () => seen.push([...document.querySelectorAll('.origin.open')].map((p) => p.id).join('+'));
        const key = (name) => link.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true }));
        look(); link.click(); look(); link.click(); look(); key(' '); look(); key('Escape'); look();
        document.body.dataset.seen = seen.join(',');
    """
    dom, console = opened(drawn(life), script=press)
    assert console == []
    assert 'data-seen="span-0,span-1,,span-1,"' in dom

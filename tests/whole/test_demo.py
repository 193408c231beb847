"""The whole life, as a stranger runs it: reused in seconds, killed anywhere, every token led back to its bytes."""

import os
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from test_cli import libertas

from libertas.lineage.fingerprint import digest
from libertas.lineage.manifest import read_manifest
from libertas.lineage.verify import verify
from libertas.lineage.walk import artifacts_under
from libertas.tokenize.store import TokenStore
from libertas.trace.origin import Origins, exposure
from libertas.train.journal import read_metrics

pytestmark = pytest.mark.slow

STEPS = 12


def demo(into: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return libertas("demo", "--into", into, "--steps", STEPS, *words)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "demo"
    outcome = demo(folder)
    assert outcome.returncode == 0, outcome.stderr
    closing = outcome.stdout.split("Done in")[1]
    assert len(closing.splitlines()) <= 15
    assert str(folder / "report" / "report.html") in closing
    return folder


def test_every_number_and_every_byte_is_recorded_and_sound(life: Path) -> None:
    outcome = verify(life)
    assert outcome.sound
    assert outcome.artifacts == len(artifacts_under(life))
    kinds = {read_manifest(a).kind for a in artifacts_under(life)}
    assert kinds >= {
        "archive",
        "corpus",
        "decisions",
        "tokens",
        "index",
        "run",
        "checkpoint",
        "result",
        "trace",
        "report",
    }


def test_documents_in_are_documents_out_and_drops_in_every_manifest(life: Path) -> None:
    counted = 0
    for artifact in artifacts_under(life):
        counts = read_manifest(artifact).counts
        if isinstance(documents := counts.get("documents"), dict):  # a datasheet describes what others counted
            assert documents["in"] == documents["out"] + documents["dropped"], artifact
            if documents["dropped"]:
                assert sum(counts["dropped"].values()) == documents["dropped"], artifact
            counted += 1
    assert counted >= 7


def test_a_second_run_reuses_everything(life: Path) -> None:
    outcome = demo(life)
    assert outcome.returncode == 0
    stages = [line for line in outcome.stderr.splitlines() if line.startswith("  ")]
    assert stages
    assert all(" reused " in line for line in stages)


def test_other_settings_are_refused_with_the_difference(life: Path) -> None:
    outcome = libertas("demo", "--into", life, "--steps", STEPS + 1)
    assert outcome.returncode == 1
    assert f"steps was {STEPS} and is now {STEPS + 1}" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_thousand_training_tokens_lead_to_their_bytes(life: Path) -> None:
    store = TokenStore.open(life / "tokens")
    source = exposure(life / "run")
    origins = Origins(store, source.order, source.steps)
    chooser, seconds = random.Random(9), []
    for _ in range(1000):
        position = chooser.randrange(len(store))
        started = time.perf_counter()
        origin = origins.origin(position)
        seconds.append(time.perf_counter() - started)
        assert origin.document.id == store.document_id(store.document_at(position))
        assert origin.warc is not None
        assert digest(origin.payload or b"") == origin.warc.payload_digest
    print(f"p95 of a look-up: {statistics.quantiles(seconds, n=20)[-1] * 1000:.2f} ms")


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_anywhere_the_demo_finishes_with_the_same_bits(life: Path, tmp_path: Path, seed: int) -> None:
    chooser = random.Random(seed)
    program = [sys.executable, "-m", "libertas.cli", "demo", "--into", str(tmp_path / "demo"), "--steps", str(STEPS)]
    for kill in range(6):
        process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chooser.uniform(0.5, 3.5 + 1.5 * kill))
        process.send_signal(signal.SIGINT if kill == 3 else signal.SIGKILL)
        process.wait(timeout=60)
    outcome = demo(tmp_path / "demo")
    assert outcome.returncode == 0, outcome.stderr
    runs = [read_manifest(folder / "run").counts for folder in (life, tmp_path / "demo")]
    assert runs[0]["weights"] == runs[1]["weights"]
    losses = [[row["loss"] for row in read_metrics(f / "run" / "metrics.jsonl")] for f in (life, tmp_path / "demo")]
    assert losses[0] == losses[1]
    assert verify(tmp_path / "demo").sound


def test_the_demo_takes_real_archives(shared_data: Path, tmp_path: Path) -> None:
    samples = sorted((shared_data / "web").glob("cc-sample-*.warc.gz"))
    outcome = libertas("demo", "--warc", *samples, "--into", tmp_path / "mine", "--steps", 2)
    assert outcome.returncode == 0, outcome.stderr
    assert verify(tmp_path / "mine").sound
    source = exposure(tmp_path / "mine" / "run")
    origins = Origins(TokenStore.open(source.tokens), source.order, source.steps)
    files = {origins.origin(position).file for position in range(0, len(origins.store), 500)}
    assert files == {sample.resolve() for sample in samples}


def test_one_real_page_is_too_little_and_the_line_says_so(shared_data: Path, tmp_path: Path) -> None:
    page = shared_data / "web" / "odd" / "example-iana.org-chunked.warc"
    outcome = libertas("demo", "--warc", page, "--into", tmp_path / "mine", "--steps", 2)
    assert outcome.returncode == 1
    assert "Traceback" not in outcome.stderr
    assert outcome.stderr.splitlines()[-1].startswith("libertas: ")
    assert not (tmp_path / "mine" / "tokens").exists()


def test_a_page_that_was_scored_leads_to_where_training_read_the_same_words(life: Path) -> None:
    rows = [orjson.loads(line) for line in (life / "result" / "records.jsonl").read_bytes().splitlines()]
    seen = [r for r in rows if r["overlap"] and r["overlap"]["longest"] >= 13]
    assert seen
    store = TokenStore.open(life / "tokens")
    row = seen[0]["overlap"]
    assert store.document_id(store.document_at(row["position"])) == row["document"]


def test_a_flipped_byte_anywhere_in_the_life_is_named_with_all_that_was_made_from_it(life: Path) -> None:
    chooser = random.Random(11)
    files = [p for p in sorted(life.rglob("*")) if p.is_file() and p.stat().st_size]
    sizes = [p.stat().st_size for p in files]
    chosen = [*chooser.choices(files, k=60), *chooser.choices(files, weights=sizes, k=40)]
    for path in chosen:
        position, bit = chooser.randrange(path.stat().st_size), 1 << chooser.randrange(8)
        flip(path, position, bit)
        outcome = verify(life)
        flip(path, position, bit)
        assert path.resolve() in {d.file for d in outcome.damages}, f"byte {position} of {path}"
        reached = {a.name for downstream in outcome.downstream.values() for a in downstream}
        if not {"report", "datasheet"} & set(path.relative_to(life).parts):
            assert "report" in reached, path
    assert verify(life).sound


def flip(path: Path, position: int, mask: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        value = file.read(1)[0]
        file.seek(position)
        file.write(bytes([value ^ mask]))


def test_workers_do_not_outlive_a_killed_demo(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "libertas.cli", "demo", "--into", str(tmp_path / "demo"), "--steps", "2"]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(3)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(Path(f"/proc/{c}").exists() for c in children):
        time.sleep(0.1)
    assert children
    assert [c for c in children if os.path.exists(f"/proc/{c}")] == []  # noqa: PTH110

"""Artifacts appear whole or not at all, are reused when nothing changed, and refuse to be overwritten."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from libertas.errors import BrokenLineage, DifferentArtifact, UnfinishedArtifact, UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.fingerprint import code_digest, execution, identity, resolved
from libertas.lineage.manifest import read_manifest
from libertas.lineage.verify import verify


@dataclass(frozen=True, kw_only=True)
class Settings:
    out: Path
    size: int = 1
    workers: int = execution(2)


def draft(out: Path, inputs: dict[str, list[Path]] | None = None, **changes: int) -> Draft:
    config = Settings(out=out, **changes)
    return Draft(kind="test", out=out, config=config, inputs=inputs or {}, code="libertas.document")


def build(out: Path, inputs: dict[str, list[Path]] | None = None, content: str = "x", **changes: int) -> Path:
    made = draft(out, inputs, **changes)
    with made.build() as folder:
        (folder / "data.txt").write_text(content)
        made.counts["lines"] = 1
    return out


def test_nothing_is_visible_until_everything_is_written(tmp_path: Path) -> None:
    made = draft(tmp_path / "a")
    with made.build() as folder:
        (folder / "data.txt").write_text("x")
        assert not (tmp_path / "a").exists()
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["data.txt", "manifest.json"]
    assert read_manifest(tmp_path / "a").files[0].bytes == 1


def fail_while_building(out: Path) -> None:
    with draft(out).build() as folder:
        (folder / "data.txt").write_text("half")
        raise RuntimeError("power cut")


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="power cut"):
        fail_while_building(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_the_same_work_is_found_finished_and_other_work_is_refused_with_the_difference(tmp_path: Path) -> None:
    out = build(tmp_path / "a", size=3)
    assert draft(out, size=3).finished()
    with pytest.raises(UsageError, match=r"made differently: size was 3 and is now 4; choose another --out"):
        draft(out, size=4).finished()


def test_workers_and_paths_do_not_count(tmp_path: Path) -> None:
    out = build(tmp_path / "a")
    assert draft(out, workers=9).finished()
    assert identity(Settings(out=out, workers=9)) == {"size": 1}
    assert resolved(Settings(out=out, workers=9)) == {"out": str(out), "size": 1, "workers": 9}


def test_an_input_with_other_content_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source.txt"
    source.write_text("first")
    out = build(tmp_path / "a", {"text": [source]})
    source.write_text("second")
    with pytest.raises(UsageError, match=r"its input \(text\) had other content"):
        draft(out, {"text": [source]}).finished()


def test_the_fingerprint_of_an_artifact_depends_on_its_inputs_but_not_on_their_place(tmp_path: Path) -> None:
    here, there = (build(tmp_path / place / "a") for place in ("here", "there"))
    first = draft(tmp_path / "b", {"thing": [here]})
    assert first.fingerprint == draft(tmp_path / "c", {"thing": [there]}).fingerprint
    assert first.fingerprint != draft(tmp_path / "b", {"other": [here]}).fingerprint


def test_a_directory_without_a_manifest_is_unfinished(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "data.txt").write_text("x")
    with pytest.raises(UnfinishedArtifact, match=r"a has no manifest\.json"):
        read_manifest(tmp_path / "a")
    with pytest.raises(UsageError, match="exists and is not an artifact"):
        draft(tmp_path / "a").finished()


def test_an_artifact_is_not_built_inside_another(tmp_path: Path) -> None:
    out = build(tmp_path / "a")
    with pytest.raises(UsageError, match=r"a/b would lie inside the artifact .*a; choose an --out beside it"):
        build_if_needed(out / "b")
    assert verify(out).sound


def build_if_needed(out: Path) -> None:
    if not draft(out).finished():
        build(out)


def test_square_brackets_in_a_name_are_not_markup(tmp_path: Path) -> None:
    from libertas.lineage.walk import draw, lineage

    out = build(tmp_path / "we[b]ird")
    assert "we[b]ird" in str(draw(lineage(out)).label).replace("\\", "")


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.txt does not exist; expected an archive to read"):
        draft(tmp_path / "a", {"archive": [tmp_path / "gone.txt"]})


@pytest.mark.parametrize(("old", "new"), [(b'"lines": 1', b'"lines": 2'), (b"{", b" {"), (b'"seal"', b'"Seal"')])
def test_a_changed_manifest_breaks_its_seal(tmp_path: Path, old: bytes, new: bytes) -> None:
    manifest = build(tmp_path / "a") / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(old, new, 1))
    with pytest.raises(BrokenLineage, match=r"manifest\.json was changed after it was written"):
        read_manifest(tmp_path / "a")


def test_two_processes_cannot_build_the_same_artifact(tmp_path: Path) -> None:
    with draft(tmp_path / "a").build(), pytest.raises(UsageError, match="is being written by another process"):
        build(tmp_path / "a")


def test_two_inputs_of_one_role_are_both_compared(tmp_path: Path) -> None:
    parts = [build(tmp_path / "one", size=1), build(tmp_path / "two", size=2)]
    out = build(tmp_path / "a", {"part": parts})
    shutil.rmtree(tmp_path / "one")
    build(tmp_path / "one", size=1, content="other bytes, same request")
    with pytest.raises(DifferentArtifact, match=r"its input \(part\) had other content"):
        draft(out, {"part": parts}).finished()


def test_a_damaged_input_is_refused_before_it_is_read(tmp_path: Path) -> None:
    source = build(tmp_path / "source", content="sound")
    (source / "data.txt").write_text("SOUND")
    with pytest.raises(BrokenLineage, match=r"data\.txt: content differs from b3:.*; run `libertas verify"):
        build(tmp_path / "a", {"part": [source]})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source"]


def test_files_that_hold_clocks_do_not_change_the_content(tmp_path: Path) -> None:
    def made(place: str, clock: str) -> Path:
        out = tmp_path / place
        config = Settings(out=out)
        clocked = Draft(kind="test", out=out, config=config, inputs={}, code="libertas.document", volatile=("log/*",))
        with clocked.build() as folder:
            (folder / "log").mkdir()
            (folder / "log" / "times.txt").write_text(clock)
            (folder / "data.txt").write_text("x")
        return out

    first, second = read_manifest(made("a", "noon")), read_manifest(made("b", "midnight"))
    assert first.content == second.content
    assert first.files != second.files


KILLED_WHILE_PUBLISHING = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_artifact import draft
count, fatal = 0, int(sys.argv[3])
def dying(function):
    def wrapped(*words, **options):
        global count
        count += 1
        if count == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*words, **options)
    return wrapped
os.rename, Path.unlink, os.fsync = dying(os.rename), dying(Path.unlink), dying(os.fsync)
made = draft(Path(sys.argv[2]))
if not made.finished():
    with made.build(resume=True) as folder:
        (folder / "data.txt").write_text("x")
"""


def test_killed_at_any_moment_of_publishing_the_next_run_finishes_soundly(tmp_path: Path) -> None:
    reached_the_end = 0
    for fatal in range(1, 20):
        out = tmp_path / str(fatal) / "a"
        out.parent.mkdir()
        words = [sys.executable, "-c", KILLED_WHILE_PUBLISHING, str(Path(__file__).parent), str(out)]
        killed = subprocess.run([*words, str(fatal)], check=False).returncode
        reached_the_end += killed == 0
        assert subprocess.run([*words, "0"], check=False).returncode == 0
        assert verify(out).sound
        assert [f.path for f in read_manifest(out).files] == ["data.txt"]
        assert sorted(p.name for p in out.iterdir()) == ["data.txt", "manifest.json"]
        if reached_the_end:
            break
    assert reached_the_end
    assert fatal > 5


def test_an_artifact_behind_a_symbolic_link_keeps_its_lineage(tmp_path: Path) -> None:
    source = tmp_path / "deep" / "er" / "source.txt"
    source.parent.mkdir(parents=True)
    source.write_text("x")
    (tmp_path / "link").symlink_to(source.parent, target_is_directory=True)
    out = build(tmp_path / "link" / "a", {"text": [source]})
    assert verify(out).sound


def test_an_interrupted_build_resumes_only_the_same_work(tmp_path: Path) -> None:
    def interrupted(size: int) -> None:
        with draft(tmp_path / "a", size=size).build(resume=True) as folder:
            (folder / f"progress-{size}").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(1)
    with pytest.raises(UsageError, match="holds work on a test that was interrupted and was made differently"):
        interrupted(2)
    made = draft(tmp_path / "a", size=1)
    with made.build(resume=True) as folder:
        assert (folder / "progress-1").exists()
    assert [f.path for f in read_manifest(tmp_path / "a").files] == ["progress-1"]


def test_the_manifest_names_environment_variables_but_never_their_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBERTAS_SECRET", "hunter2")
    raw = (build(tmp_path / "a") / "manifest.json").read_bytes()
    assert "LIBERTAS_SECRET" in orjson.loads(raw)["host"]["environment"]
    assert b"hunter2" not in raw


def test_the_code_digest_follows_the_source_of_a_stage_and_of_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "somelab"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "other.py").write_text("z = 1\n")
    (package / "helper.py").write_text("y = 1\n")
    (package / "stage.py").write_text("from somelab.helper import y\n")
    monkeypatch.syspath_prepend(tmp_path)

    def digest_now() -> str:
        code_digest.cache_clear()
        return code_digest("somelab.stage")

    first = digest_now()
    (package / "other.py").write_text("z = 2\n")
    assert digest_now() == first
    (package / "helper.py").write_text("y = 2\n")
    second = digest_now()
    assert second != first
    (package / "stage.py").write_text("from somelab.helper import y\nx = 1\n")
    assert digest_now() != second


def test_the_code_of_a_run_is_what_training_imports_and_not_what_it_does_not() -> None:
    from libertas.lineage.fingerprint import _imported

    names = set(_imported("libertas.train.loop"))
    assert {"libertas.model.attention", "libertas.tokenize.bpe", "libertas.corpus", "libertas.train.muon"} <= names
    assert not {n for n in names if n.startswith(("libertas.gather", "libertas.lineage", "libertas.generate.sample"))}


def test_lineage_works_without_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None; import libertas.lineage.verify, libertas.corpus, libertas.engine"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ})

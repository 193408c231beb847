"""Artifacts appear whole or not at all, are reused when nothing changed, and refuse to be overwritten."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from libertas.errors import BrokenLineage, UnfinishedArtifact, UsageError
from libertas.lineage.artifact import Draft
from libertas.lineage.fingerprint import code_digest, execution, identity, resolved
from libertas.lineage.manifest import read_manifest


@dataclass(frozen=True, kw_only=True)
class Settings:
    out: Path
    size: int = 1
    workers: int = execution(2)


def draft(out: Path, inputs: dict[str, list[Path]] | None = None, **changes: int) -> Draft:
    config = Settings(out=out, **changes)
    return Draft(kind="test", out=out, config=config, inputs=inputs or {}, code=("libertas.errors",))


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


def test_an_interrupted_build_resumes_only_the_same_work(tmp_path: Path) -> None:
    def interrupted(size: int) -> None:
        with draft(tmp_path / "a", size=size).build(resume=True) as folder:
            (folder / f"progress-{size}").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(1)
    with pytest.raises(UsageError, match="holds an interrupted test that was made differently"):
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


def test_the_code_digest_follows_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "somestage.py"
    module.write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_digest("somestage")
    module.write_text("x = 2\n")
    assert code_digest("somestage") != before


def test_lineage_works_without_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None; import libertas.lineage.verify, libertas.corpus, libertas.engine"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ})

"""Lab files: checked before anything runs, in order, and reused."""

from pathlib import Path

import pytest
from making import small_corpus

from libertas.demo import FIRST_LAB, demo_tables
from libertas.errors import DifferentArtifact, UsageError
from libertas.lab import plan, read_lab, run
from libertas.stages import STAGES


def lab(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text)
    return path


def planned(folder: Path, text: str) -> None:
    path = lab(folder, text)
    plan(read_lab(path), folder, path.name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trian]\nout = 'x'", r"my\.toml: there is no stage 'trian' for the table \[trian\]; did you mean 'train'\?"),
        (
            "[train]\ntokens='t'\nout='x'\nstep = 3",
            r"my\.toml \[train\]: there is no setting 'step'; did you mean 'steps'",
        ),
        ("[train]\nout = 'x'", r"\[train\]: tokens is missing; add it \(`libertas train --help`\)"),
        ("[train]\ntokens='t'\nout='x'\nsteps = 'many'", r"\[train\]: steps is 'many'; expected a whole number"),
        ("[train]\ntokens='t'\nout='x'\nsteps = true", r"\[train\]: steps is True; expected a whole number"),
        ("[train]\ntokens=3\nout='x'", r"\[train\]: tokens is 3; expected a path in quotes"),
        ("[train]\ntokens='t'\nout='x'\nsteps=0", r"\[train\]: steps is 0; expected 1 or more"),
        ("[gather.web]\narchives='a'\nout='x'", r"\[gather\.web\]: archives is 'a'; expected a list"),
        ("[mix]\ncorpora=['a']\nout='x'\nweights=[1]", r"\[mix\]: weights is \[1\]; expected a table"),
        ("train = 3", r"train is 3; expected a table \[train\]"),
        ("[train", r"my\.toml is not TOML"),
        ("", r"my\.toml has no tables; expected one per stage, such as \[gather\]"),
        ("[crawl.docs]\nout = 'x'", r"\[crawl\.docs\]: url is missing; add it \(`libertas gather crawl --help`\)"),
    ],
)
def test_a_mistake_names_file_table_key_and_the_next_step(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        planned(tmp_path, text)


def test_a_missing_lab_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml does not exist"):
        read_lab(tmp_path / "none.toml")


def test_a_folder_and_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is a directory; expected a lab file"):
        read_lab(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"[pack]\npaths = ['caf\xe9']\n")
    with pytest.raises(UsageError, match=r"latin\.toml is not TOML: 'utf-8' codec can't decode byte 0xe9"):
        read_lab(tmp_path / "latin.toml")


def test_a_lab_is_utf8_whatever_the_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my.toml").write_bytes("[pack]\npaths = ['é']".encode())
    monkeypatch.setattr("locale.getencoding", lambda: "latin-1")
    assert read_lab(tmp_path / "my.toml") == {"pack": {"paths": ["é"]}}


def test_a_file_cannot_be_the_folder_that_a_lab_runs_in(tmp_path: Path) -> None:
    path = lab(tmp_path, "[index]\ntokens='t'\nout='i'")
    with pytest.raises(UsageError, match=r"my\.toml is a file; expected a folder to run in; .* --into"):
        run(path, path)


def test_paths_to_pack_are_relative_to_the_folder_and_words_stay_words(tmp_path: Path) -> None:
    tables = {"pack": {"paths": ["notes", "/elsewhere", "python:source"], "out": "archive"}}
    (step,) = plan(tables, tmp_path / "spin", "my.toml")
    assert step.config.paths == (str(tmp_path / "spin" / "notes"), "/elsewhere", "python:source")


def test_a_table_may_have_a_name_that_looks_like_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in" / "notes").mkdir(parents=True)
    (tmp_path / "in" / "notes" / "one.txt").write_text("one")
    run(lab(tmp_path, "[pack.\"a[/b]\\u001b\"]\npaths = ['notes']\nout = 'o[/b]'"), tmp_path / "in")
    assert "pack.a[/b]\ufffd" in capsys.readouterr().err


def test_a_number_that_no_manifest_could_hold_is_refused(tmp_path: Path) -> None:
    small_corpus(tmp_path / "mix")
    path = lab(tmp_path, f"[tokenize]\ncorpus = 'mix'\nvocabulary = {10**30}\nout = 'tokens'")
    with pytest.raises(UsageError, match=r"vocabulary is 10{30}; expected a whole number from -2\^63 to 2\^63 - 1"):
        run(path, tmp_path)
    assert not (tmp_path / "tokens").exists()


WITH_THINGS_FROM_OUTSIDE = {
    "adopt", "decontaminate", "export", "export-tokens", "import", "import-tokens", "lm-eval", "replay",
    "score-model",
}  # fmt: skip
"""Stages that a life which begins with nothing has no use for."""


def test_the_first_lab_uses_every_stage_and_its_paths_are_inside_its_folder(tmp_path: Path) -> None:
    steps = plan(read_lab(FIRST_LAB), tmp_path, "first.toml")
    assert {s.title.split(".")[0] for s in steps} | WITH_THINGS_FROM_OUTSIDE >= set(STAGES)
    assert all(s.config.out.is_relative_to(tmp_path) for s in steps)


def test_the_demo_runs_the_tables_of_the_first_lab() -> None:
    assert demo_tables() == read_lab(FIRST_LAB)


def test_the_students_of_the_exam_differ_in_nothing_but_what_they_read(tmp_path: Path) -> None:
    tables = read_lab(FIRST_LAB.with_name("exam.toml"))
    plan(tables, tmp_path, "exam.toml")
    for stage in ("mix", "tokenize", "train", "evaluate"):
        reader, crammer = (str(tables[stage][name]) for name in ("reader", "crammer"))
        assert reader.replace("reader", "crammer").replace("corpora/facts", "corpora/exams") == crammer


def test_the_demo_takes_archives_of_ones_own(tmp_path: Path) -> None:
    archive = tmp_path / "mine.warc.gz"
    archive.touch()
    steps = plan(demo_tables((archive,), steps=7), tmp_path / "demo", "first.toml")
    gathered = [s.config for s in steps if s.title == "gather"]
    assert gathered[0].archives == (archive,)
    assert next(s.config.steps for s in steps if s.title == "train") == 7
    assert next(s.config.tasks for s in steps if s.title == "evaluate") == ()  # they do not tell what it asks
    with pytest.raises(UsageError, match=r"gone\.warc does not exist"):
        demo_tables((tmp_path / "gone.warc",))
    with pytest.raises(UsageError, match="is a directory; expected a WARC file"):
        demo_tables((tmp_path,))
    with pytest.raises(UsageError, match="/dev/null is no plain file; expected a WARC file"):
        demo_tables((Path("/dev/null"),))


def test_a_lab_runs_its_stages_in_order_and_reuses_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_corpus(tmp_path / "life" / "mix")
    path = lab(
        tmp_path,
        "[tokenize]\ncorpus = 'mix'\nvocabulary = 300\nout = 'tokens'\n"
        "[train]\ntokens = 'tokens'\nmodel = 'tiny'\nsteps = 2\nbatch = 4\nmicro_batch = 4\nout = 'run'\n",
    )
    run(path, tmp_path / "life")
    first = capsys.readouterr().err
    assert "reused" not in first
    assert first.index("tokenize") < first.index("train")
    run(path, tmp_path / "life")
    assert capsys.readouterr().err.count("reused") == 2
    path.write_text(path.read_text().replace("steps = 2", "steps = 3"))
    with pytest.raises(DifferentArtifact, match="steps was 2 and is now 3"):
        run(path, tmp_path / "life")
    capsys.readouterr()
    run(path, tmp_path / "life", fresh=True)
    assert capsys.readouterr().err.count("reused") == 1

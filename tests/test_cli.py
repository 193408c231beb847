"""The command line as a person meets it: help without torch, one line for every mistake, and exit statuses."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from making import small_corpus

from libertas.cli import with_positionals
from libertas.stages import STAGES

COMMANDS = [
    *(("gather", n) if n in ("crawl", "pack") else (n,) for n in STAGES),
    ("corpus",),
    ("corpus", "grep"),
    ("show",),
    ("verify",),
    ("run",),
    ("demo",),
]


def libertas(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "libertas.cli", *(w if isinstance(w, bytes) else str(w) for w in words)]
    return subprocess.run(program, capture_output=True, text=True, check=False, timeout=120, **options)  # type: ignore[call-overload]


def fails_with_one_line(outcome: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert outcome.returncode not in (0, None)
    lines = [line for line in outcome.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, outcome.stderr
    assert lines[0].startswith("libertas: ")
    for part in parts:
        assert part in lines[0]


@pytest.mark.parametrize("command", COMMANDS, ids="-".join)
def test_help_reads_like_documentation_and_shows_an_example(command: tuple[str, ...]) -> None:
    outcome = libertas(*command, "--help", env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"})
    assert outcome.returncode == 0
    assert f"libertas {' '.join(command)}" in outcome.stdout.split("Examples:")[1]
    imported = {line.split("|")[-1].strip() for line in outcome.stderr.splitlines()}
    assert "libertas.stages" in imported
    assert not {"torch", "pyarrow", "tokenizers", "plotly", "numpy"} & imported


def test_the_first_screen_lists_every_command() -> None:
    screen = libertas("--help").stdout
    for command in COMMANDS:
        assert command[0] in screen


def test_plain_words_fill_the_main_setting() -> None:
    assert with_positionals(["gather", "a", "b", "--out", "c"]) == ["gather", "--archives", "a", "b", "--out", "c"]
    assert with_positionals(["gather", "crawl", "u"]) == ["gather", "crawl", "--url", "u"]
    assert with_positionals(["train", "--help"]) == ["train", "--help"]
    assert with_positionals(["show", "x"]) == ["show", "x"]
    assert with_positionals([]) == []


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["trian"], ["trian", "train"]),
        (["train", "t", "--out", "o", "--stpes", "3"], ["--stpes", "--steps"]),
        (["train", "t", "--out", "o", "--steps", "many"], ["--steps", "many", "int"]),
        (["train", "t", "--out", "o", "--model", "neo-3m"], ["neo-3m", "did you mean 'neo-1m'"]),
        (["train", "gone", "--out", "o"], ["gone does not exist"]),
        (["gather", "gone.warc.gz", "--out", "o"], ["gone.warc.gz does not exist"]),
        (["verify", "gone"], ["gone does not exist"]),
        (["show", "gone"], ["gone does not exist"]),
        (["run", "gone.toml"], ["gone.toml does not exist"]),
        (["demo", "--warc", "gone.warc"], ["gone.warc does not exist"]),
        (["demo", "--warc", "."], [". is a directory", "expected a WARC file"]),
        (["demo", "--steps", "0"], ["[train]: steps is 0"]),
        (["run", "."], [". is a directory", "expected a lab file"]),
        (["run", b"caf\xe9.toml"], ["the argument caf\\xe9.toml is not UTF-8"]),
        (["generate", "run", "--prompt", b"\xff", "--out", "o"], ["the argument \\xff is not UTF-8"]),
        (["train", "t", "--out", "o", "--beta2", "1"], ["beta2 is 1.0", "below 1"]),
        (["gather", "pack", "/bin/sh", "--out", "/proc/x"], ["/proc/x", "choose another --out"]),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    tmp_path: Path, words: list[str | bytes], parts: list[str]
) -> None:
    fails_with_one_line(libertas(*words, cwd=tmp_path), *parts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("empty.warc.gz", b"", ["empty.warc.gz", "empty"]),
        ("page.warc.gz", b"<html>not an archive</html>" * 50, ["page.warc.gz", "expected 'WARC/1.0'"]),
        ("cut.warc.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03cut", ["cut.warc.gz"]),
    ],
)
def test_what_is_no_archive_is_one_line(tmp_path: Path, name: str, content: bytes, parts: list[str]) -> None:
    (tmp_path / name).write_bytes(content)
    fails_with_one_line(libertas("gather", name, "--out", "corpus", cwd=tmp_path), *parts)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_an_artifact_with_other_settings_is_not_overwritten(tmp_path: Path) -> None:
    small_corpus(tmp_path / "mix")
    assert libertas("tokenize", "mix", "--vocabulary", 300, "--out", "tokens", cwd=tmp_path).returncode == 0
    again = libertas("tokenize", "mix", "--vocabulary", 300, "--out", "tokens", cwd=tmp_path)
    assert again.returncode == 0
    other = libertas("tokenize", "mix", "--vocabulary", 290, "--out", "tokens", cwd=tmp_path)
    fails_with_one_line(other, "tokens exists but was made differently", "vocabulary was 300 and is now 290", "--out")


def test_verify_says_sound_or_names_the_file_with_status_one(tmp_path: Path) -> None:
    small_corpus(tmp_path / "mix")
    libertas("tokenize", "mix", "--vocabulary", 300, "--out", "tokens", cwd=tmp_path)
    assert "sound: 2 artifacts" in libertas("verify", ".", cwd=tmp_path).stdout
    shard = next((tmp_path / "mix" / "train").glob("*.zst"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x00")
    outcome = libertas("verify", ".", cwd=tmp_path)
    assert outcome.returncode == 1
    assert f"damaged: mix/train/{shard.name}" in outcome.stdout
    assert "downstream: tokens" in outcome.stdout


def test_show_draws_the_lineage(tmp_path: Path) -> None:
    small_corpus(tmp_path / "mix")
    libertas("tokenize", "mix", "--vocabulary", 300, "--out", "tokens", cwd=tmp_path)
    screen = libertas("show", "tokens", cwd=tmp_path).stdout
    assert "vocabulary" in screen
    assert screen.index("tokens tokens") < screen.index("corpus mix")
    assert "tokens tokens" in libertas("show", ".", cwd=tmp_path).stdout


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A real file system of one megabyte, where the machine allows to mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield disk  # type: ignore[misc]
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_nothing_looks_finished(tmp_path: Path, small_disk: Path) -> None:
    small_corpus(tmp_path / "mix", count=3000)
    outcome = libertas("tokenize", tmp_path / "mix", "--vocabulary", 400, "--out", small_disk / "tokens")
    fails_with_one_line(outcome, "disk is full", "free some space")
    assert not (small_disk / "tokens").exists()


@pytest.mark.parametrize("stage", ["train", "index"])
def test_a_disk_that_fills_later_in_a_life_is_one_line_too(tmp_path: Path, small_disk: Path, stage: str) -> None:
    small_corpus(tmp_path / "mix", count=1500)
    assert libertas("tokenize", tmp_path / "mix", "--vocabulary", 300, "--out", tmp_path / "tokens").returncode == 0
    settings = ("--model", "tiny", "--steps", 4) if stage == "train" else ()
    outcome = libertas(stage, tmp_path / "tokens", *settings, "--out", small_disk / "out")
    told = "has room for" if stage == "train" else "disk is full"  # a training sees it coming
    fails_with_one_line(outcome, told, "free some space")
    assert not (small_disk / "out").exists()


def test_a_disk_that_cannot_be_written_is_one_line(tmp_path: Path, small_disk: Path) -> None:
    small_corpus(tmp_path / "mix")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    outcome = libertas("tokenize", tmp_path / "mix", "--vocabulary", 300, "--out", small_disk / "tokens")
    fails_with_one_line(outcome, "cannot be written here", "--out")


def test_ctrl_c_is_one_line_with_status_130_and_the_same_command_finishes(tmp_path: Path) -> None:
    small_corpus(tmp_path / "mix", count=3000)
    program = [sys.executable, "-m", "libertas.cli", "tokenize", "mix", "--out", "tokens", "--vocabulary", "300"]
    process = subprocess.Popen(program, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (tmp_path / "tokens.partial").exists():
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "libertas: stopped; the same command continues or starts over\n"
    assert {p.name for p in tmp_path.iterdir()} <= {"mix", "tokens.partial"}  # parts that were done are kept
    subprocess.run(program, cwd=tmp_path, check=True, capture_output=True)
    assert {p.name for p in tmp_path.iterdir()} == {"mix", "tokens"}

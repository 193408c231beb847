"""One flipped byte is named, and so is everything downstream of it."""

import random
import shutil
from pathlib import Path

import pytest
from making import small_corpus

from libertas.errors import UsageError
from libertas.lineage.manifest import read_manifest
from libertas.lineage.verify import verify
from libertas.lineage.walk import ancestors, artifacts_under, find_ancestor, lineage
from libertas.tokenize.config import TokenizeConfig
from libertas.tokenize.store import tokenize
from libertas.train.config import TrainConfig
from libertas.train.loop import train


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("life")
    small_corpus(folder / "mix")
    tokenize(TokenizeConfig(corpus=folder / "mix", out=folder / "tokens", vocabulary=300))
    settings = {"model": "tiny", "steps": 4, "batch": 4, "micro_batch": 4}
    train(TrainConfig(tokens=folder / "tokens", out=folder / "run", **settings))
    return folder


def flip(path: Path, position: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        value = file.read(1)[0]
        file.seek(position)
        file.write(bytes([value ^ (1 << bit)]))


def test_an_untouched_life_is_sound(life: Path) -> None:
    outcome = verify(life)
    assert outcome.sound
    assert outcome.artifacts == len(artifacts_under(life)) > 5


def test_every_flipped_byte_is_found_and_its_downstream_is_complete(life: Path) -> None:
    files = sorted(p for p in life.rglob("*") if p.is_file() and p.stat().st_size)
    chooser = random.Random(20)
    checkpoints = {a.relative_to(life) for a in artifacts_under(life / "run")} - {Path("run")}
    downstream_of = {"mix": {Path("tokens"), Path("run"), *checkpoints}, "tokens": {Path("run"), *checkpoints}}
    for turn in range(300):
        path = files[turn % len(files)] if turn < len(files) else chooser.choice(files)
        position, bit = chooser.randrange(path.stat().st_size), chooser.randrange(8)
        flip(path, position, bit)
        outcome = verify(life)
        flip(path, position, bit)
        place = path.relative_to(life)
        assert path.resolve() in {d.file for d in outcome.damages}, f"byte {position} of {place} was not noticed"
        named = {a.relative_to(life.resolve()) for a in outcome.downstream[path.resolve()]}
        inside_a_checkpoint = len(place.parts) > 3 and place.parts[0] == "run"
        expected = {Path("run")} if inside_a_checkpoint else downstream_of.get(place.parts[0], set())
        assert named == expected, f"downstream of {place}: {named}"
    assert verify(life).sound


def test_damage_of_an_input_is_found_from_the_artifact_made_from_it(life: Path) -> None:
    shard = next((life / "mix" / "train").glob("*.zst"))
    flip(shard, 100, 3)
    outcome = verify(life / "run")
    flip(shard, 100, 3)
    assert [d.file for d in outcome.damages] == [shard.resolve()]
    assert (life / "run").resolve() in outcome.downstream[shard.resolve()]


def test_a_missing_and_an_added_file_are_named(life: Path, tmp_path: Path) -> None:
    copy = tmp_path / "life"
    shutil.copytree(life, copy)
    (copy / "tokens" / "tokenizer.json").rename(copy / "tokens" / "other.json")
    assert {(d.file.name, d.what) for d in verify(copy / "tokens").damages} == {
        ("tokenizer.json", "the file is gone"),
        ("other.json", "the file is not in the manifest"),
    }


def test_a_moved_tree_is_still_sound(life: Path, tmp_path: Path) -> None:
    shutil.copytree(life, tmp_path / "elsewhere" / "life")
    assert verify(tmp_path / "elsewhere" / "life" / "run").sound


def test_a_replaced_input_is_noticed(life: Path, tmp_path: Path) -> None:
    copy = tmp_path / "life"
    shutil.copytree(life, copy)
    shutil.rmtree(copy / "mix")
    small_corpus(copy / "mix", count=100)
    assert {d.what for d in verify(copy).damages} == {"the input was rebuilt with other content"}


def test_the_reader_of_a_damaged_plain_file_is_downstream_of_it(life: Path, tmp_path: Path) -> None:
    copy = tmp_path / "life"
    shutil.copytree(life, copy)
    tokenizer = tmp_path / "tokenizer.json"
    shutil.copy(copy / "tokens" / "tokenizer.json", tokenizer)
    tokenize(TokenizeConfig(corpus=copy / "mix", out=copy / "again", tokenizer=tokenizer))
    flip(tokenizer, 50, 1)
    outcome = verify(copy / "again")
    assert [d.file for d in outcome.damages] == [tokenizer]
    assert outcome.downstream[tokenizer] == [copy / "again"]


def test_the_manifest_of_another_program_is_not_taken_for_an_artifact(life: Path, tmp_path: Path) -> None:
    copy = tmp_path / "life"
    shutil.copytree(life / "mix", copy / "mix")
    (copy / "website").mkdir()
    (copy / "website" / "manifest.json").write_text('{"name": "a web page"}')
    assert artifacts_under(copy) == [copy / "mix"]
    assert verify(copy).sound


def test_the_same_training_has_the_same_content(life: Path, tmp_path: Path) -> None:
    settings = {"model": "tiny", "steps": 4, "batch": 4, "micro_batch": 4}
    train(TrainConfig(tokens=life / "tokens", out=tmp_path / "run", **settings))
    assert read_manifest(tmp_path / "run").content == read_manifest(life / "run").content


def test_a_folder_without_artifacts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no artifact"):
        verify(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        verify(tmp_path / "gone")


def test_the_lineage_leads_from_a_run_to_its_corpus(life: Path) -> None:
    kinds = [n.manifest.kind for n in ancestors(lineage(life / "run")) if n.manifest]
    assert kinds == ["run", "tokens", "corpus"]
    assert find_ancestor(life / "run", "corpus") == (life / "mix").resolve()
    assert find_ancestor(life / "run", "archive") is None

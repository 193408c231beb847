"""The labs of published corpora can be planned, and say what was published."""

import re
import tomllib
from pathlib import Path

import pytest

from libertas.demo import FIRST_LAB
from libertas.lab import Tables, plan, read_lab

LABS = FIRST_LAB.parent
OFF = "#| "
"""How lines of a lab begin that are switched off."""

PILE = {
    "pile-cc": (1.0, 227.12),
    "pubmed-central": (2.0, 90.27),
    "books3": (1.5, 100.96),
    "openwebtext2": (2.0, 62.77),
    "arxiv": (2.0, 56.21),
    "github": (1.0, 95.16),
    "freelaw": (1.5, 51.15),
    "stackexchange": (2.0, 32.20),
    "uspto-backgrounds": (2.0, 22.90),
    "pubmed-abstracts": (2.0, 19.26),
    "gutenberg": (2.5, 10.88),
    "opensubtitles": (1.5, 12.98),
    "wikipedia-en": (3.0, 6.38),
    "dm-mathematics": (2.0, 7.75),
    "ubuntu-irc": (2.0, 5.52),
    "bookcorpus2": (1.5, 6.30),
    "europarl": (2.0, 4.59),
    "hackernews": (2.0, 3.90),
    "youtubesubtitles": (2.0, 3.73),
    "philpapers": (2.0, 2.38),
    "nih-exporter": (2.0, 1.89),
    "enron-emails": (2.0, 0.88),
}
"""Epochs and raw size in GiB (Gao et al. 2020, table 1)."""


def whole_pile() -> Tables:
    """The lab with everything switched on."""
    text = (LABS / "the-pile.toml").read_text()
    return tomllib.loads("\n".join(line.strip().removeprefix(OFF) for line in text.splitlines()))


@pytest.mark.parametrize("name", ["the-pile", "proof-pile", "openwebmath"])
def test_a_lab_is_planned_and_its_stages_read_what_earlier_ones_make(name: str, tmp_path: Path) -> None:
    made: set[Path] = set()
    for step in plan(read_lab(LABS / f"{name}.toml"), tmp_path, name):
        config = step.config
        read = {*getattr(config, "corpora", ()), *getattr(config, "decisions", ()), *getattr(config, "archives", ())}
        assert {p for p in read if "lists" not in p.parts} <= made
        made.add(config.out)
    assert config.out.name in (name, "pile")


def test_the_pile_has_its_components_and_weights(tmp_path: Path) -> None:
    steps = plan(whole_pile(), tmp_path, "the-pile")
    mix = steps[-1].config
    assert mix.weights == {name: weight for name, (weight, _) in PILE.items()}
    assert {p.name for p in mix.corpora} == set(PILE)
    assert {s.config.component for s in steps if s.title.startswith("gather.")} == set(PILE)


def test_the_sizes_above_the_tables_are_those_of_the_paper() -> None:
    comment = re.compile(r"# (?:Switched off: )?([0-9.]+) GiB, [0-9.]+ KiB\. ")
    table = re.compile(r"(?:#\| )?\[\w+\.([\w-]+)\]")
    sizes, size = {}, None
    for line in (LABS / "the-pile.toml").read_text().splitlines():
        if found := comment.match(line):
            assert size is None, "a size without a table"
            size = float(found[1])
        elif size is not None and (found := table.match(line)):
            sizes[found[1]], size = size, None
    assert sizes == {name: size for name, (_, size) in PILE.items()}


def test_the_shares_beside_the_weights_are_those_of_passes_times_sizes() -> None:
    lines = [line.removeprefix(OFF) for line in (LABS / "the-pile.toml").read_text().splitlines() if " %" in line]
    effective = {name: weight * size for name, (weight, size) in PILE.items()}
    assert len(lines) == len(PILE)
    for line in lines:
        name, share = line.split(" = ")[0], float(line.split("#")[1].removesuffix("%"))
        assert share == pytest.approx(100 * effective[name] / sum(effective.values()), abs=0.011)


def test_sources_that_nobody_licensed_are_switched_off() -> None:
    used = set(read_lab(LABS / "the-pile.toml")["mix"]["weights"])
    assert set(PILE) - used == {"books3", "opensubtitles", "bookcorpus2", "youtubesubtitles"}


def test_proof_pile_is_mixed_two_to_four_to_one(tmp_path: Path) -> None:
    mix = plan(read_lab(LABS / "proof-pile.toml"), tmp_path, "proof-pile")[-1].config
    assert mix.shares == pytest.approx({"arxiv": 2 / 7, "web": 4 / 7, "code": 1 / 7}, abs=1e-7)

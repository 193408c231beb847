"""Why a document is in or out: every stage's word on it, found by id, by the beginning of one, and by address."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from making import document, text
from rich.console import Console

from libertas.corpus import Corpus
from libertas.curate.config import CurateConfig
from libertas.curate.decide import curate
from libertas.curate.duplicates.config import DedupConfig
from libertas.curate.duplicates.find import dedup
from libertas.curate.mixture.config import MixConfig
from libertas.curate.mixture.mix import mix
from libertas.curate.privacy.config import RedactConfig
from libertas.curate.privacy.find import redact
from libertas.curate.why import Account, account_table, accounts_of, decisions_of, sidecars_above
from libertas.errors import UsageError
from libertas.gather.config import GatherConfig, PackConfig
from libertas.gather.documents import gather
from libertas.gather.pack import pack

SHORT, TWICE, MAIL, KEPT = "short.txt", "twice.txt", "mail.txt", "kept.txt"


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From archive to mixture: a short text, two that are the same, one with an address, others."""
    folder = tmp_path_factory.mktemp("life")
    (folder / "source").mkdir()
    texts = {SHORT: "too short", TWICE: text(1, 90), "a.txt": text(1, 90), MAIL: f"{text(2, 90)} ann@mail-host.org"}
    for name, body in {**texts, **{KEPT: text(3, 90)}, **{f"b{n}.txt": text(10 + n, 90) for n in range(9)}}.items():
        (folder / "source" / name).write_text(body)
    pack(PackConfig(paths=(str(folder / "source"),), out=folder / "archive"))
    corpora = (folder / "corpus",)
    gather(GatherConfig(archives=(folder / "archive",), component="notes", workers=1, out=corpora[0]))
    curate(CurateConfig(corpora=corpora, rules=("all",), out=folder / "earlier", workers=1))
    limits = {"gopher_words": (10.0, 95.0)}
    rules = ("gopher_words", "gopher_top_2gram", "c4_policy_lines")
    measured = folder / "earlier"
    curate(CurateConfig(corpora=corpora, rules=rules, limits=limits, measured=measured, out=folder / "decisions"))
    dedup(DedupConfig(corpora=corpora, methods=("exact",), workers=1, out=folder / "duplicates"))
    redact(RedactConfig(corpora=corpora, workers=1, out=folder / "redactions"))
    judged = tuple(folder / name for name in ("decisions", "duplicates", "redactions"))
    weights = {"notes": 2.0}
    mix(MixConfig(corpora=corpora, decisions=judged, weights=weights, validation=0, workers=1, out=folder / "mix"))
    return folder


def account(life: Path, name: str, *paths: str) -> Account:
    [found] = accounts_of(f"urn:file:source/{name}", [life / path for path in paths or (".",)])
    return found


def said(found: Account, artifact: str) -> list[tuple[str, str, str, str]]:
    return [(r.what, r.value, r.limit, r.verdict) for r in found.remarks if r.artifact == artifact]


def test_every_rule_is_told_with_its_number_limit_and_source(life: Path) -> None:
    found = account(life, SHORT, "decisions")
    assert said(found, "decisions") == [
        ("gopher_words", "2", "10 to 95", "against"),
        ("gopher_top_2gram", "0", "at most 0.2", "passes"),
        ("c4_policy_lines", "0", "", "measured"),
    ]
    assert {r.source for r in found.remarks[1:]} == {
        "Rae et al. 2021, A.1.1",
        "Rae et al. 2021, table A1",
        "Raffel et al. 2020, 2.2",
    }


def test_the_origin_is_the_archive_with_the_place_of_the_record(life: Path) -> None:
    found = account(life, KEPT, "corpus")
    ref = found.document.warc
    assert ref is not None
    [origin] = found.remarks
    assert origin.value == f"bytes {ref.offset:,} to {ref.offset + ref.length:,}"
    assert origin.verdict == ref.record_id
    assert (life / "archive" / ref.file).samefile(origin.source)


def test_a_duplicate_is_told_with_its_cluster_and_what_the_mixture_made_of_it(life: Path) -> None:
    kept, lost = account(life, "a.txt"), account(life, TWICE)
    assert said(kept, "duplicates") == [("cluster 0", "1", "", "represents its cluster")]
    assert said(lost, "duplicates") == [("cluster 0", "1", "", f"exact duplicate of {kept.document.id}")]
    assert [r.source for r in lost.remarks if r.artifact == "duplicates"] == [f"with {kept.document.id}"]
    assert said(kept, "mix") == [("part train", "2 times", "", "in the mixture")]
    assert said(lost, "mix") == [("exact_duplicate", "1", "", "left out: same text as a kept document")]


def test_cuts_are_told_with_their_place_and_not_with_the_text_that_is_cut(life: Path) -> None:
    found = account(life, MAIL, "mix")
    start = found.document.text.index("ann@")
    [(_, place, _, verdict)] = said(found, "redactions")
    assert place == f"{start} to {len(found.document.text)}"
    assert verdict.startswith("replaced by ")
    assert "ann@" not in "".join(r.source + r.verdict for r in found.remarks)
    assert said(account(life, KEPT, "mix"), "redactions") == [("redactions", "", "", "nothing")]


def test_a_mixture_leads_to_all_that_judged_its_documents(life: Path) -> None:
    from_mixture = account(life, SHORT, "mix")
    assert [r.artifact for r in from_mixture.remarks if r.artifact != "earlier"] == [
        r.artifact for r in account(life, SHORT).remarks if r.artifact != "earlier"
    ]
    assert sidecars_above(life / "mix") == [(life / n).resolve() for n in ("decisions", "duplicates", "redactions")]


def test_an_id_is_found_by_its_beginning_and_an_ambiguous_one_is_refused(life: Path, make_corpus, tmp_path) -> None:
    identifier = account(life, KEPT).document.id
    for length in (32, 12):
        assert [a.document.id for a in accounts_of(identifier[:length], [life / "corpus"])] == [identifier]
    many = make_corpus([document(n) for n in range(400)], tmp_path / "many")
    digit = identifier[0]
    beginning = sorted(i for i in Corpus.open(many).ids() if i.startswith(digit))
    with pytest.raises(UsageError, match=rf"{digit} begins {len(beginning)} ids \({beginning[0]}, .*give more digits"):
        accounts_of(digit, [many])


def test_errors_say_what_was_looked_for_and_where(life: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no document is called 'https://nowhere.org/' in .*corpus; expected an id"):
        accounts_of("https://nowhere.org/", [life])
    with pytest.raises(UsageError, match="leads to no corpus"):
        accounts_of("00", [tmp_path])
    with pytest.raises(UsageError, match="does not exist"):
        accounts_of("00", [tmp_path / "absent"])


def test_the_table_shows_no_control_characters(life: Path) -> None:
    found = account(life, KEPT)
    found.document.meta["title"] = "red \x1b[31m title"
    console = Console(width=150, file=StringIO())
    console.print(account_table(found))
    shown = console.file.getvalue()
    assert "red \ufffd[31m title" in shown
    assert "gopher_words" in shown


def test_decisions_of_other_side_cars_are_told_in_the_same_way(life: Path) -> None:
    kept, lost = account(life, "a.txt").document.id, account(life, TWICE).document.id
    [decision] = decisions_of(life / "duplicates", lost)
    assert (decision.rule, decision.reason, decision.value) == ("exact_duplicate", f"exact duplicate of {kept}", 1.0)
    assert [d.reason for d in decisions_of(life / "duplicates", kept)] == [None]
    [cut] = decisions_of(life / "redactions", account(life, MAIL).document.id)
    assert (cut.reason, cut.value) == (None, 1.0)


def test_the_command_prints_the_table(life: Path) -> None:
    words = [sys.executable, "-m", "libertas.cli", "why", f"urn:file:source/{SHORT}", str(life / "decisions")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "gopher_words" in done.stdout
    assert "against" in done.stdout

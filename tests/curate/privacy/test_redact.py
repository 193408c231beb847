"""The stage: spans beside the text, the same whoever finds them, and never what was found."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from labels import labelled
from making import document

from libertas.curate.privacy.config import RedactConfig
from libertas.curate.privacy.find import find_personal, redact
from libertas.curate.privacy.replacement import pseudonym
from libertas.curate.privacy.spans import PrivateSpan
from libertas.curate.sidecar import CUTS, said_of
from libertas.errors import UsageError
from libertas.lineage.manifest import read_manifest

MAIL = document(1, "mail", "Write to anna@nordlicht.de or ANNA@nordlicht.de, or ring +49 171 4452981.")
CLEAN = document(2, "web", "Nothing is here, not even 192.168.1.1.")
LOG = document(3, "web", "host 81.169.145.77 again, host 81.169.145.77")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(bytes(range(32)))
    return path


def test_spans_and_replacements_stand_beside_the_text(make_corpus, tmp_path: Path) -> None:
    corpus = make_corpus([MAIL, CLEAN, LOG], tmp_path / "corpus")
    out = redact(RedactConfig(corpora=(corpus,), out=tmp_path / "redactions", workers=1))
    rows = said_of(out, CUTS, MAIL.id)
    assert [MAIL.text[r["start"] : r["end"]] for r in rows] == [
        "anna@nordlicht.de",
        "ANNA@nordlicht.de",
        "+49 171 4452981",
    ]
    assert [(r["number"], r["rule"], r["replacement"]) for r in rows] == [
        (0, "email", "<EMAIL>"),
        (0, "email", "<EMAIL>"),
        (0, "phone", "<PHONE>"),
    ]
    assert read_manifest(out).counts == {
        "documents": {"in": 3, "out": 3, "dropped": 0, "with_redactions": 2},
        "redactions": {"email": 2, "ip": 2, "phone": 1},
        "components": {"mail": {"email": 2, "phone": 1}, "web": {"ip": 2}},
    }


def test_nothing_that_was_found_is_written(make_corpus, tmp_path: Path, key: Path) -> None:
    corpus = make_corpus([document(n, content=text) for n, (text, _) in enumerate(labelled("tuning"))], tmp_path / "c")
    values = {t[s.start : s.end] for t, _ in labelled("tuning") for s in find_personal(t)}
    for style in ("placeholder", "pseudonym"):
        config = RedactConfig(corpora=(corpus,), out=tmp_path / style, style=style, key=key, workers=1)
        written = repr(pq.read_table(redact(config) / CUTS).to_pylist()) + repr(read_manifest(config.out))
        assert [v for v in values if v in written] == []


def test_pseudonyms_are_the_same_for_the_same_value_and_key_and_are_not_personal_again(
    make_corpus, tmp_path: Path, key: Path
) -> None:
    corpus = make_corpus([MAIL, LOG], tmp_path / "corpus")
    out = redact(RedactConfig(corpora=(corpus,), out=tmp_path / "r", style="pseudonym", key=key, workers=1))
    first, again, phone, *hosts = [r["replacement"] for d in (MAIL, LOG) for r in said_of(out, CUTS, d.id)]
    assert first == again
    assert hosts[0] == hosts[1]
    assert find_personal(f"{first}, tel. {phone}, host {hosts[0]}") == []
    address = PrivateSpan(0, 17, "email", "address")
    assert pseudonym(address, "anna@nordlicht.de", bytes(32)) != pseudonym(address, "anna@nordlicht.de", b"\1" * 32)


@pytest.mark.parametrize(
    ("kind", "detail"), [("email", ""), ("ip", "IPv4"), ("ip", "IPv6"), ("phone", ""), ("key", "")]
)
def test_no_pseudonym_is_personal(kind: str, detail: str) -> None:
    for n in range(200):
        assert find_personal(f"tel: ip {pseudonym(PrivateSpan(0, 1, kind, detail), str(n), bytes(32))}") == []


def test_workers_write_the_same_bytes(make_corpus, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("libertas.corpus.FRAME_BYTES", 2000)
    monkeypatch.setattr("libertas.corpus.PIECE_BYTES", 5000)
    corpus = make_corpus([document(n, content=text) for n, (text, _) in enumerate(labelled("tuning"))], tmp_path / "c")
    made = [redact(RedactConfig(corpora=(corpus,), out=tmp_path / f"r{n}", workers=n)) for n in (1, 2)]
    assert len({read_manifest(path).content for path in made}) == 1


@pytest.mark.slow
def test_ray_writes_the_same_bytes(make_corpus, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    corpus = make_corpus([MAIL, CLEAN, LOG], tmp_path / "corpus")
    one = redact(RedactConfig(corpora=(corpus,), out=tmp_path / "one", workers=1))
    ray = redact(RedactConfig(corpora=(corpus,), out=tmp_path / "ray", engine="ray"))
    assert read_manifest(one).content == read_manifest(ray).content


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kinds": ("emial",)}, "there is no kind 'emial'; did you mean 'email'"),
        ({"kinds": ()}, "kinds is empty"),
        ({"style": "pseudonym"}, "without a key"),
        ({"style": "fake"}, "expected placeholder or pseudonym"),
        ({"engine": "spark"}, "expected local or ray"),
        ({"workers": 0}, "workers is 0"),
        ({"corpora": ()}, "corpora is empty"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RedactConfig(**{"corpora": (Path("c"),), "out": Path("o"), **settings})


def test_a_short_key_is_refused(make_corpus, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"secret")
    corpus = make_corpus([MAIL], tmp_path / "corpus")
    with pytest.raises(UsageError, match="has 6 bytes; expected a key of 16 or more"):
        redact(RedactConfig(corpora=(corpus,), out=tmp_path / "r", style="pseudonym", key=tmp_path / "key"))

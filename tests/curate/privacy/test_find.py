"""What is personal is found and what looks like it is not; `labelled.jsonl` counts both."""

from collections import Counter
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labels import labelled

from libertas.curate.privacy.find import find_personal
from libertas.curate.privacy.keys import is_random
from libertas.curate.privacy.spans import PRIVATE_KINDS, PrivateSpan, merged_spans

FLOORS = orjson.loads((Path(__file__).parents[2] / "gates" / "floors.json").read_bytes())


def precision_and_recall(half: str) -> tuple[dict[str, tuple[float, float]], tuple[float, float]]:
    """By kind and over all, where a span is right if both its ends and its kind are."""
    right, found, wanted = Counter(), Counter(), Counter()
    for text, labels in labelled(half):
        spans = {(s.start, s.end, s.kind) for s in find_personal(text)}
        for counts, some in ((right, spans & labels), (found, spans), (wanted, labels)):
            counts.update(kind for *_, kind in some)
    by_kind = {k: (right[k] / max(1, found[k]), right[k] / wanted[k]) for k in PRIVATE_KINDS}
    return by_kind, (right.total() / found.total(), right.total() / wanted.total())


def test_passages_are_enough_and_a_quarter_of_them_has_nothing_personal() -> None:
    passages = labelled("tuning") + labelled("held-out")
    assert len(passages) >= 400
    assert sum(not labels for _, labels in passages) >= len(passages) / 4
    assert {kind for _, labels in passages for *_, kind in labels} == set(PRIVATE_KINDS)


def test_precision_and_recall_on_passages_that_the_patterns_were_not_made_for() -> None:
    by_kind, (precision, recall) = precision_and_recall("held-out")
    print(f"precision {precision:.4f} recall {recall:.4f}", by_kind)
    assert precision >= FLOORS["redact_precision"]
    assert recall >= FLOORS["redact_recall"]
    assert min(min(pair) for pair in by_kind.values()) >= FLOORS["redact_worst_kind"]


def test_every_tuning_passage_is_right() -> None:
    assert precision_and_recall("tuning")[1] == (1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mail anna@nordlicht.de.", "anna@nordlicht.de"),
        ("mail anna@nordlicht.de.Then", "anna@nordlicht.de"),
        ("ご連絡はsato@kyoto-u.ac.jpへ", "sato@kyoto-u.ac.jp"),
        ("𝒽𝒾 😀 anna@nordlicht.de", "anna@nordlicht.de"),
        ("お電話は03-5422-8871へ", "03-5422-8871"),
        ("ip \u06f8.8.8.8, ip 8.8.4.4", "8.8.4.4"),
        ("e\u0301t\u00e9 (415)\u00a0863\u20112290", "(415)\u00a0863\u20112290"),
    ],
)
def test_offsets_are_those_of_the_characters_of_the_text(text: str, found: str) -> None:
    assert [text[s.start : s.end] for s in find_personal(text)] == [found]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("4111 1111 1111 1111", "4111 1111 1111 1112"),  # ISO/IEC 7812-1
        ("GB82 WEST 1234 5698 7654 32", "GB82 WEST 1234 5698 7654 33"),  # ISO 13616's example
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"),  # Bitcoin's first block
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"),  # BIP 173
        ("12345678Z", "12345678A"),  # the Spanish ministry's example
        ("131052-308T", "131052-308U"),  # the Finnish authority's example
        ("RSSMRA85T10A562S", "RSSMRA85T10A562T"),  # the usual example of a codice fiscale
        ("PESEL 44051401359", "PESEL 44051401358"),  # the usual example of a PESEL
        ("11010519491231002X", "110105194912310021"),  # GB 11643-1999's example
    ],
)
def test_a_wrong_check_digit_is_no_number(good: str, bad: str) -> None:
    assert len(find_personal(good)) == 1
    assert find_personal(bad) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("joe@acme.solar", "joe@acme.solar"),
        ("Write to joe@mail.acme.ventures.", "joe@mail.acme.ventures"),
        ("joe [at] acme.marketing", "joe [at] acme.marketing"),
        ("joe@acme.com.please", "joe@acme.com"),
    ],
)
def test_an_address_may_end_in_any_domain(text: str, found: str) -> None:
    assert [text[s.start : s.end] for s in find_personal(text, kinds=("email",))] == [found]


@pytest.mark.parametrize(
    "text",
    [
        "icon@2x.png",
        "logo@3x.4b31.webp",
        "x@w.transpose",
        "a@self.weight",
        "content@filterEmpty.0.headline",
        "b@Model.solar",
        "getty@tty1.service",
        "root@server.local",
        "looked at polka dot dresses",
    ],
)
def test_what_ends_in_a_word_of_code_a_file_or_a_sentence_is_no_address(text: str) -> None:
    assert find_personal(text, kinds=("email",)) == []


def test_private_keys_are_found_in_linear_time() -> None:
    begin = "-----BEGIN PRIVATE KEY-----\n"
    hostile = f"{begin}Version" * (4_000_000 // len(begin))  # read from each beginning on, it would take days
    assert find_personal(hostile, kinds=("key",)) == []
    headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,1F\n\n"
    key = f"{begin}{headers}{'MIIEpAIB' * 20}\n-----END PRIVATE KEY-----"
    assert [(s.start, s.end) for s in find_personal(f"{hostile}{key}", kinds=("key",))] == [
        (len(hostile), len(hostile) + len(key))
    ]


@pytest.mark.parametrize(
    ("value", "random"),
    [
        ("x7Kq9Lm2Pz4Rt8Wv", True),
        ("0f3a91c27be45d680f3a91c27be45d68", True),
        ("authorization_name9", False),
        ("a1a1a1a1a1a1a1a1", False),
        ("abcdefghijklmnop", False),
        ("2024-11-21-10-55", False),
        ("getToken(Xy9Qk2)", False),
    ],
)
def test_a_value_is_random_if_it_has_many_characters_and_changes_class_often(value: str, random: bool) -> None:
    assert is_random(value) is random


def test_private_addresses_are_found_when_asked_for() -> None:
    text = "host 192.168.1.7 and fe80::21b:63ff:fe84:45e6"
    assert find_personal(text) == []
    assert [text[s.start : s.end] for s in find_personal(text, private_addresses=True)] == [
        "192.168.1.7",
        "fe80::21b:63ff:fe84:45e6",
    ]


def test_only_the_kinds_that_were_asked_for_are_found() -> None:
    text = "anna@nordlicht.de, +49 171 4452981, host 81.169.145.77"
    for kind in ("email", "phone", "ip"):
        assert [s.kind for s in find_personal(text, kinds=(kind,))] == [kind]


def test_spans_that_overlap_become_one_under_the_name_of_the_longest() -> None:
    spans = [PrivateSpan(5, 9, "phone", "b"), PrivateSpan(0, 6, "card", "a"), PrivateSpan(9, 12, "ip", "c")]
    assert (
        merged_spans(spans)
        == merged_spans(reversed(spans))
        == [PrivateSpan(0, 9, "card", "a"), PrivateSpan(9, 12, "ip", "c")]
    )
    same = [PrivateSpan(0, 4, "phone", ""), PrivateSpan(0, 4, "card", "")]
    assert merged_spans(same) == merged_spans(reversed(same)) == [PrivateSpan(0, 4, "card", "")]


@given(st.text(alphabet="1234567890+()-./ @:abcAZ\n٣é漢\ud800", max_size=300))
def test_any_text_has_spans_in_order_and_within_it(text: str) -> None:
    spans = find_personal(text)
    edges = [edge for s in spans for edge in (s.start, s.end)]
    assert edges == sorted(edges)
    assert all(0 <= s.start < s.end <= len(text) for s in spans)

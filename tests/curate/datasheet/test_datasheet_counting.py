"""Counting in bounded memory: exact where it is small, within the promised error where it is not, in any grouping."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libertas.curate.datasheet import tally
from libertas.curate.datasheet.sample import KeyedSample, Sampled
from libertas.curate.datasheet.tally import Lengths, Tally
from libertas.curate.datasheet.words import LOCAL, NO_ADDRESS, NO_HOST, domain_of, without_contacts, words_in, year_of


@given(st.lists(st.integers(0, 10**7), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_the_nearest_rank_within_four_tenths_of_a_percent(lengths: list[int], share: float) -> None:
    counted = Lengths()
    counted.extend(lengths)
    rank = next(n for n in range(1, len(lengths) + 1) if n >= share * len(lengths))
    exact = sorted(lengths)[rank - 1]
    assert counted.quantile(share) == pytest.approx(exact, rel=0.004)
    if exact < 256:
        assert counted.quantile(share) == exact


@given(st.lists(st.lists(st.integers(0, 10**6))))
def test_lengths_are_the_same_in_any_grouping(groups: list[list[int]]) -> None:
    merged, whole = Lengths(), Lengths()
    for group in groups:
        part = Lengths()
        part.extend(group)
        merged.merge(part)
    whole.extend([n for group in groups for n in group])
    assert merged == whole
    assert sum(count for _, count in whole.histogram()) == whole.count


def test_a_histogram_has_a_row_for_each_power_of_two() -> None:
    counted = Lengths()
    counted.extend([0, 1, 2, 3, 9, 1000])
    assert counted.histogram() == [[0, 1], [1, 1], [2, 2], [4, 0], [8, 1], *[[2**n, 0] for n in range(4, 9)], [512, 1]]


def test_a_tally_that_forgets_says_how_much_it_may_have_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "NAMES", 3)
    whole = Tally()
    for round_ in range(20):
        part = Tally()
        part.add("often", 5, 50)
        for name in range(2):
            part.add(f"once-{round_}-{name}", 1, 10)
        whole.merge(part)
    assert whole.total == 140
    assert whole.top(1) == [{"name": "often", "documents": 100, "bytes": 1000}]
    assert len(whole.documents) <= 6
    assert whole.missed >= 1


def test_equal_counts_stand_in_order_of_name() -> None:
    counted = Tally(Counter(b=2, a=2, c=3), Counter(), 7)
    assert [row["name"] for row in counted.top()] == ["c", "a", "b"]


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from("abcdef")), max_size=40), st.integers(1, 8))
def test_a_sample_is_the_smallest_keys_in_any_order(offers: list[tuple[int, str]], most: int) -> None:
    sample = KeyedSample(most)
    sample.merge(Sampled(key, name, "", name) for key, name in offers)
    assert [(d.key, d.id) for d in sample.documents] == sorted(set(offers))[:most]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don’t stop, snake_case 3.5!", ["Don’t", "stop", "snake_case", "3", "5"]),
        ("किताब पढ़ो।", ["किताब", "पढ़ो"]),
        ("東京へ go", ["東", "京", "へ", "go"]),
        ("السَّلام عليكم", ["السَّلام", "عليكم"]),
        ("", []),
    ],
)
def test_words_are_told_in_any_script(text: str, words: list[str]) -> None:
    assert words_in(text) == words


def test_addresses_give_their_host_and_never_an_error() -> None:
    assert domain_of("https://www.Example.org:8080/a?b") == "example.org"
    assert domain_of("urn:file:a.txt") == domain_of("file:///etc") == LOCAL
    assert domain_of("http://[::1") == domain_of("hard::x.html") == NO_HOST
    assert domain_of(None) == domain_of(7) == NO_ADDRESS


def test_a_year_is_read_from_the_beginning_of_a_date_only() -> None:
    assert [year_of(d) for d in ("2021-03", "1999", "2021-01-01T00:00:00Z")] == ["2021", "1999", "2021"]
    assert [year_of(d) for d in ("21", "20211", "۲۰۲۱-01", None, 2021, "May 2021")] == [None] * 6


def test_quotations_repeat_no_mail_address_and_no_long_number() -> None:
    assert without_contacts("Write to jo@example.org or +49 (30) 1234-567 89 by 2024-05-01, page 12 of 1,000.") == (
        "Write to […] or […] by 2024-05-01, page 12 of 1,000."
    )

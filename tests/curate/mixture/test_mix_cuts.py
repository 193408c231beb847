"""Cuts of many stages become one set of cuts."""

from hypothesis import given
from hypothesis import strategies as st

from libertas.curate.mixture.cuts import Cut, united, without

TEXT = "0123456789"


def test_cuts_that_overlap_become_one_and_only_a_replacement_of_all_survives() -> None:
    cuts = [Cut(6, 8, "b", "X"), Cut(0, 3, "a", "X"), Cut(2, 5, "c", "X"), Cut(7, 9, "a", "Y"), Cut(9, 10, "a", "Z")]
    assert united(cuts) == [Cut(0, 5, "a+c", "X"), Cut(6, 9, "a+b", ""), Cut(9, 10, "a", "Z")]
    assert without(TEXT, united(cuts)) == "X5Z"


def test_a_cut_as_json_is_the_cut() -> None:
    assert Cut(1, 2, "a").to_json() == [1, 2, "a"]
    assert Cut(*Cut(1, 2, "a", "X").to_json()) == Cut(1, 2, "a", "X")


CUTS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 4), st.sampled_from(["", "X", "Y"])).map(
        lambda t: Cut(t[0], min(t[0] + t[1], 10), "r", t[2])
    ),
    max_size=6,
)


@given(CUTS, st.randoms(use_true_random=False))
def test_united_cuts_cut_each_character_that_one_of_them_does_whatever_their_order(cuts, random) -> None:
    together = united(cuts)
    covered = {n for c in cuts for n in range(c.start, c.end)}
    assert [n for c in together for n in range(c.start, c.end)] == sorted(covered)
    bare = [Cut(c.start, c.end, c.rule) for c in together]
    assert without(TEXT, bare) == "".join(c for n, c in enumerate(TEXT) if n not in covered)
    shuffled = list(cuts)
    random.shuffle(shuffled)
    assert united(shuffled) == together
    assert {c.replacement for c in together} <= {c.replacement for c in cuts} | {""}


@given(CUTS)
def test_what_is_left_and_the_recorded_cuts_give_the_text_back(cuts) -> None:
    together = united(cuts)
    left, whole, here, there = without(TEXT, together), "", 0, 0
    for cut in together:
        kept = cut.start - there
        whole += left[here : here + kept] + TEXT[cut.start : cut.end]
        assert left[here + kept :].startswith(cut.replacement)
        here, there = here + kept + len(cut.replacement), cut.end
    assert whole + left[here:] == TEXT

"""What is said in a film, from its subtitles."""

import pytest

from libertas.document import Drop
from libertas.gather.extracted import PLAIN_TEXT, Extracted
from libertas.gather.formats.subtitles import read_subtitles

SRT = """\ufeff1\r
00:00:01,000 --> 00:00:02,500\r
<i>Hello</i> &amp; welcome\r
to the {\\an8}show.\r
\r
2\r
00:00:05,000 --> 00:00:06,000 X1:40 X2:600\r
[door slams]\r
- Who is it?\r
- Me.\r
\r
3\r
00:00:06,100 --> 00:00:07,250\r
♪ (music) ♪\r
"""
VTT = """WEBVTT
Kind: captions
Language: de

NOTE a remark
of two lines

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start
<v Anna>Guten <00:01.500><c>Tag</c></v>

01:00:00.000 --> 01:00:01.000
Ende.
"""


def read(source: str | bytes) -> Extracted:
    found = read_subtitles(source.encode() if isinstance(source, str) else source, PLAIN_TEXT)
    assert isinstance(found, Extracted)
    return found


def srt(*cues: tuple[float, float, str]) -> str:
    def time(seconds: float) -> str:
        thousandths = round(seconds * 1000)
        return f"00:{thousandths // 60_000:02}:{thousandths // 1000 % 60:02},{thousandths % 1000:03}"

    return "\n".join(f"{n}\n{time(a)} --> {time(b)}\n{text}\n" for n, (a, b, text) in enumerate(cues, 1))


def test_subrip_says_what_is_said_without_times_marks_and_sounds() -> None:
    assert read(SRT) == Extracted("Hello & welcome to the show.\n\nWho is it?\nMe.", "", {"seconds": 7.25})


def test_webvtt_says_its_language_and_leaves_notes_and_styles_out() -> None:
    assert read(VTT) == Extracted("Guten Tag\n\nEnde.", "", {"seconds": 3601.0, "language": "de"})


def test_a_paragraph_ends_at_a_pause_behind_a_sentence_or_at_a_long_one() -> None:
    source = srt((0, 1, "We go"), (3.5, 4, "home."), (5, 6, "Now."), (8.1, 9, "Later"), (14.1, 15, "still."))
    assert read(source).text == "We go home. Now.\n\nLater\n\nstill."


def test_lines_that_roll_up_the_screen_are_said_once() -> None:
    rolling = srt((0, 2, "one two"), (2, 4, "one two\nthree four"), (4, 6, "three four\nfive"))
    growing = srt((0, 1, "so"), (1, 2, "so we"), (2, 3, "so we go"))
    assert read(rolling).text == "one two three four five"
    assert read(growing).text.split()[:2] == ["so", "we"]


def test_a_word_that_is_said_again_later_stays() -> None:
    assert read(srt((0, 1, "No."), (1.5, 2, "No."))).text == "No. No."


def test_captions_come_in_the_order_of_their_times() -> None:
    assert read(srt((4, 5, "two"), (1, 2, "one"))).text == "one two"


def test_a_counter_right_above_the_times_is_no_word() -> None:
    assert read("1\n00:00:01,000 --> 00:00:02,000\nA\n2\n00:00:02,000 --> 00:00:03,000\nB 2\n").text == "A B 2"


def test_scripts_without_spaces_are_joined_without_them() -> None:
    assert read(srt((0, 1, "我们"), (1.5, 2, "走吧。"))).text == "我们走吧。"


def test_old_charsets_are_read() -> None:
    assert "größe" in read(srt((0, 1, "Über die größe der Häuser für uns")).encode("latin-1")).text


def test_files_without_words_are_dropped_with_the_reason() -> None:
    assert read_subtitles(b"WEBVTT\n\nno caption here", PLAIN_TEXT) == Drop("subtitles", "no caption", 23)
    assert read_subtitles(srt((0, 1, "[music]")).encode(), PLAIN_TEXT) == Drop("subtitles", "nothing is said", 1)


@pytest.mark.parametrize(
    "line",
    [
        "<" * 200_000,
        "{a" * 100_000,
        "[" * 200_000,
        "(" * 200_000,
        "♪" * 200_000,
        "00:00:01,000 --> " * 20_000,
        "9" * 200_000,
        "-- " * 50_000,
        " " * 200_000 + "x",
    ],
)
def test_hostile_lines_cost_no_other_caption(line: str) -> None:
    assert read(srt((0, 1, line), (10, 11, "the end."))).text.endswith("the end.")


def test_a_file_that_is_cut_off_anywhere_is_read_as_far_as_it_goes() -> None:
    whole = VTT.encode()
    for end in range(len(whole)):
        found = read_subtitles(whole[:end], PLAIN_TEXT)
        assert isinstance(found, Drop) or "Guten Tag\n\nEnde.".startswith(found.text.partition("<")[0].strip())

"""Subtitles (SubRip .srt, WebVTT .vtt): what is said, without times, as paragraphs that end at pauses.

Formats: WebVTT, W3C Candidate Recommendation of 4 April 2019; SubRip has no specification.
"""

import html
import re
from dataclasses import dataclass
from typing import Any

from libertas.document import Drop
from libertas.gather.extracted import Extracted, ReadMode
from libertas.gather.normalize import decode, normalize

SUBRIP, WEBVTT = "application/x-subrip", "text/vtt"
TIMES = re.compile(
    r"\s{0,9}(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,:](\d{1,3})\s{0,9}-{1,2}>\s{0,9}(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,:](\d{1,3})"
)
MARKUP = re.compile(r"<[^<>]{0,200}>|\{[\\A-Za-z][^{}]{0,200}\}")
"""Tags of both formats, times inside a line, and the codes for place and style that players read."""
SOUNDS = re.compile(
    r"\[[^\[\]]{0,200}\]|【[^【】]{0,200}】|^\W{0,3}\([^()]{0,200}\)\W{0,3}$|[♪♫♬#]{1,9}(?=\s|$)|[♪♫♬]{1,9}"
)
"""What is heard but not said: in square brackets, in round ones that fill a line, and the notes around a song."""
TURN = re.compile(r"^(?:[-–—]\s?(?=\S)|>>\s?)")
"""Another one speaks."""
SENTENCE_ENDS = re.compile(r"[.!?…。！？؟।][\"'”’»)\]]{0,3}$")
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uff00-\uff60]")
"""Letters of scripts that put no space between words."""
PAUSE_SECONDS = 2.0
"""So long a silence behind a sentence begins a paragraph ..."""
LONG_PAUSE_SECONDS = 5.0
"""... and so long a one anywhere."""
ROLLING_SECONDS = 0.2
"""A caption that follows so closely may show the lines of the one before it again: they roll up the screen."""
HEADER = re.compile(r"^(Language|Kind):\s*(\S{1,40})\s*$", re.MULTILINE)


@dataclass(slots=True)
class _Cue:
    """One caption: seconds from the beginning, and its lines."""

    start: float
    end: float
    lines: list[str]


def read_subtitles(body: bytes, mode: ReadMode) -> Extracted | Drop:
    """What is said in a film or talk."""
    source = decode(body, None, html=False).lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    cues = sorted(_cues(source.split("\n")), key=lambda cue: cue.start)
    if not cues:
        return Drop("subtitles", "no caption", len(body))
    text = normalize("\n\n".join(_paragraphs(_unrolled(cues))))
    if not text:
        return Drop("subtitles", "nothing is said", len(cues))
    meta: dict[str, Any] = {"seconds": round(max(cue.end for cue in cues), 3)}
    declared = dict(HEADER.findall(source.partition("\n\n")[0])) if source.startswith("WEBVTT") else {}
    return Extracted(text, "", meta | ({"language": declared["Language"]} if "Language" in declared else {}))


def _cues(lines: list[str]) -> list[_Cue]:
    """Captions in file order; a caption goes on to an empty line or to the next one's times."""
    cues: list[_Cue] = []
    inside = False
    for number, line in enumerate(lines):
        if times := TIMES.match(line):
            if inside and cues[-1].lines and _is_counter(lines[number - 1]):
                cues[-1].lines.pop()  # its number stood right above, without an empty line before it
            start, end = (_seconds(times, group) for group in (1, 5))
            cues.append(_Cue(start, max(start, end), []))
            inside = True
        elif not line.strip():
            inside = False
        elif inside:
            cues[-1].lines.append(line)
    for cue in cues:
        cue.lines = [cleaned for line in cue.lines if (cleaned := _cleaned(line))]
    return cues


def _is_counter(line: str) -> bool:
    return line.strip().isdecimal()


def _seconds(times: re.Match[str], first: int) -> float:
    hours, minutes, seconds, fraction = times.groups()[first - 1 : first + 3]
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000


def _cleaned(line: str) -> str:
    """A line without markup and sounds."""
    return " ".join(SOUNDS.sub(" ", html.unescape(MARKUP.sub("", line)).strip()).split())


def _unrolled(cues: list[_Cue]) -> list[_Cue]:
    """Captions without the lines that they show again."""
    kept: list[_Cue] = []
    shown: list[str] = []
    end = -1.0
    for cue in cues:
        lines = cue.lines
        if cue.start - end <= ROLLING_SECONDS and shown:
            same = next((n for n in range(min(len(shown), len(lines)), 0, -1) if shown[-n:] == lines[:n]), 0)
            lines = lines[same:]
            if not same and lines and kept and kept[-1].lines and lines[0].startswith(kept[-1].lines[-1] + " "):
                lines = [lines[0][len(kept[-1].lines[-1]) + 1 :], *lines[1:]]  # it grows word by word
        shown, end = cue.lines or shown, max(end, cue.end)
        kept.append(_Cue(cue.start, cue.end, lines))
    return kept


def _paragraphs(cues: list[_Cue]) -> list[str]:
    paragraphs: list[str] = []
    said, end = "", 0.0
    for cue in cues:
        pause = cue.start - end
        if said and (pause >= LONG_PAUSE_SECONDS or (pause >= PAUSE_SECONDS and SENTENCE_ENDS.search(said[-8:]))):
            paragraphs.append(said)
            said = ""
        for line in cue.lines:
            spoken = TURN.sub("", line)
            if said and spoken != line:
                said += "\n" + spoken
            elif said:
                together = UNSPACED.match(said[-1]) and UNSPACED.match(spoken[:1])
                said += spoken if together else " " + spoken
            else:
                said = spoken
        end = max(end, cue.end)
    return [*paragraphs, said] if said else paragraphs

"""Markup and hyphens that come between words, written over: every character that stays keeps its place."""

import re

_INLINE = "a|abbr|b|big|cite|code|del|em|font|i|img|ins|kbd|label|mark|q|s|small|span|strike|strong|sub|sup|tt|u|var"
_BLOCKS = (
    "blockquote|br|center|dd|div|dl|dt|h[1-6]|hr|input|li|ol|option|p|pre|section|table|tbody|td|th|thead|tr|ul|wbr"
)
TAG = re.compile(rf"</?(?:{_INLINE}|{_BLOCKS})(?:[\s/][^<>]{{0,200}})?>", re.IGNORECASE)
"""Tags of HTML that stand in texts which were not extracted well."""
ENTITY = re.compile(r"&(?:nbsp|amp|lt|gt|quot|ndash|mdash|ldquo|rdquo|laquo|raquo|hellip|middot|bull|times|#\d{2,5});")
"""References to characters that stand between words."""
APOSTROPHE = re.compile(r"&(?:apos|lsquo|rsquo|shy|#0?39|#821[67]|#x27);", re.IGNORECASE)
"""References to characters that are left out of words."""
HYPHEN = re.compile(r"(?<=[a-z])-\r?\n[ \t]{0,40}(?=[a-z])")
"""A word that was divided at the end of a line."""


def _spaces(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _nothing(match: re.Match[str]) -> str:
    return "'" * len(match[0])  # apostrophes belong to the word around them, and are no part of it


def unmarked(text: str) -> str:
    """A text of the same length without HTML's tags and references, and with divided words whole again."""
    if "<" in text:
        text = TAG.sub(_spaces, text)
    if "&" in text:
        text = ENTITY.sub(_spaces, APOSTROPHE.sub(_nothing, text))
    if "-\n" in text or "-\r" in text:
        text = HYPHEN.sub(_nothing, text)
    return text

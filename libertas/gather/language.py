"""Which language a text is in, by resiliparse's profile of character n-grams."""

from resiliparse.parse.lang import detect_fast

CHARACTERS = 10_000
"""Only the beginning of a text is looked at. With 2,000 characters, 8 of 200 pages of Python's documentation were taken
for Danish, Latin or Swedish, because they begin with lists of names; more than 10,000 changes one in a hundred."""
WORST_SCORE = 1200
"""Scores are distances; resiliparse's documentation calls a text unknown beyond this one."""
UNKNOWN = "unknown"


def identify(text: str) -> tuple[str, int]:
    """ISO 639-1 code and distance (lower is surer) of a text; the code is `unknown` where nothing is close."""
    code, score = detect_fast(text[:CHARACTERS], cutoff=WORST_SCORE)
    return (code or UNKNOWN, int(score)) if score <= WORST_SCORE else (UNKNOWN, int(score))

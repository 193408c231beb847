"""The nearest right spelling, for errors about names."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error about a name that is not known: its nearest right spelling, and all there are."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return (f"did you mean {close[0]!r}? E" if close else "e") + f"xpected one of {', '.join(names)}"

"""Where a text that a model writes has to stop: at strings, however its tokens cut them or their characters."""

from collections.abc import Callable, Sequence


def cut_at_stop(written: bytes, strings: Sequence[str]) -> tuple[str, str | None]:
    """The text before the first of some strings, and that string; all of the text and None where none occurs.

    Where two begin at one place, it is the one that was given first. Each byte that is no UTF-8 becomes U+FFFD.
    """
    found = [(place, number) for number, string in enumerate(strings) if (place := written.find(string.encode())) >= 0]
    end, number = min(found, default=(len(written), None))
    decoded = written[:end].decode("utf-8", errors="surrogateescape")
    text = "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in decoded)
    return text, None if number is None else strings[number]


def stops_at(strings: Sequence[str], bytes_of: Callable[[int], bytes]) -> Callable[[list[int]], bool]:
    """For `sample`: whether one of some strings ends in the last of the tokens that were added.

    Args:
        strings: none of them empty.
        bytes_of: what a token writes; it need not be whole characters.
    """
    stops = [string.encode() for string in strings]
    longest = max(map(len, stops), default=0)

    def stop(tokens: list[int]) -> bool:
        parts, wanted = [bytes_of(tokens[-1])], longest - 1
        place = len(tokens) - 2
        while wanted > 0 and place >= 0:
            parts.append(bytes_of(tokens[place]))
            wanted, place = wanted - len(parts[-1]), place - 1
        tail = b"".join(reversed(parts))
        return any(string in tail for string in stops)

    return stop

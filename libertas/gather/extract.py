"""The text of a page or file: bytes, media type and charset in; text and title out, or the reason why not.

HTML goes to `page.py`, other formats to the readers in `formats/`; everything else that is text is decoded as it is.
"""

import re

from libertas.document import Drop
from libertas.gather.extracted import PLAIN_TEXT, Extracted, ReadMode
from libertas.gather.formats import reader_of
from libertas.gather.normalize import LINE_ENDS, decode
from libertas.gather.page import page_of

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
NO_TEXT = re.compile(r"text/(css|javascript|ecmascript|calendar|vcard)|text/x-(c|java)script")
"""Types that begin with `text/` and hold nothing to read."""


def extract(
    body: bytes, content_type: str, charset: str | None, mode: ReadMode = PLAIN_TEXT, url: str = ""
) -> Extracted | Drop:
    """Text of a payload.

    Args:
        body: the payload, without any coding.
        content_type: media type in lower case; empty where the server named none, which is then read off the bytes.
        charset: what the server said, or None.
        mode: how pages are read.
        url: where it was found, if known.
    """
    kind = content_type or ("text/html" if b"<html" in body[:2048].lower() else "")
    if not body.strip():
        return Drop("extract", "empty payload", len(body))
    reader = reader_of(kind)
    found: Extracted | Drop
    if reader is not None:
        found = reader(body, mode)
    elif kind in HTML_TYPES:
        found = page_of(body, charset, mode, url)
    elif kind.startswith("text/") and not NO_TEXT.match(kind):
        found = Extracted(LINE_ENDS.sub("\n", decode(body, charset, html=False)).lstrip("\ufeff"))
    else:
        return Drop("extract", "not text", kind or "no content type")
    return (
        Drop("extract", "no text in it", len(body))
        if isinstance(found, Extracted) and not found.text.strip()
        else found
    )

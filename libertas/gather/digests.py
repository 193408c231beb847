"""Whether a record holds what its own digest headers say: WARC-Payload-Digest, WARC-Block-Digest (WARC/1.1, 5.8, 5.9).

Writers do not agree on what a payload is: the body as it was sent (warcio, Common Crawl), without its chunks, without
all of its codings, or the whole block (ClueWeb09). Any of these proves that the bytes are the ones that were written.
"""

import base64
import hashlib
from collections.abc import Iterable

ALGORITHMS = {"sha1": "sha1", "sha-1": "sha1", "md5": "md5", "sha256": "sha256", "sha-256": "sha256"}


def sha1(data: bytes | memoryview) -> str:
    """SHA-1 in the spelling that archives use: base32 after `sha1:`."""
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def verdict_of(labelled: str | None, candidates: Iterable[bytes | memoryview]) -> str | None:
    """`sha1 ok` where one of the candidates has the digest, `sha1 mismatch` where none has it; None without a digest.

    Args:
        labelled: such as `sha1:` and base32, base64 or hexadecimal digits; md5 and sha256 are known as well.
        candidates: what the digest may be of; looked at only until one fits.
    """
    label, _, value = (labelled or "").partition(":")
    algorithm = ALGORITHMS.get(label.strip().lower())
    value = value.strip().rstrip("=")
    if algorithm is None or not value:
        return None
    for candidate in candidates:
        found = hashlib.new(algorithm, candidate, usedforsecurity=False)
        digest = found.digest()
        folded = (found.hexdigest(), base64.b32encode(digest).decode().rstrip("=").lower())
        exact = (base64.b64encode(digest), base64.urlsafe_b64encode(digest))
        if value.lower() in folded or value.encode() in (e.rstrip(b"=") for e in exact):
            return f"{algorithm} ok"
    return f"{algorithm} mismatch"

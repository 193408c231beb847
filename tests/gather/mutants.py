"""Archives of every kind, and what goes wrong with them: bits, ends, orders, lengths, each from one seed."""

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import zstandard
from archives import DATE, PAGE, lz4, resource, response

from libertas.gather import warc

SENTENCE = "Ten green bottles are hanging on the wall, and one of them will accidentally fall. "
LENGTH = re.compile(rb"Content-Length: \d+|\d+(?=\n)")


def _chunked(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


def originals() -> list[bytes]:
    """One WARC record of each kind, as it lies in a plain archive."""
    page = b"<html><title>t</title><body><h1>A</h1><p>" + SENTENCE.encode() * 9 + b"</p></body></html>"
    packed = gzip.compress(page, mtime=0)
    members = [
        warc.warcinfo(DATE, "x"),
        response(page, "http://a.example/1"),
        response(packed, "http://a.example/2", "Content-Type: text/html\r\nContent-Encoding: gzip"),
        response(_chunked(page), "http://a.example/3", "Content-Type: text/html\r\nTransfer-Encoding: chunked"),
        response("Größe".encode("latin-1") * 30, "http://a.example/4", "Content-Type: text/html; charset=latin1"),
        resource(SENTENCE.encode() * 20, "urn:file:a.txt"),
        resource(b"x = 1\n" * 40, "urn:file:a.py", "text/x-python"),
        warc.written("metadata", "http://a.example/", DATE, "urn:uuid:m", "text/plain", b"via: x"),
        response(b"", "http://a.example/5"),
        response(PAGE * 200, "http://a.example/6"),
    ]
    return [gzip.decompress(member) for member in members]


def arc_entries() -> list[bytes]:
    """The same for ARC."""
    version = b"1 0 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n"
    pages = [f"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<p>{SENTENCE * n}</p>".encode() for n in range(1, 9)]
    uris = [f"http://a.example/{n}" for n in range(1, 9)]
    pairs = [("filedesc://a.arc", version), *zip(uris, pages, strict=True)]
    return [f"{uri} 1.2.3.4 20080430204825 text/html {len(b)}\n".encode() + b + b"\n" for uri, b in pairs]


PLAIN: list[list[bytes]] = [originals(), arc_entries()]
PACKS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "lz4": lz4,
}


@dataclass(frozen=True)
class Mutant:
    """An archive, and which of its members nobody touched."""

    data: bytes
    how: str
    untouched: tuple[bytes, ...] = ()
    """Plain records that a reader must still find, because all damage lies in compressed members beside them."""


def mutant(seed: int) -> Mutant:
    """The archive of a seed."""
    rng = Random(seed)
    plain = list(rng.choice(PLAIN))
    name = rng.choice(list(PACKS))
    how = rng.choice(WAYS)
    if how in (_lengths, _headers):
        victim = rng.randrange(len(plain))
        plain[victim] = how(plain[victim], rng)
        members = [PACKS[name](record) for record in plain]
        return Mutant(b"".join(members), f"{name} {how.__name__}", _beside(plain, victim, name))
    members = [PACKS[name](record) for record in plain]
    if how is _one_member:
        members = [PACKS[name](b"".join(plain))]
    elif how in (_flipped, _zeroed, _stuffed) and rng.random() < 0.5:
        victim = rng.randrange(1, len(members))
        members[victim] = how(members[victim], rng)
        return Mutant(b"".join(members), f"{name} {how.__name__} inside", _beside(plain, victim, name))
    elif how is _shuffled:
        rng.shuffle(members)
        return Mutant(b"".join(members), f"{name} shuffled", tuple(plain))
    elif how is _mixed:
        members = [rng.choice(list(PACKS.values()))(record) for record in plain]
    return Mutant(how(b"".join(members), rng), f"{name} {how.__name__}")


def _beside(plain: list[bytes], victim: int, name: str) -> tuple[bytes, ...]:
    """All records but one; in a plain archive, the length of one may take the next with it."""
    return tuple(record for i, record in enumerate(plain) if i != victim) if name != "plain" else ()


def _flipped(data: bytes, rng: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 20))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _zeroed(data: bytes, rng: Random) -> bytes:
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice((1, 4, 60, 512)))
    return data[:start] + bytes(end - start) + data[end:]


def _stuffed(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.choice((1, 4, 60, 512))) + data[at + rng.choice((0, 0, 4, 60)) :]


def _cut(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(1, len(data))]


def _beheaded(data: bytes, rng: Random) -> bytes:
    return data[rng.randrange(1, len(data)) :]


def _holed(data: bytes, rng: Random) -> bytes:
    start, end = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:start] + data[end:]


def _shuffled(data: bytes, _: Random) -> bytes:
    return data


def _mixed(data: bytes, _: Random) -> bytes:
    return data


def _one_member(data: bytes, rng: Random) -> bytes:
    return _flipped(data, rng) if rng.random() < 0.5 else _cut(data, rng)


def _lengths(record: bytes, rng: Random) -> bytes:
    found = LENGTH.search(record)
    assert found is not None, "every record says how long it is"
    digits = rng.choice((b"0", b"1", b"100", b"100000", b"-5", b"9" * 18, b"9" * 30, b"", b"12 34", b"0x10"))
    begin = found.end() - len(found[0].rpartition(b" ")[2])
    return record[:begin] + digits + record[found.end() :]


def _headers(record: bytes, rng: Random) -> bytes:
    head, blank, block = record.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    match rng.randrange(6):
        case 0:
            del lines[rng.randrange(len(lines))]
        case 1:
            rng.shuffle(lines)
        case 2:
            lines.insert(rng.randrange(1, len(lines) + 1), b"X: " + b"y" * rng.choice((10, 70_000)))
        case 3:
            return head + block
        case 4:
            return b"\n".join(lines) + b"\n\n" + block
        case _:
            lines.append(b"Content-Length: 7\r\n folded: \xff\xfe")
    return b"\r\n".join(lines) + blank + block


WAYS: list[Callable[[bytes, Random], bytes]] = [
    _flipped, _zeroed, _stuffed, _cut, _beheaded, _holed, _shuffled, _mixed, _one_member, _lengths, _headers,
]  # fmt: skip

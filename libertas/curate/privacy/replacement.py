"""What stands where personal data stood: a placeholder, or a pseudonym that is the same for the same value.

Pseudonyms are BLAKE3 with a secret key of the value as it is compared (lower case, without separators): whoever has no
key cannot test a guess. They lie in ranges that belong to nobody: example.com (RFC 2606), 192.0.2.0/24,
198.51.100.0/24 and 203.0.113.0/24 (RFC 5737), 2001:db8::/32 (RFC 3849), telephone numbers 555-01XX (ATIS-0300115).
Other kinds have no such range and become placeholders that carry eight digits of the hash.
"""

from blake3 import blake3

from libertas.curate.privacy.spans import PrivateSpan

DOCUMENTATION_NETS = ("192.0.2", "198.51.100", "203.0.113")
AREA_CODES = (202, 213, 305, 312, 404, 415, 512, 617, 702, 808)


def placeholder(kind: str) -> str:
    """Such as `<EMAIL>`."""
    return f"<{kind.upper()}>"


def pseudonym(span: PrivateSpan, value: str, key: bytes) -> str:
    """Something of the same shape, drawn by a keyed hash of the value.

    Args:
        span: what was found.
        value: its characters.
        key: 32 bytes.
    """
    plain = value.lower() if span.kind == "email" else "".join(c for c in value if c.isalnum() or c in ".:")
    drawn = blake3(f"{span.kind}\n{plain}".encode("utf-8", "surrogatepass"), key=key).digest()
    number = int.from_bytes(drawn[:8], "little")
    if span.kind == "email":
        return f"user-{drawn.hex()[:12]}@example.com"
    if span.detail == "IPv4":
        return f"{DOCUMENTATION_NETS[number % 3]}.{number // 3 % 254 + 1}"
    if span.detail == "IPv6":
        return f"2001:db8:{drawn[:2].hex()}:{drawn[2:4].hex()}::{drawn[4:6].hex()}"
    if span.kind == "phone":
        return f"+1 {AREA_CODES[number % 10]}-555-01{number // 10 % 100:02}"
    return f"<{span.kind.upper()}-{drawn.hex()[:8]}>"

"""Draws that depend on nothing but their key, so that a figure of any time can be asked for again."""

from hashlib import blake2b

_BITS = 53  # of a float's fraction


def draw(*key: object) -> float:
    """Return a number from 0 to below 1, the same for the same key."""
    digest = blake2b(":".join(map(str, key)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> (64 - _BITS)) / (1 << _BITS)

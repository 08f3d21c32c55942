"""Derives seeds from a base seed and the names of what they are for."""

import hashlib


def seed_of(*parts: object) -> int:
    """A 63-bit seed, a pure function of its parts (numbers and strings)."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

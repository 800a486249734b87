"""Seeds that derive from names, so that adding a method never moves another method's random numbers."""

import hashlib
import json


def seed(root: int, *names: str | int) -> int:
    """A 63-bit seed for the draw that ``names`` describe.

    Args:
        root: the study's seed.
        names: what the draw depends on, and nothing else; order matters.
    """
    text = json.dumps([root, *names], ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

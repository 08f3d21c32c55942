"""Ratings of pieces made live, one line of JSON each, appended as they come."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REMEMBERED = 1000  # pieces that can still be rated


class Ratings:
    """A file of ratings. A rating is on disk before it is answered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Mapping[str, Any]] = {}

    def know(self, piece: str, row: Mapping[str, Any]) -> None:
        """Remember what made a piece: system, weights, task, seed, index."""
        self._known[piece] = row
        while len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))

    def add(self, piece: str, rating: float, comment: str = "") -> None:
        """Append a rating.

        Raises:
            ValueError: no such piece was made since the start.
        """
        if piece not in self._known:
            last = ", ".join(list(self._known)[-3:]) or "none yet"
            raise ValueError(f"no piece {piece!r} was made since the start; the last: {last}")
        row = {"piece": piece, **self._known[piece], "rating": rating, "comment": comment}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())

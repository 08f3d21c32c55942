"""Ratings of pieces made live: known pieces, and the listeners' store that ratings go to."""

import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ostinato.listening.store import rated
from ostinato.listening.store.database import open_engine
from ostinato.music.piece import Piece
from ostinato.music.write import write_midi

REMEMBERED = 1000  # pieces that can still be rated


class Ratings:
    """Ratings in the store at a URL, which is opened for the first one.

    A rating is on disk before it is answered.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._known: dict[str, tuple[Piece, Mapping[str, Any]]] = {}

    @cached_property
    def engine(self) -> Any:
        """The store; raises ValueError where it cannot be opened."""
        return open_engine(self._url)

    def know(self, name: str, piece: Piece, made: Mapping[str, Any]) -> None:
        """Remember a piece and what made it: system, weights, task, seed, index, prompt."""
        self._known[name] = (piece, made)
        while len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))

    def add(self, listener: str, name: str, rating: int, comment: str = "") -> None:
        """Store a rating.

        Raises:
            ValueError: no such piece was made since the start, or the store cannot be opened.
        """
        if name not in self._known:
            last = ", ".join(list(self._known)[-3:]) or "none yet"
            raise ValueError(f"no piece {name!r} was made since the start; the last: {last}")
        piece, made = self._known[name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "piece.mid"
            write_midi(path, piece)
            rated.add(self.engine, listener, name, made, path.read_bytes(), rating, comment)

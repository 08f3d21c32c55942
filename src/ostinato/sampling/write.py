"""Writes a system's samples: MIDI files, their exact tokens and log-probabilities, one row each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ostinato.files import atomic_folder, write_json, write_npz
from ostinato.music.piece import Piece
from ostinato.music.write import write_midi

FORMAT = 1


class Written(Protocol):
    """What is written of a sample."""

    @property
    def piece(self) -> Piece | None:
        """The music, None where it failed."""

    @property
    def tokens(self) -> Any:
        """Shape (T, W)."""

    @property
    def nats(self) -> Any:
        """Of every token, shape (T, W)."""

    @property
    def row(self) -> dict[str, Any]:
        """Its line in samples.json."""


def write_samples(out: Path, system: str, samples: Sequence[Written]) -> list[dict[str, Any]]:
    """Write the folder atomically and return the rows, each with its file's name (None where it
    failed).
    """
    rows = []
    with atomic_folder(out) as folder:
        for number, sample in enumerate(samples):
            name = f"{number:03}.mid" if sample.piece else None
            if sample.piece and name:
                write_midi(folder / name, sample.piece)
            rows.append(sample.row | {"file": name})
        lengths = np.array([len(sample.tokens) for sample in samples])
        arrays = {
            "id": np.array([sample.row["id"] for sample in samples]),
            "length": lengths,
            "tokens": np.concatenate([sample.tokens for sample in samples]),
            "log_probability": -np.concatenate([sample.nats for sample in samples]),
        }
        write_npz(folder / "tokens.npz", arrays)
        write_json(folder / "samples.json", {"format": FORMAT, "system": system, "samples": rows})
    return rows

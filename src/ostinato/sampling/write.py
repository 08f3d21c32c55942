"""Writes a system's samples: MIDI or sound files, their exact arrays and log-probabilities, and a
row for each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.audio.render import write_audio
from ostinato.files import atomic_folder, write_json, write_npz
from ostinato.music.piece import Piece
from ostinato.music.recording import Recording
from ostinato.music.write import write_midi
from ostinato.sampling.sampler import Made

FORMAT = 1


@dataclass(frozen=True)
class Sample:
    """A generated piece or sound (None where it failed), the array that it was made from, and its
    row in samples.json.
    """

    piece: Piece | Recording | None
    made: Made
    row: dict[str, Any]


def write_samples(out: Path, system: str, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Write the folder atomically and return the rows, each with its file's name, such as
    `continue-3.mid` (None where it failed).
    """
    rows = []
    with atomic_folder(out) as folder:
        for sample in samples:
            name = None
            if sample.piece is not None:
                name = f"{sample.row['task']}-{sample.row['index']}.{suffix_of(sample.piece)}"
                assert not (folder / name).exists(), "two samples of one name"
                write_piece(folder / name, sample.piece)
            rows.append(sample.row | {"file": name})
        made = [sample.made for sample in samples]
        arrays = {
            "id": np.array([sample.row["id"] for sample in samples]),
            "length": np.array([len(one.tokens) for one in made]),
            "tokens": np.concatenate([one.tokens for one in made]),
        }
        nats = [one.nats for one in made if one.nats is not None]
        if nats:  # all samples of a system are of one paradigm
            arrays["log_probability"] = -np.concatenate(nats)
        write_npz(folder / "tokens.npz", arrays)
        write_json(folder / "samples.json", {"format": FORMAT, "system": system, "samples": rows})
    return rows


def suffix_of(piece: Piece | Recording) -> str:
    """Of the file that `write_piece` writes."""
    return "wav" if isinstance(piece, Recording) else "mid"


def write_piece(path: Path, piece: Piece | Recording) -> None:
    """Write a piece as MIDI, or a recording as sound."""
    if isinstance(piece, Recording):
        write_audio(path, piece.sound, piece.sample_rate)
    else:
        write_midi(path, piece)

"""Writes a system's samples: MIDI files, their exact arrays and log-probabilities, one row each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.files import atomic_folder, write_json, write_npz
from ostinato.music.piece import Piece
from ostinato.music.write import write_midi
from ostinato.sampling.sampler import Made

FORMAT = 1


@dataclass(frozen=True)
class Sample:
    """A generated piece (None where it failed), the array that it was made from, and its row in
    samples.json.
    """

    piece: Piece | None
    made: Made
    row: dict[str, Any]


def write_samples(out: Path, system: str, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Write the folder atomically and return the rows, each with its file's name, such as
    `continue-3.mid` (None where it failed).
    """
    rows = []
    with atomic_folder(out) as folder:
        for sample in samples:
            name = f"{sample.row['task']}-{sample.row['index']}.mid" if sample.piece else None
            if sample.piece and name:
                assert not (folder / name).exists(), "two samples of one name"
                write_midi(folder / name, sample.piece)
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

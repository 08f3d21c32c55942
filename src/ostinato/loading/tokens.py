"""Opens the outputs of the encode stage: memory-mapped tokens, their index, and the codec."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.files import DamagedFile, read_json, require, sha256_json, verify

FORMAT = 2
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Split:
    """Concatenated pieces: `tokens` is (N, W), the other arrays have one value for each piece.

    offset and length count positions, quarters is the music's length, shift_low and shift_high say
    how far a piece can be transposed within the vocabulary. conditions, (P, K), holds the codes of
    the codec's K conditions, -1 where unknown; tempo, bars and density are those as numbers, NaN
    where unknown.
    """

    tokens: Array
    piece: Array
    offset: Array
    length: Array
    notes: Array
    quarters: Array
    shift_low: Array
    shift_high: Array
    conditions: Array
    tempo: Array
    bars: Array
    density: Array

    def __len__(self) -> int:
        return len(self.piece)

    def tokens_of(self, number: int) -> Array:
        """The tokens of one piece, shape (T, W)."""
        start = self.offset[number]
        return np.asarray(self.tokens[start : start + self.length[number]])


@dataclass(frozen=True)
class TokenSet:
    """An encoding: its splits, its codec, and digests by which a model knows what it was trained
    on.
    """

    name: str
    dataset: str
    origin: dict[str, str]
    codec: dict[str, Any]
    splits: dict[str, Split]
    digest: str
    codec_digest: str

    @property
    def shifts(self) -> dict[int, Array]:
        """Transposition tables by semitones; -1 where a sub-token leaves the vocabulary."""
        return {int(k): np.array(table) for k, table in self.codec["shifts"].items()}


def open_tokens(folder: Path) -> TokenSet:
    """Open an encoding after verifying all checksums.

    Raises:
        MissingInput, DamagedFile: names the file and the command that makes it.
    """
    made_by = f"dvc repro encode@{folder.name}"
    summary = read_json(folder / "summary.json", expect_format=FORMAT, made_by=made_by)
    verify(folder, summary["checksums"], made_by)
    codec = read_json(folder / "codec.json", expect_format=FORMAT, made_by=made_by)
    return TokenSet(
        name=folder.name,
        dataset=summary["dataset"],
        origin=summary["origin"],
        codec=codec,
        splits={split: _open_split(folder / split, made_by) for split in summary["pieces"]},
        digest=sha256_json(summary["checksums"]),
        codec_digest=sha256_json(codec),
    )


def _open_split(folder: Path, made_by: str) -> Split:
    try:
        tokens = np.load(require(folder / "tokens.npy", made_by), mmap_mode="r")
        index = dict(np.load(require(folder / "index.npz", made_by)))
        offset = np.cumsum(index["length"]) - index["length"]
        return Split(tokens=tokens, offset=offset, **index)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"{folder} cannot be read ({error}); make it with: {made_by}") from error

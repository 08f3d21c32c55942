"""The clips that people heard in a listening test: samples, found by their names in an export."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ostinato.feedback.clips import Clips
from ostinato.feedback.reward import padded
from ostinato.feedback.settings import StudySettings
from ostinato.files import sha256_file, sha256_json
from ostinato.models.spec import PAD
from ostinato.readers.midi_file import read_midi_file
from ostinato.representations.bars import first_bars
from ostinato.representations.protocol import Unencodable
from ostinato.samples import sample_rows
from ostinato.sampling.load import Trained

ALL_BARS = 1 << 20


def heard_clips(
    rows: Sequence[Mapping[str, object]], trained: Trained, settings: StudySettings
) -> tuple[Clips, list[str]]:
    """All samples that answers name, in the base's own encoding, and their names in the answers.

    Raises:
        ValueError: an answer about no sample, a sample that the base's encoding cannot hold, or
            answers and samples that are not those of `digest`.
    """
    names = sorted(
        {part.partition("=")[2] for row in rows for part in str(row["sounds"]).split("|")}
    )
    paths = [_path_of(name, Path(settings.samples), settings.answers) for name in names]
    _check_digest(paths, settings)
    tokens, starts, prompts, pieces = [], [], [], []
    for name, path in zip(names, paths, strict=True):
        piece = read_midi_file(path)
        try:
            quantized = trained.representation.quantize(piece).piece
            tokens.append(first_bars(trained.representation, quantized, ALL_BARS))
        except Unencodable as error:
            raise ValueError(f"{name} cannot be encoded as the base's music is: {error}") from error
        prompt = _prompt_of(path)
        starts.append(_prompt_length(trained, quantized, prompt[1]))
        prompts.append(prompt[0])
        pieces.append(quantized)
    return Clips(tokens, starts, prompts, pieces, _nats(trained, tokens, starts)), names


def _path_of(name: str, samples: Path, answers: str) -> Path:
    system, _, rest = name.partition("/")
    stem = rest.partition("/")[0]
    path = samples / system / f"{stem}.mid"
    if not path.is_file():
        raise ValueError(
            f"{answers} has ratings of {name!r}, and there is no {path}: only samples of systems "
            "can be learned from; leave real music and other folders out of the export, or make "
            f"the samples with: dvc repro sample@{system}"
        )
    return path


def _check_digest(paths: Sequence[Path], settings: StudySettings) -> None:
    """Answers are about the samples that were heard, not about those that are there now."""
    files = [Path(settings.answers), *paths]
    found = sha256_json([sha256_file(path) for path in files])
    if found != settings.digest:
        raise ValueError(
            f"answers and samples have the digest {found}, feedback.digest is "
            f"{settings.digest or 'empty'}: write it into the study's file of conf/feedback if "
            "these are the samples that were heard"
        )


def _prompt_of(path: Path) -> tuple[str, float]:
    """The prompt that a sample continues, with its bars; one that has none is named alike."""
    row = next(row for row in sample_rows(path.parent) if row["file"] == path.name)
    return str(row["prompt"] or "unconditional"), float(row.get("prompt_bars") or 0)


def _prompt_length(trained: Trained, piece: object, bars: float) -> int:
    return len(first_bars(trained.representation, piece, bars)) if bars else 0  # type: ignore[arg-type]


def _nats(trained: Trained, tokens: Sequence[np.ndarray], starts: Sequence[int]) -> np.ndarray:
    """Nats of the new positions under the base."""
    import torch

    batch = padded(tokens)
    with torch.no_grad():
        nats = trained.model.score(batch)  # type: ignore[operator]
    position = torch.arange(batch.shape[1])
    new = (position >= torch.tensor(list(starts))[:, None])[..., None] & (batch != PAD)
    found: np.ndarray = (nats * new).sum(dim=(1, 2)).double().numpy()
    return found

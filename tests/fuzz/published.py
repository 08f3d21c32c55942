"""The MIDI files of folders and zip archives, for the scripts beside it."""

import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".smf")


def mirrored() -> list[Path]:
    """The zip archives of OSTINATO_MIRROR, if that is set: what scripts read that are not told."""
    mirror = os.environ.get("OSTINATO_MIRROR")
    return sorted(Path(mirror).rglob("*.zip")) if mirror else []


def midi_files(places: Sequence[Path], most: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every MIDI file, sorted within each place; at most so many of each place,
    evenly spread.
    """
    for place in places:
        if place.suffix == ".zip":
            with zipfile.ZipFile(place) as archive:
                names = sorted(n for n in archive.namelist() if n.lower().endswith(SUFFIXES))
                for name in _spread(names, most):
                    yield f"{place.name}/{name}", archive.read(name)
        else:
            paths = sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES)
            for path in _spread(paths, most):
                yield path.relative_to(place.parent).as_posix(), path.read_bytes()


def _spread(names: list, most: int | None) -> list:
    if most is None or len(names) <= most:
        return names
    return [names[number * len(names) // most] for number in range(most)]

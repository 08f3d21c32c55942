"""Writes the stimuli of a study: files of one size, whose names say nothing.

A piece that cannot be used is set aside with its reason; a study without enough pieces is refused.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.files import atomic_folder, read_json, sha256_file, sha256_json, write_json
from ostinato.listening import sounds
from ostinato.listening.sources import Aside, Candidate, Recording, all_candidates
from ostinato.listening.study import ANCHOR, Sound, Study
from ostinato.seeds import seed_of

FORMAT = 1
NAMED = 3  # reasons in a message
MANIFEST = "manifest.json"
VERSIONS = 2  # of every stimulus, with other dither: X has other bytes than the A or B it equals
SCRAMBLED = "scrambled"
MP3_PAD_BYTES = 512


@dataclass(frozen=True)
class Stimuli:
    """Stimuli on disk: `files` by key, the items of the study, what was set aside.

    A key is system/item/version. digest: of the bytes of all of them.
    """

    folder: Path
    items: tuple[str, ...]
    files: Mapping[str, str]
    lufs: float
    aside: Mapping[str, str]
    origin: Mapping[str, str]
    digest: str

    def content(self, key: str) -> bytes:
        """The bytes of one stimulus; KeyError if the study has none of this key."""
        return (self.folder / self.files[key]).read_bytes()


def key_of(system: str, item: str, version: int = 0) -> str:
    """The key of a stimulus."""
    return f"{system}/{item}/{version}"


def make(study: Study, root: Path, folder: Path) -> Stimuli:
    """Write the stimuli of a study below `folder`, or take them from there if nothing changed.

    Raises:
        MissingInput, DamagedFile: music is missing; names the command that makes it.
        ValueError: too little music, or systems that do not match; says what to change.
    """
    found, aside = all_candidates(study.systems, root)
    music = [_identity(candidate) for listed in found.values() for candidate in listed]
    inputs = sha256_json([_settings(study), music])
    path = folder / MANIFEST
    if path.exists():
        listed = read_json(path, expect_format=FORMAT, made_by="a new `id` in the study's file")
        if listed["inputs"] == inputs and _are_whole(folder, listed["files"].values()):
            return _stimuli(folder, listed)
    chosen, aside = choose(study, found, aside)
    rendered = dict(_all_sounds(study, chosen))
    rooms = [sounds.headroom_lufs(sound, study.sound.rate) for sound in rendered.values()]
    level = min([study.sound.lufs, *rooms])
    rng = np.random.default_rng(seed_of(study.seed, "names"))
    keys = [f"{key}/{version}" for key in rendered for version in range(VERSIONS)]
    names = [f"{n:04d}.{study.sound.format}" for n in rng.permutation(len(keys))]
    files = dict(zip(keys, names, strict=True))
    with atomic_folder(folder) as partial:
        for key, sound in rendered.items():
            level_sound = sounds.at_loudness(sound, study.sound.rate, level)
            for version in range(VERSIONS):
                name = f"{key}/{version}"
                samples = sounds.sixteen_bits(level_sound, seed_of(study.seed, name))
                (partial / files[name]).write_bytes(encoded(samples, study.sound))
        _pad(sorted(partial.iterdir()), study.sound.format)
        digests = {key: sha256_file(partial / name) for key, name in files.items()}
        listed = {
            "format": FORMAT,
            "inputs": inputs,
            "items": list(chosen),
            "files": files,
            "lufs": round(level, 2),
            "aside": aside,
            "origin": {f"{s}/{i}": c.name for i, row in chosen.items() for s, c in row.items()},
            "digest": sha256_json(digests),
        }
        write_json(partial / MANIFEST, listed)
    return _stimuli(folder, listed)


def _are_whole(folder: Path, names: Iterable[str]) -> bool:
    """Whether all files are there; all have one size."""
    paths = [folder / name for name in names]
    return all(p.exists() for p in paths) and len({p.stat().st_size for p in paths}) == 1


def _stimuli(folder: Path, listed: Mapping[str, Any]) -> Stimuli:
    names = ("files", "lufs", "aside", "origin", "digest")
    return Stimuli(folder, tuple(listed["items"]), **{name: listed[name] for name in names})


def _settings(study: Study) -> Any:
    from dataclasses import asdict

    names = ("design", "match", "reference", "items", "seed")
    return [asdict(study.sound), [getattr(study, n) for n in names], sorted(study.systems)]


def _identity(candidate: Candidate) -> Any:
    music = candidate.music
    if isinstance(music, Recording):
        content: Any = [music.rate, sha256_json(float(np.abs(music.sound).sum())), len(music.sound)]
    else:
        content = [music.notes.tolist(), music.ticks_per_quarter]
    return [candidate.system, candidate.name, candidate.prompt, content]


def choose(
    study: Study, found: Mapping[str, list[Candidate]], unread: Aside
) -> tuple[dict[str, dict[str, Candidate]], Aside]:
    """The study's items: for each its candidate of every system; and what was set aside, with what
    could not be read.

    match=prompt: items are prompts that every system has. match=none: the systems' pieces in an
    order of the study's seed, side by side.
    """
    usable: dict[str, list[Candidate]] = {}
    aside = dict(unread)
    for system, listed in found.items():
        usable[system] = []
        for candidate in _shuffled(study, system, listed):
            enough = study.match == "none" and len(usable[system]) >= study.items
            if enough:
                break
            try:
                if isinstance(candidate.music, Recording):
                    sounds.sound_of(candidate.music, study.sound)
                else:
                    sounds.prepare(candidate.music, study.sound)
                usable[system].append(candidate)
            except sounds.Unusable as error:
                aside[f"{system}/{candidate.name}"] = str(error)
    rows = _by_prompt(study, usable) if study.match == "prompt" else _side_by_side(study, usable)
    if len(rows) < study.items:
        reasons = _counted(aside)
        short = {s: len(u) for s, u in usable.items()}
        fewer = f"set items: {len(rows)} or fewer, " if rows else "set "
        raise ValueError(
            f"items={study.items}, but there are {len(rows)}: usable pieces are "
            f"{', '.join(f'{s} {n}' for s, n in short.items())}{reasons}; "
            f"{fewer}less sound.seconds, or sample more"
        )
    return rows, aside


def _counted(aside: Mapping[str, str]) -> str:
    if not aside:
        return ""
    named = "; ".join(f"{name}: {reason}" for name, reason in list(aside.items())[:NAMED])
    return f" ({len(aside)} set aside, such as {named})"


def _shuffled(study: Study, system: str, listed: list[Candidate]) -> Iterator[Candidate]:
    if study.match == "prompt":
        yield from listed
        return
    order = np.random.default_rng(seed_of(study.seed, "pieces", system)).permutation(len(listed))
    yield from (listed[i] for i in order)


def _by_prompt(
    study: Study, usable: Mapping[str, list[Candidate]]
) -> dict[str, dict[str, Candidate]]:
    tables = {
        system: {c.prompt: c for c in reversed(listed) if c.prompt}
        for system, listed in usable.items()
    }
    shared = set.intersection(*(set(table) for table in tables.values()))
    if not shared:
        first = {s: sorted(t)[:2] for s, t in tables.items()}
        raise ValueError(
            f"match: prompt, but the systems share no prompt (they begin with {first}); "
            "sample them with the same prompts (task: continue), or set match: none"
        )
    order = np.random.default_rng(seed_of(study.seed, "prompts")).permutation(len(shared))
    prompts = [sorted(shared)[i] for i in order][: study.items]
    return {p: {s: tables[s][p] for s in tables} for p in prompts}


def _side_by_side(
    study: Study, usable: Mapping[str, list[Candidate]]
) -> dict[str, dict[str, Candidate]]:
    count = min(study.items, *(len(listed) for listed in usable.values()))
    return {f"item-{n}": {s: usable[s][n] for s in usable} for n in range(count)}


def _all_sounds(
    study: Study, chosen: Mapping[str, Mapping[str, Candidate]]
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """system/item and its sound; with anchors for MUSHRA, and one scrambled excerpt a catch."""
    rate = study.sound.rate
    for number, (item, row) in enumerate(chosen.items()):
        for system, candidate in row.items():
            try:
                sound = sounds.sound_of(candidate.music, study.sound)
            except sounds.Unusable as error:
                raise ValueError(f"{system}/{candidate.name}: {error}; use other pieces") from error
            yield f"{system}/{item}", sound
            if study.design == "mushra" and system == study.reference:
                yield f"{ANCHOR}/{item}", sounds.anchor(sound, rate)
            if system == catch_system(study) and number < max(1, study.catch.trials):
                seed = seed_of(study.seed, "scrambled", item)
                yield f"{SCRAMBLED}/{item}", sounds.scrambled(sound, rate, seed)


def catch_system(study: Study) -> str:
    """The system whose excerpts are scrambled for catch trials."""
    return study.reference or next(iter(study.systems))


def encoded(samples: npt.NDArray[np.int16], settings: Sound) -> bytes:
    """A file without any metadata."""
    import soundfile

    file = io.BytesIO()
    if settings.format == "wav":
        soundfile.write(file, samples, settings.rate, format="WAV", subtype="PCM_16")
    else:
        soundfile.write(
            file,
            samples,
            settings.rate,
            format="MP3",
            bitrate_mode="CONSTANT",
            compression_level=0.1,
        )
    return file.getvalue()


def _pad(paths: Iterable[Path], kind: str) -> None:
    """Make all files equally long: zeros after the last frame of an MP3 are not decoded."""
    sizes = {path: path.stat().st_size for path in paths}
    longest = max(sizes.values())
    if kind == "wav":
        assert set(sizes.values()) == {longest}, "WAV files of one length have one size"
        return
    for path, size in sizes.items():
        with path.open("ab") as file:
            file.write(bytes(longest + MP3_PAD_BYTES - size))

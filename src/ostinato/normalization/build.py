"""Builds a corpus from a folder of files, shard by shard.

Memory holds the pieces of one shard, and the marks of all pieces. Finished shards stay in the
workspace, so that a killed run resumes from them. Splits are decided when all pieces are known;
then the corpus replaces the old one atomically.
"""

import fnmatch
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from ostinato.corpus.store import FORMAT, PARTS
from ostinato.execution.code_deps import code_checksums
from ostinato.execution.guard import Failure, Guard
from ostinato.execution.parallel import Executor, map_guarded
from ostinato.files import MissingInput, atomic_folder, checksums, sha256_json, write_json
from ostinato.normalization.alignment import Lines
from ostinato.normalization.catalogue import facts_of, remedy_of_table
from ostinato.normalization.copies import Sketches, keep_for
from ostinato.normalization.normalize import Item, Kept, NormalizeOptions, Rejected, normalize_item
from ostinato.normalization.shards import REJECTED, write_shard, write_table
from ostinato.normalization.splits import (
    LISTED,
    Decision,
    Pieces,
    asked_for,
    copies_to_drop,
    decide,
    read_given,
)
from ostinato.normalization.summary import Tally
from ostinato.readers.read import SUFFIXES, is_container, keys_or_failure

ITEMS_PER_SHARD = 1000
CHUNK = 16  # items per task of a worker
UNREAD = frozenset(  # of MuseScore, Guitar Pro, Sibelius, Finale, Capella and others
    {".mscz", ".mscx", ".gp", ".gp3", ".gp4", ".gp5", ".gpx", ".gtp", ".ptb", ".sib", ".musx"}
    | {".capx", ".nwc", ".ove", ".mei", ".ly", ".xmf", ".mxmf", ".mod", ".xm", ".s3m"}
)
READERS = ("muspy", "music21", "symusic", "numpy", "pyarrow", "chardet")


def build_corpus(
    raw: Path,
    out: Path,
    options: NormalizeOptions,
    *,
    origin: dict[str, str],
    executor: Executor | None = None,
    workspace: Path = Path(".cache/normalize"),
) -> dict[str, Any]:
    """Read, clean, group and split every music file below `raw` into the corpus `out`.

    Args:
        origin: licence, citation and url, for the summary.
        workspace: folder of finished shards; removed when the corpus is complete.

    Returns:
        The summary.

    Raises:
        ValueError: no music file, or the facts or a given split contradict the options.
        MissingInput: no file has its table of beats.
    """
    if options.split.given:
        read_given(options.split)  # fail before reading the files
    items, unlisted = list_items(raw, options)
    if not items and not unlisted:
        raise ValueError(
            f"{raw} contains no music file; known suffixes are {', '.join(SUFFIXES)}"
            + (f" that match {', '.join(options.files)}" if options.files else "")
        )
    _require_beats(raw, items, options)
    home = workspace / out.name
    state = sha256_json(_state_of(items, options))[:16]
    shards = _done_shards(home / state, items, executor or Executor(), options)
    files = len({item.path for item in items}) + len(unlisted)
    summary = assemble_corpus(
        out,
        shards,
        options,
        files=files,
        unlisted=unlisted,
        origin=origin,
        keep=keep_for(len(items)),
    )
    shutil.rmtree(home, ignore_errors=True)
    return summary


def assemble_corpus(
    out: Path,
    shards: Sequence[Path],
    options: NormalizeOptions,
    *,
    files: int,
    origin: dict[str, str],
    unlisted: Sequence[Rejected] = (),
    keep: int = 1,
) -> dict[str, Any]:
    """Make a corpus from finished shards: find copies, decide splits, count; returns the summary.

    files: number of files. unlisted: containers that could not be opened. keep: as in `marks_of`.
    """
    decision, dropped = _decide(shards, options, keep)
    tally, rejected = Tally(dataset=out.name), list(unlisted)
    rows = iter(range(len(decision.splits)))
    with atomic_folder(out) as folder:
        for number, shard in enumerate(shards):
            pieces = _with_decision(pq.read_table(shard / "pieces.parquet"), decision, rows)
            rejected += _read_rejected(shard) + _rejected_now(pieces, dropped)
            remaining = _move(shard, folder, number, pieces, dropped)
            tally.add(remaining)
        rejected.sort(key=lambda row: (row.file, row.reason))
        write_table(folder / "rejected.parquet", [asdict(row) for row in rejected], REJECTED)
        summary = tally.summary(files, rejected, decision.leaks)
        if unmatched := decision.unmatched:
            summary["rows_without_piece"] = {"rows": len(unmatched), "first": unmatched[:LISTED]}
        asked = asked_for(options.split) if tally.splits else {}
        if empty := {split: how for split, how in asked.items() if not tally.splits[split]}:
            summary["empty_splits"] = {"given" if options.split.given else "shares": empty}
        summary |= {"format": FORMAT, "origin": origin, "checksums": checksums(folder)}
        write_json(folder / "summary.json", summary)
    return summary


def list_items(raw: Path, options: NormalizeOptions) -> tuple[list[Item], list[Rejected]]:
    """Every piece to read, sorted by name, and the files that cannot be opened.

    Listing a container reads all of it, so this runs in a guarded process too.
    """
    files = sorted(
        path for path in raw.rglob("*") if path.is_file() and _wanted(path, raw, options)
    )
    names = [path.relative_to(raw).as_posix() for path in files]
    unlisted = [] if options.files else _of_other_kinds(raw)
    reading = options.reading()
    keys = _keys_of([path for path in files if is_container(path, reading)], options)
    found: list[tuple[Path, str, str, str]] = []
    for path, name, piece_id in zip(files, names, ids_of(names), strict=True):
        listed = keys[path] if path in keys else keys_or_failure(reading, path)
        if isinstance(listed, Failure):
            unlisted.append(_rejected(path, name, listed))
            continue
        for key in listed:
            tail = (f"#{key}", f"/{key}") if key else ("", "")
            found.append((path, key, name + tail[0], piece_id + tail[1]))
    facts = facts_of(raw, [name for _, _, name, _ in found], options.facts)
    items = [Item(path, key, name, id_, facts[name]) for path, key, name, id_ in found]
    return items, unlisted


def _of_other_kinds(raw: Path) -> list[Rejected]:
    """Files of music that no reader reads; others, such as texts and tables, are not music."""
    detail = "files of kind {} are not read; export this one as MusicXML or MIDI"
    return [
        Rejected(path.relative_to(raw).as_posix(), "kind not read", detail.format(path.suffix))
        for path in sorted(raw.rglob("*"))
        if path.suffix.lower() in UNREAD and path.is_file()
    ]


def _keys_of(
    containers: Sequence[Path], options: NormalizeOptions
) -> dict[Path, list[str] | Failure]:
    """Keys of every container, or why it has none; found in a separate process, which frees the
    memory for the files when it ends.
    """
    with Guard() as guard:
        keys = guard.run(partial(keys_or_failure, options.reading()), containers, options.limits)
        return dict(zip(containers, keys, strict=True))


def _wanted(path: Path, raw: Path, options: NormalizeOptions) -> bool:
    name = path.relative_to(raw).as_posix()
    if options.files:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in options.files)
    return path.suffix.lower() in SUFFIXES


def ids_of(names: Sequence[str]) -> list[str]:
    """Unique ids: file names without suffix, or with it if only the suffix differs."""
    short = [PurePosixPath(name).with_suffix("").as_posix() for name in names]
    counts = Counter(short)
    return [name if counts[stem] > 1 else stem for name, stem in zip(names, short, strict=True)]


def _state_of(items: Sequence[Item], options: NormalizeOptions) -> dict[str, Any]:
    """Everything that the content of a shard depends on; shards of another state are not reused."""
    return {
        "code": code_checksums(Path(__file__), {}),
        "libraries": {name: version(name) for name in READERS},
        "options": asdict(options),
        "shard": ITEMS_PER_SHARD,
        "items": [
            [item.name, item.id, asdict(item.facts), _versions(item, options)] for item in items
        ],
    }


def _require_beats(raw: Path, items: Sequence[Item], options: NormalizeOptions) -> None:
    """Refuse a dataset none of whose files has its tables of beats; single ones are rejected."""
    if not items or options.beats is None:
        return
    first = options.beats.of(items[0].path)
    for number, table in enumerate(first):
        if not any(options.beats.of(item.path)[number].exists() for item in items):
            raise MissingInput(
                f"{table} is missing, and no other file of {raw.name} has such a table; correct "
                f"normalize.beats or {remedy_of_table(raw, table)}"
            )


def _versions(item: Item, options: NormalizeOptions) -> list[tuple[int, int]]:
    """Of the file, and of its tables of beats."""
    tables = options.beats.of(item.path) if options.beats else []
    return [_version(path) for path in (item.path, *tables) if path.exists()]


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _done_shards(
    workspace: Path, items: Sequence[Item], executor: Executor, options: NormalizeOptions
) -> list[Path]:
    """The folders of all shards; those that an earlier run did not finish are made now."""
    for other in workspace.parent.glob("*"):
        if other != workspace:
            shutil.rmtree(other, ignore_errors=True)
    workspace.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(items), ITEMS_PER_SHARD)
    shards = [workspace / f"{number:05}" for number in range(len(starts))]
    missing = [
        (shard, items[start : start + ITEMS_PER_SHARD])
        for shard, start in zip(shards, starts, strict=True)
        if not shard.exists()
    ]
    todo = [item for _, part in missing for item in part]
    results = map_guarded(
        partial(normalize_item, options, keep_for(len(items))),
        todo,
        executor=executor,
        limits=options.limits,
        chunk=CHUNK,
    )
    with (
        closing(results),
        tqdm(total=len(items), initial=len(items) - len(todo), unit="piece", disable=None) as bar,
    ):
        for shard, part in missing:
            kept: list[Kept] = []
            rejected: list[Rejected] = []
            for item, result in zip(part, islice(results, len(part)), strict=True):
                if isinstance(result, Kept):
                    kept.append(result)
                elif isinstance(result, Rejected):
                    rejected.append(result)
                else:
                    rejected.append(_rejected(item.path, item.name, result))
                bar.update()
            with atomic_folder(shard) as folder:
                write_shard(folder, kept, rejected)
    return shards


def _rejected(path: Path, name: str, failure: Failure) -> Rejected:
    reason = "unreadable" if failure.kind == "error" else failure.kind
    return Rejected(name, reason, failure.detail.replace(str(path), name))


def _decide(
    shards: Sequence[Path], options: NormalizeOptions, keep: int
) -> tuple[Decision, dict[str, Rejected]]:
    """The decision on all pieces, and the pieces that it drops."""
    pieces = _pieces(shards, keep)
    decision = decide(pieces, options.split)
    dropped = {}
    if options.drop_copies:
        for piece, original in copies_to_drop(decision, pieces).items():
            dropped[piece] = Rejected("", "copy", f"the same music as {original}")
    for piece, split in zip(pieces.ids, decision.splits, strict=True):
        if not split:
            dropped[piece] = Rejected(
                "", "no official split", _missing_row(piece, options.split.given)
            )
    return decision, dropped


def _missing_row(piece: str, table: str) -> str:
    """The remedy for a piece without a row in a given split; an official split has no table."""
    remedy = "add one, and write the file's new sha256 under normalize.split.sha256"
    return f"{table} has no row for piece {piece!r}; {remedy}" if table else ""


def _pieces(shards: Sequence[Path], keep: int) -> Pieces:
    columns = ["id", "texture", "work", "official"]
    tables = [pq.read_table(shard / "pieces.parquet", columns=columns) for shard in shards]
    table = pa.concat_tables(tables) if tables else None
    marks = [dict(np.load(shard / "marks.npz")) for shard in shards]

    def column(name: str) -> list[str]:
        return table.column(name).to_pylist() if table is not None else []

    def parts(kind: str) -> Any:
        return np.concatenate([np.empty(0, np.int64), *(part[kind] for part in marks)])

    hashes = np.concatenate([np.empty(0, np.uint64), *(part["texture_hashes"] for part in marks)])
    ends = np.cumsum(parts("texture_hashes_count"))
    return Pieces(
        ids=column("id"),
        names=[name for part in marks for name in part["name"].tolist()],
        textures=column("texture"),
        melody=Lines.joined(parts("steps"), parts("steps_count")),
        texture=Sketches(hashes, np.concatenate([[0], ends])),
        works=column("work"),
        official=column("official"),
        keep=keep,
    )


def _with_decision(pieces: pa.Table, decision: Decision, rows: Iterator[int]) -> pa.Table:
    """The pieces of the next shard with columns for split, group and copies."""
    numbers = list(islice(rows, len(pieces)))
    for name, values in (
        ("split", decision.splits),
        ("group", decision.groups),
        ("copies", decision.copies),
    ):
        column = pa.array([values[number] for number in numbers], pa.string())
        pieces = pieces.append_column(name, column)
    return pieces


def _move(
    shard: Path, folder: Path, number: int, pieces: pa.Table, dropped: Mapping[str, Rejected]
) -> pa.Table:
    """Put a shard into the corpus without the dropped pieces; returns the others."""
    going = pa.array([i for i in pieces.column("id").to_pylist() if i in dropped], pa.string())
    for part in PARTS[:-1]:
        source, target = shard / f"{part}.parquet", folder / f"{part}-{number:05}.parquet"
        if len(going):
            pq.write_table(_without(pq.read_table(source), "piece", going), target)
        else:
            shutil.copyfile(source, target)
    remaining = _without(pieces, "id", going)
    pq.write_table(remaining.drop_columns(["compared"]), folder / f"pieces-{number:05}.parquet")
    return remaining


def _without(table: pa.Table, column: str, going: pa.Array) -> pa.Table:
    gone = pc.is_in(table.column(column).cast(pa.string()), going)
    return table.filter(pc.invert(gone))


def _read_rejected(shard: Path) -> list[Rejected]:
    return [Rejected(**row) for row in pq.read_table(shard / "rejected.parquet").to_pylist()]


def _rejected_now(pieces: pa.Table, dropped: Mapping[str, Rejected]) -> list[Rejected]:
    """A row for every dropped piece, under the name of its file."""
    rows = zip(pieces.column("id").to_pylist(), pieces.column("source").to_pylist(), strict=True)
    return [replace(dropped[piece], file=source) for piece, source in rows if piece in dropped]

"""Metadata of a dataset's pieces: titles, works, official splits, labels.

conf/dataset lists rules under `normalize.facts`; each reads facts from file names, from a CSV table
or an SQLite database published with the music, or sets one for all pieces. Later rules win.
"""

import csv
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ostinato.files import MissingInput

KINDS = {
    "match": {"match", "rename"},
    "table": {"table", "key", "prefix", "suffix", "columns", "rename", "delimiter", "header"},
    "database": {"database", "query", "prefix", "suffix", "columns", "rename"},
    "set": {"set"},
}
SPLITS = ("train", "valid", "test")
Row = Mapping[str, str]


@dataclass(frozen=True)
class Facts:
    """Metadata of one piece; empty values are unknown.

    work: pieces of one work share a split. split: the official one.
    """

    title: str = ""
    work: str = ""
    split: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def facts_of(
    folder: Path, names: Sequence[str], rules: Sequence[Mapping[str, Any]]
) -> dict[str, Facts]:
    """Facts of every named piece (its file below `folder`, with `#key` inside a container).

    Raises:
        ValueError: an invalid rule, or a split other than train, valid and test.
        MissingInput: a table is missing.
    """
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for rule in rules:
        kind = _kind_of(rule)
        rename = rule.get("rename", {})
        for name, values in _apply(kind, folder, names, rule):
            for fact, value in values.items():
                value = str(rename.get(fact, {}).get(value, value))
                if value:
                    found[name][fact] = value
    return {name: _facts(name, values) for name, values in found.items()}


def _kind_of(rule: Mapping[str, Any]) -> str:
    kinds = [kind for kind in KINDS if kind in rule]
    if len(kinds) != 1:
        raise ValueError(
            f"a rule of facts has {', '.join(sorted(rule)) or 'nothing'}; "
            f"it needs exactly one of {', '.join(KINDS)}"
        )
    unknown = sorted(set(rule) - KINDS[kinds[0]])
    if unknown:
        raise ValueError(
            f"a rule of facts with {kinds[0]} has no {', '.join(unknown)}; "
            f"known: {', '.join(sorted(KINDS[kinds[0]]))}"
        )
    return kinds[0]


def _apply(
    kind: str, folder: Path, names: Sequence[str], rule: Mapping[str, Any]
) -> Iterator[tuple[str, Row]]:
    if kind == "set":
        yield from ((name, rule["set"]) for name in names)
        return
    if kind == "match":
        pattern = re.compile(rule["match"])
        for name in names:
            match = pattern.search(name)
            if match:
                yield name, {fact: value or "" for fact, value in match.groupdict().items()}
        return
    rows = _table(folder, rule) if kind == "table" else _database(folder, rule)
    splits: dict[str, str] = {}
    before, after = rule.get("prefix", ""), rule.get("suffix", "")
    known: dict[str, list[str]] = {}
    for name in names:  # a row may name a piece, or a file with several pieces
        for key in {name, name.split("#")[0]}:
            known.setdefault(key, []).append(name)
    for key, row in rows:
        pieces = known.get(f"{before}{key}{after}", ())
        if not pieces:
            continue
        facts = _columns(row, rule["columns"])
        split = facts.get("split", "")
        split = rule.get("rename", {}).get("split", {}).get(split, split)
        if split and splits.setdefault(key, split) != split:
            raise ValueError(
                f"{rule[kind]} gives {key!r} two splits, {splits[key]!r} and {split!r}; delete one "
                "of its rows"
            )
        yield from ((piece, facts) for piece in pieces)


def _required(folder: Path, table: str) -> Path:
    """The path of a table, from the dataset's folder."""
    path = folder / table
    if not path.exists():
        raise MissingInput(
            f"{path} is missing; correct its path under normalize.facts or "
            f"{remedy_of_table(folder, path)}"
        )
    return path


def remedy_of_table(folder: Path, table: Path) -> str:
    """What brings a missing table that a rule names; folder: of the dataset's files."""
    if not table.is_relative_to(folder):
        return "put it there"
    name = folder.name
    return (
        f"make it with: dvc repro download@{name}; for your own files put it into your folder, "
        f"then: python pipelines/download.py update={name}"
    )


def _table(folder: Path, rule: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    path = _required(folder, rule["table"])
    key = rule["key"] if "{" in rule["key"] else f"{{{rule['key']}}}"
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = (line for line in file if not line.startswith("#"))
        table = csv.DictReader(
            lines, fieldnames=rule.get("header"), delimiter=rule.get("delimiter", ",")
        )
        for cells in table:
            row = {
                column.strip(): value.strip()
                for column, value in cells.items()
                if isinstance(column, str) and isinstance(value, str)
            }
            try:
                yield key.format_map(row), row
            except KeyError as error:
                raise ValueError(
                    f"{path.name} has no column {error}; its columns are {', '.join(row)}"
                ) from error


def _database(folder: Path, rule: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    path = _required(folder, rule["database"])
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        cursor = connection.execute(rule["query"])
        columns = [column[0] for column in cursor.description]
        for cells in cursor:
            row = {
                column: "" if value is None else str(value).strip()
                for column, value in zip(columns, cells, strict=True)
            }
            yield str(cells[0]), row


def _columns(row: Row, wanted: Mapping[str, Any]) -> Row:
    """Facts from a row. Each source is a column, a template such as `{composer}/{title}`, or
    {column, match}: the first group of a pattern.
    """
    facts = {}
    for fact, source in wanted.items():
        column = source if isinstance(source, str) else source["column"]
        try:
            value = column.format_map(row) if "{" in column else row[column]
        except KeyError as error:
            raise ValueError(
                f"there is no column {error}; the columns are {', '.join(row)}"
            ) from error
        if not isinstance(source, str):
            match = re.search(source["match"], value)
            value = (match.group(1) or "") if match else ""
        facts[fact] = value
    return facts


def _facts(name: str, values: dict[str, str]) -> Facts:
    special = {key: values.pop(key, "") for key in ("title", "work", "split")}
    if special["split"] and special["split"] not in SPLITS:
        raise ValueError(
            f"{name}: its split is {special['split']!r}, it must be one of {', '.join(SPLITS)}; "
            "map other words with rename: {split: {…: valid}}"
        )
    return Facts(**special, labels=dict(sorted(values.items())))

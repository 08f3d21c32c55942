"""Roles, meters and chords that a request names: those that a model has, with their pieces.

A model is judged by what it learned from, so a refusal says how much that was.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ostinato.music.chords import ROLE, parse_progression
from ostinato.ranges import check_once, check_range
from ostinato.representations.conditions import PLAYS
from ostinato.representations.protocol import Unencodable
from ostinato.sampling.request import Capabilities, Fill, Request

IN_BRACKETS = "in brackets, how many pieces have it"


def check_known(request: Request, able: Capabilities, codec: Mapping[str, Any]) -> None:
    """Refuse roles, meters and chords that a model does not have; its codec counts their pieces.

    Raises:
        ValueError: names what the model has, with the pieces that have each; or a role is named
            twice, or a tempo out of range; or only the chord role is to play, which holds symbols
            and no notes; or a chord symbol cannot be read.
    """
    if tempo := request.options.get("tempo"):  # 0: the model's own
        check_range("tempo", tempo)
    named = request.options.get("roles") or ()
    asked = {"roles": named}
    if isinstance(request.task, Fill):
        asked["fill.roles"] = request.task.free.roles
    for key, roles in asked.items():
        check_once(key, roles)
        if unknown := [role for role in roles if role not in able.roles]:
            raise ValueError(
                f"{key} names {', '.join(unknown)}; this model's roles are "
                f"{counted(able.roles, pieces_of_roles(codec))}"
            )
    if named and set(named) == {ROLE}:
        others = [role for role in able.roles if role != ROLE]
        raise ValueError(
            f"roles=[{ROLE}] are chord symbols without a note: name a role that plays them too, of "
            f"{counted(others, pieces_of_roles(codec))}"
        )
    meters = codec["representation"].get("meters", ())
    meter = request.options.get("meter")
    if meter and meters and meter not in meters:
        raise ValueError(f"meter={meter} is none of {counted(meters, pieces_of_meters(codec))}")
    if chords := request.options.get("chords"):
        _check_chords(chords, codec.get("chord_kinds", {}))


def _check_chords(text: str, pieces: Mapping[str, int]) -> None:
    """Raise ValueError for a progression that cannot be read; pieces: by kind of chord."""
    try:
        parse_progression(text)
    except ValueError as error:
        if not pieces:
            raise
        known = counted([f"C{kind}" for kind in pieces], {f"C{k}": n for k, n in pieces.items()})
        raise ValueError(f"{error}. The model learned from {known} in some key") from error


@contextmanager
def counting_meters(codec: Mapping[str, Any]) -> Iterator[None]:
    """Let the refusal of a prompt in a meter that a model does not have say how many pieces it
    learned from have each of its meters.
    """
    try:
        yield
    except Unencodable as error:
        meters, pieces = codec["representation"].get("meters", ()), pieces_of_meters(codec)
        if error.reason != "meter not in the vocabulary" or not meters or not pieces:
            raise
        known = counted(meters, pieces)
        raise Unencodable(error.reason, f"{error}. It knows {known}") from error


def pieces_of_roles(codec: Mapping[str, Any]) -> dict[str, int]:
    """How many pieces have each role."""
    found = {}
    for entry in codec.get("conditions", ()):
        if entry["name"].startswith(PLAYS):
            pieces = dict(zip(entry["values"], entry.get("pieces", ()), strict=False))
            found[entry["name"].removeprefix(PLAYS)] = pieces.get("yes", 0)
    return found


def pieces_of_meters(codec: Mapping[str, Any]) -> dict[str, int]:
    """How many pieces begin in each meter."""
    for entry in codec.get("conditions", ()):
        if entry["name"] == "meter":
            return dict(zip(entry["values"], entry.get("pieces", ()), strict=False))
    return {}


def counted(names: Sequence[str], pieces: Mapping[str, int]) -> str:
    """Names with their pieces, where these were counted."""
    if not pieces:
        return ", ".join(names)
    return ", ".join(f"{name} ({pieces.get(name, 0)})" for name in names) + f"; {IN_BRACKETS}"

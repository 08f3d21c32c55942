"""Roles and meters that a request names: those that a model has, with their pieces.

A model is judged by what it learned from, so a refusal says how much that was.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ostinato.music.chords import ROLE
from ostinato.representations.conditions import PLAYS
from ostinato.sampling.request import Capabilities, Fill, Request

IN_BRACKETS = "in brackets, how many pieces have it"


def check_known(request: Request, able: Capabilities, codec: Mapping[str, Any]) -> None:
    """Refuse roles and meters that a model does not have; its codec.json counts their pieces.

    Raises:
        ValueError: names what the model has, with the pieces that have each; or only the chord role
            is to play, which holds symbols and no notes.
    """
    named = request.options.get("roles") or ()
    asked = {"roles": named}
    if isinstance(request.task, Fill):
        asked["fill.roles"] = request.task.free.roles
    for key, roles in asked.items():
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

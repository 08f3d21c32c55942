"""Messages as commands: `/ostinato/generate bars 8 seed 3` has names and values in turn.

What follows the name `notes` is notes, five values each, up to the end of the message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ostinato.live.clips import ClipNote, notes_from

OUTPUTS = ("clip", "arrangement", "reply", "port")


@dataclass(frozen=True)
class Kind:
    """The type of a value, its range, and what it means."""

    of: type
    low: float = float("-inf")
    high: float = float("inf")
    among: tuple[str, ...] = ()
    about: str = ""

    def read(self, name: str, value: Any) -> Any:
        """The value in its type; TouchOSC and others send every number as a float."""
        wanted = {int: "a whole number", float: "a number", str: "a text"}[self.of]
        if self.of is str:
            fits = isinstance(value, str)
        else:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
            fits = fits and (self.of is float or float(value).is_integer())
        if not fits:
            raise ValueError(f"{name}={value!r} must be {wanted}{self._range()}")
        value = self.of(value)
        if self.of is not str and not self.low <= value <= self.high:
            raise ValueError(f"{name}={value} must be {wanted}{self._range()}")
        if self.among and value not in self.among:
            raise ValueError(f"{name}={value!r} must be one of: {', '.join(self.among)}")
        return value

    def _range(self) -> str:
        if self.of is str or (self.low, self.high) == (float("-inf"), float("inf")):
            return ""
        low, high = f"{self.low:g}", f"{self.high:g}"
        return f" of {low} or more" if high == "inf" else f" from {low} to {high}"


SLOT = Kind(int, 0, 9999, about="index from 0, as Live counts")
MUSIC = {
    "bars": Kind(int, 1, 256, about="new bars; default 8"),
    "seed": Kind(int, 0, 2**31 - 1, about="default: one more than the last; replies say which"),
    "n": Kind(int, 1, 16, about="pieces, in slots one below the other"),
    "to": Kind(str, among=OUTPUTS, about="a clip, the arrangement, a reply, or a port"),
    "track": SLOT,
    "slot": SLOT,
    "at": Kind(float, 0, 1e6, about="beat of the arrangement; default: after its last clip"),
    "tracks": Kind(str, about="one track for each role, as `soprano:0,alto:1`"),
    "overwrite": Kind(int, 0, 1, about="1: replace the notes of a clip that has some"),
    "fire": Kind(int, 0, 1, about="1: start the clip"),
    "name": Kind(str, about="of the clip"),
    "song": Kind(int, 0, 1, about="1: give Live the piece's tempo and meter"),
    "select": Kind(int, 0, 1, about="1: select the clip, so that the next one goes on from it"),
}
PROMPT = {
    "from_track": SLOT,
    "from_slot": SLOT,
    "from_at": Kind(float, 0, 1e6, about="beat at which a clip of the arrangement begins"),
    "from_tracks": Kind(str, about="one track for each role, as `soprano:0,alto:1`"),
    "role": Kind(str, about="of inline notes; default: the model finds voices"),
    "qpm": Kind(float, 1, 999, about="tempo of inline notes"),
    "meter": Kind(str, about="of inline notes, such as 3/4"),
}
LEAST = {"min_bars": Kind(int, 1, 256, about="new ones at least; default 1, of next and bands all")}
CONTINUE = (
    MUSIC
    | LEAST
    | PROMPT
    | {
        "prompt_bars": Kind(int, 1, 256, about="of its beginning are heard; default: all"),
        "last_bars": Kind(int, 1, 256, about="of its end are heard; default: all, of next 4"),
    }
)
KNOWN: dict[str, dict[str, Kind]] = {
    "next": CONTINUE,
    "generate": MUSIC | LEAST,
    "continue": CONTINUE,
    "fill": MUSIC
    | PROMPT
    | {
        "first": Kind(int, 0, 9999, about="first bar to fill; 1 is the first full bar"),
        "last": Kind(int, 0, 9999, about="last bar to fill"),
        "roles": Kind(str, about="roles to fill, with commas; default: all"),
    },
    "vary": MUSIC | PROMPT | {"strength": Kind(float, 0, 1, about="default 0.3")},
    "variations": MUSIC | PROMPT | {"strength": Kind(float, 0, 1, about="default 0.3")},
    "model": {"folder": Kind(str, about="of model.json")},
    "rate": {
        "id": Kind(str, about="the id in a reply"),
        "rating": Kind(int, 1, 5, about="from 1 to 5"),
        "comment": Kind(str),
    },
    "cancel": {"request": Kind(int, 0, about="default: all requests")},
    "status": {},
    "ping": {},
}
PROMPTED = ("next", "continue", "fill", "vary", "variations")


@dataclass(frozen=True)
class Command:
    """An address without `/ostinato/`, its named values, and inline notes."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[ClipNote, ...] = ()


def command_of(address: str, arguments: Sequence[Any], extra: Sequence[str] = ()) -> Command:
    """A message as a command. extra: further names, a model's options and conditions.

    Raises:
        ValueError: an address, a name or a value that does not exist; it names those that do.
    """
    name = address.removeprefix("/ostinato/")
    if name == address or name not in KNOWN:
        near = get_close_matches(name, KNOWN, 1)
        raise ValueError(
            f"unknown address {address}{f'; did you mean /ostinato/{near[0]}?' if near else ''}; "
            f"addresses: {', '.join('/ostinato/' + known for known in KNOWN)}"
        )
    if name == "variations" and arguments and not isinstance(arguments[0], str):
        arguments = ["n", *arguments]
    if name == "model" and len(arguments) == 1:
        arguments = ["folder", *arguments]
    kinds, values, at = KNOWN[name], dict[str, Any](), 0
    extra = () if kinds is KNOWN["status"] or "bars" not in kinds else extra
    while at < len(arguments):
        key = arguments[at]
        if key == "notes" and name in PROMPTED:
            return Command(name, values, tuple(notes_from(arguments[at + 1 :])))
        if not isinstance(key, str) or (key not in kinds and key not in extra):
            names = [*kinds, *extra, *(["notes"] if name in PROMPTED else [])]
            raise ValueError(
                f"{address}: {key!r} where a name is expected (names and values in turn); "
                f"its names: {', '.join(names) or 'none'}"
            )
        if at + 1 == len(arguments):
            raise ValueError(f"{address}: {key} has no value")
        value = arguments[at + 1]
        values[key] = kinds[key].read(key, value) if key in kinds else value
        at += 2
    return Command(name, values)


def places(text: str) -> dict[str, int]:
    """Tracks of roles: `soprano:0,alto:1`."""
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        role, _, track = part.partition(":")
        if not role or not track.strip().isdecimal():
            raise ValueError(
                f"{part!r} must be a role and the index of a track, as in soprano:0,alto:1"
            )
        found[role.strip()] = int(track)
    if not found:
        raise ValueError("no role is named; give for example soprano:0,alto:1")
    return found


def meter_of(text: str) -> tuple[int, int]:
    """`3/4` as (3, 4)."""
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and int(first) and int(second)):
        raise ValueError(f"meter={text!r} must be two numbers, such as 3/4")
    return int(first), int(second)

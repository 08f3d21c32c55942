"""What a listener's answer may be, and its check before it is stored."""

from collections.abc import Mapping, Sequence
from typing import Any

from ostinato.listening.study import Study

SCALE = (1, 5)
MUSHRA_SCALE = (0, 100)
LOG_EVENTS = 2000
ACTIONS = ("play", "pause", "switch", "seek", "end")
LONGEST_MS = 24 * 3600 * 1000


def check_answer(study: Study, roles: Sequence[str], given: Any) -> dict[str, Any]:
    """The answer as it is stored: by question, or by sound for MUSHRA.

    Raises:
        ValueError: a question without answer, an unknown one, or an invalid value.
    """
    if not isinstance(given, Mapping):
        raise ValueError("the answer must be a table")
    if study.design == "mushra":
        names = [role for role in roles if role != "ref"]
        valid: Any = range(MUSHRA_SCALE[0], MUSHRA_SCALE[1] + 1)
    else:
        names = [question.id for question in study.questions]
        valid = range(SCALE[0], SCALE[1] + 1) if study.design == "ratings" else choices(study)
    if set(given) != set(names):
        raise ValueError("every question needs one answer")
    kind = int if isinstance(valid, range) else str
    for value in given.values():
        if type(value) is not kind or value not in valid:  # neither true nor 3.0 is a rating
            raise ValueError("an answer is not one of those offered")
    return {name: given[name] for name in names}


def choices(study: Study) -> tuple[str, ...]:
    """What can be chosen between two sounds."""
    return ("a", "b", "tie") if study.design == "ab" and study.ties else ("a", "b")


def check_log(roles: Sequence[str], given: Any) -> list[list[Any]]:
    """What the browser noted: rows of (milliseconds, action, sound, position).

    Raises:
        ValueError: not such rows, or too many.
    """
    if not isinstance(given, list) or len(given) > LOG_EVENTS:
        raise ValueError(f"the log must be a list of {LOG_EVENTS} rows at most")
    for row in given:
        if not isinstance(row, list) or len(row) != 4:
            raise ValueError("a row of the log has four values")
        at, action, role, position = row
        numbers = all(
            isinstance(x, int) and not isinstance(x, bool) and 0 <= x <= LONGEST_MS
            for x in (at, position)
        )
        if not numbers or action not in ACTIONS or role not in roles:
            raise ValueError("a row of the log is not valid")
    return given


def check_milliseconds(given: Any) -> int:
    """The time of a response; raises ValueError where it is none."""
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= LONGEST_MS:
        raise ValueError("response_ms must be a time in milliseconds")
    return given

"""Words that say in what order a score is played, such as D.C. al Fine."""

import re

from ostinato.readers.repeat_tree import Jump

_JUMP = re.compile(r"(dc|dacapo|ds|dal?segno)(?:al(?:la)?(fine|coda))?")
_OTHER = {
    "fine": "fine", "fin": "fine", "end": "fine", "tocoda": "to_coda", "dacoda": "to_coda",
    "coda": "coda", "segno": "segno",
}  # fmt: skip


def direction_of(text: str) -> str | Jump | None:
    """What a text or an ABC decoration says about the order: a jump, `fine`, `to_coda`, `coda` or
    `segno`; None for all else.
    """
    word = re.sub(r"[^a-z]", "", text.lower())
    if jump := _JUMP.fullmatch(word):
        return Jump("" if jump[1].endswith(("s", "segno")) else None, jump[2] or "")
    return _OTHER.get(word)

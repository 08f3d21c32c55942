"""Refusals in the words of the command line."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

SAME = (("fill.bars", "infill.bars"), ("fill.roles", "infill.voices"))


def named_settings(config: Mapping[str, Any]) -> set[str]:
    """The settings that the command line names; with a reward, that chooses among candidates."""
    named = {text.lstrip("+").partition("=")[0] for text in config.get("overrides", ())}
    return named - {"best_of"} if config.get("reward") else named


@contextmanager
def in_words_of(config: Mapping[str, Any]) -> Iterator[None]:
    """Let a refusal name a gap as the command line does: `fill` and `infill` say the same."""
    try:
        yield
    except ValueError as error:
        said, words = str(error), named_settings(config)
        for names in SAME:
            for name, other in (names, names[::-1]):
                if name in words and other not in words:
                    said = re.sub(rf"\b{re.escape(other)}\b", name, said)
        if said == str(error):
            raise
        raise ValueError(said) from error

"""Texts of the pages: one YAML file a language, found by its name."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent
FIRST = "en"


def languages() -> list[str]:
    """Codes of the languages that have a file."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@lru_cache
def texts(language: str) -> Mapping[str, str]:
    """All texts of a language.

    Raises:
        ValueError: no such file, or it lacks a text that the English one has.
    """
    if language not in languages():
        raise ValueError(
            f"languages: {language!r} has no texts; there are {', '.join(languages())}; "
            f"add {FOLDER.name}/{language}.yaml, a translation of {FIRST}.yaml"
        )
    found = yaml.safe_load((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    if language != FIRST and (missing := sorted(set(texts(FIRST)) - set(found))):
        raise ValueError(f"{FOLDER.name}/{language}.yaml lacks {', '.join(missing)}")
    return {str(key): str(text) for key, text in found.items()}

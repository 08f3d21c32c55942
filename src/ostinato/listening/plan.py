"""A study that is ready to run: its settings, its stimuli and the trial lists of all places."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ostinato.files import sha256_json
from ostinato.listening import stimuli
from ostinato.listening.design import Trial, keys_used, trial_lists
from ostinato.listening.stimuli import Stimuli
from ostinato.listening.study import Study
from ostinato.listening.texts import texts

FOLDER = "listening"


@dataclass(frozen=True)
class Plan:
    """digest: of everything by which answers are given; it may not change under answers."""

    study: Study
    stimuli: Stimuli
    lists: list[list[Trial]]
    digest: str

    def plain(self) -> dict[str, Any]:
        """What the store keeps."""
        return {
            "study": asdict(self.study),
            "stimuli": self.stimuli.digest,
            "items": list(self.stimuli.items),
            "origin": dict(self.stimuli.origin),
            "lufs": self.stimuli.lufs,
            "aside": dict(self.stimuli.aside),
        }


def prepare(study: Study, root: Path) -> Plan:
    """Make stimuli and trial lists of a study.

    Raises:
        ValueError, FileNotFoundError: as `texts`, `stimuli.make` and `trial_lists`.
    """
    for language in study.languages:
        texts(language)
    made = stimuli.make(study, root, root / FOLDER / study.id / "stimuli")
    lists = trial_lists(study, made.items)
    missing = sorted(set(keys_used(lists)) - set(made.files))
    assert not missing, f"trials without stimuli: {missing[:3]}"
    return Plan(study, made, lists, _digest(study, made))


def _digest(study: Study, made: Stimuli) -> str:
    settings: Mapping[str, Any] = asdict(study)
    return sha256_json([settings, made.digest])


def trial_of(plain: Mapping[str, Any]) -> Trial:
    """A trial as the store keeps it."""
    sounds = tuple((str(role), str(key)) for role, key in plain["sounds"])
    found = dict(plain) | {"cell": tuple(plain["cell"]), "sounds": sounds}
    return Trial(**found)

"""Plays a test with simulated listeners of known ability and taste: for power, and for tests.

They go through the store as people do; the study and every row are marked as simulated.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ostinato.listening.choice import choose
from ostinato.listening.design import CATCH, Trial
from ostinato.listening.stimuli import SCRAMBLED
from ostinato.listening.store.store import Current, Store
from ostinato.listening.study import ANCHOR
from ostinato.seeds import seed_of

RATING_CENTRE, RATING_SD = 3.0, 0.7
MUSHRA_CENTRE, MUSHRA_STEP, MUSHRA_SD = 60.0, 12.0, 8.0
MUSHRA_REFERENCE, MUSHRA_ANCHOR = 97.0, 35.0
SECONDS = (8.0, 25.0)  # a response takes


@dataclass(frozen=True)
class Simulated:
    """ability: share of right answers; taste: utility of systems in logits (ratings: steps).

    listener_sd, item_sd: spread of both in logits. tie: Davidson's ν. lapse: share of guesses.
    """

    listeners: int | None = None
    ability: float = 0.7
    taste: Mapping[str, float] = field(default_factory=dict)
    listener_sd: float = 0.5
    item_sd: float = 0.3
    tie: float = 0.3
    lapse: float = 0.02
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.ability < 1 or not 0 <= self.lapse <= 1:
            raise ValueError("simulated.ability must be between 0 and 1, simulated.lapse 0 to 1")
        if min(self.listener_sd, self.item_sd, self.tie) < 0:
            raise ValueError("simulated.listener_sd, item_sd and tie cannot be negative")


class Person:
    """One simulated listener: own ability and taste, drawn around the population's."""

    def __init__(self, settings: Simulated, store: Store, number: int) -> None:
        self.settings, self.study, self.number = settings, store.plan.study, number
        self.rng = np.random.default_rng(seed_of(settings.seed, "listener", number))
        odds = math.log(settings.ability / (1 - settings.ability))
        self.ability = odds + self.rng.normal() * settings.listener_sd
        self.taste = {
            name: settings.taste.get(name, 0.0) + self.rng.normal() * settings.listener_sd
            for name in self.study.systems
        }

    def answer(self, current: Current) -> dict[str, Any]:
        """An answer to every question of a trial; the same after a restart."""
        trial = current.trial
        self.rng = np.random.default_rng(
            seed_of(self.settings.seed, "answer", self.number, current.number)
        )
        system = {role: key.split("/")[0] for role, key in trial.sounds}
        if self.study.design == "mushra":
            return {role: self._mushra(name) for role, name in system.items() if role != "ref"}
        return {
            question.id: self._one(trial, system, question.id) for question in self.study.questions
        }

    def _one(self, trial: Trial, system: Mapping[str, str], question: str) -> Any:
        if self.study.design == "ratings":
            return self._rating(system["a"], trial.item, question)
        if self.rng.random() < self.settings.lapse:
            return str(self.rng.choice(["a", "b"]))
        if trial.kind == CATCH:
            return trial.expected
        if self.study.design in ("abx", "human"):
            is_right = self.rng.random() < _logistic(self.ability + self._item(trial.item))
            return trial.expected if is_right else "ab".replace(trial.expected, "")
        return self._preference(system["a"], system["b"], trial.item, question)

    def _preference(self, a: str, b: str, item: str, question: str) -> str:
        utility = {n: self.taste[n] + self._item(f"{n}/{item}/{question}") for n in (a, b)}
        tie = self.settings.tie if self.study.ties else 0.0
        return choose(self.rng, utility[a], utility[b], tie)

    def _rating(self, system: str, item: str, question: str) -> int:
        if system == SCRAMBLED and self.rng.random() >= self.settings.lapse:
            return 1
        utility = self.taste.get(system, 0.0) + self._item(f"{system}/{item}/{question}")
        value = RATING_CENTRE + utility + self.rng.normal() * RATING_SD
        return int(np.clip(round(value), 1, 5))

    def _mushra(self, system: str) -> int:
        centre = {
            self.study.reference: MUSHRA_REFERENCE,
            ANCHOR: MUSHRA_ANCHOR,
            SCRAMBLED: 5.0,
        }.get(system, MUSHRA_CENTRE + MUSHRA_STEP * self.taste.get(system, 0.0))
        spread = 2.0 if system in (self.study.reference, SCRAMBLED) else MUSHRA_SD
        return int(np.clip(round(centre + self.rng.normal() * spread), 0, 100))

    def _item(self, name: str) -> float:
        """The same for all listeners."""
        rng = np.random.default_rng(seed_of(self.settings.seed, "item", name))
        return float(rng.normal() * self.settings.item_sd)

    def log(self, current: Current) -> tuple[list[list[Any]], int]:
        """What a browser would note: every sound played once, in a random order."""
        roles = [role for role, _ in current.sounds]
        total = round(1000 * self.rng.uniform(*SECONDS))
        part = total // (len(roles) + 1)
        rows = [
            [part * n, "play" if n == 0 else "switch", roles[i], part * n % 10000]
            for n, i in enumerate(self.rng.permutation(len(roles)))
        ]
        return [*rows, [part * len(roles), "pause", rows[-1][2], 0]], total


def simulate(store: Store, settings: Simulated) -> int:
    """Let all simulated listeners that the store still lacks take the test; returns their number.

    Raises:
        ValueError: a taste of a system that the study does not have.
    """
    study = store.plan.study
    if unknown := sorted(set(settings.taste) - set(study.systems)):
        raise ValueError(
            f"simulated.taste names {', '.join(unknown)}; "
            f"the systems are {', '.join(study.systems)}"
        )
    wanted = settings.listeners or study.listeners
    if wanted > study.listeners:
        raise ValueError(f"simulated.listeners={wanted}, but {study.listeners} are planned")
    for number in range(wanted):
        person = Person(settings, store, number)
        token = store.begin(study.languages[number % len(study.languages)], f"simulated-{number}")
        store.ready(token)
        while (current := store.current(token)) is not None:
            store.answer(token, current.key, person.answer(current), *person.log(current))
    return wanted


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))

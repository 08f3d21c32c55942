"""Study files of conf/listening: what is compared, how listeners are asked, and when to stop."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ostinato.settings import checked

DESIGNS = ("abx", "ab", "human", "ratings", "mushra")
MATCHES = ("none", "prompt")
ABX_FORMS = ("class", "same")
FORMATS = ("wav", "mp3")
MOST_MARGIN = 0.5  # of shares around one half
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
ANCHOR = "anchor"
SMALLEST_ALPHA = 1e-6
RESERVED = (ANCHOR, "scrambled", "a", "b", "x", "ref", "tie")

Texts = Mapping[str, str]  # a text by language


@dataclass(frozen=True)
class Source:
    """Where the music of one system is: exactly one of samples, corpus and folder.

    samples: samples/<system> of the pipeline. corpus: data/corpus/<dataset>, held-out splits.
    folder: MIDI or sound files of any origin.
    """

    samples: str = ""
    corpus: str = ""
    folder: str = ""
    task: str = "unconditional"
    splits: tuple[str, ...] = ("valid", "test")

    def __post_init__(self) -> None:
        if sum(bool(x) for x in (self.samples, self.corpus, self.folder)) != 1:
            raise ValueError("a system needs exactly one of samples, corpus and folder")


@dataclass(frozen=True)
class Sound:
    """How every stimulus is made: the same length, loudness, tempo and SoundFont for all systems.

    program, qpm and velocity of null keep those of the files, by which systems can be told apart.
    """

    seconds: float = 12.0
    start_bar: int = 0
    lufs: float = -23.0
    program: int | None = 0
    qpm: float | None = 84.0
    velocity: int | None = 80
    format: str = "wav"
    rate: int = 44100
    channels: int = 1

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(f"sound.format={self.format} must be one of {', '.join(FORMATS)}")
        if not 1.0 <= self.seconds <= 120.0:
            raise ValueError(f"sound.seconds={self.seconds} must be from 1 to 120")
        if not -40.0 <= self.lufs <= -14.0:
            raise ValueError(f"sound.lufs={self.lufs} must be from -40 to -14")
        if self.channels not in (1, 2) or self.rate not in (22050, 32000, 44100, 48000):
            raise ValueError(
                f"sound.channels={self.channels} must be 1 or 2, "
                f"sound.rate={self.rate} one of 22050, 32000, 44100, 48000"
            )


@dataclass(frozen=True)
class Question:
    """What is asked in every trial; labels name the ends of a scale."""

    id: str
    text: Texts
    low: Texts = field(default_factory=dict)
    high: Texts = field(default_factory=dict)


@dataclass(frozen=True)
class Catch:
    """Trials with a clear answer, and how many must be right; the rule is fixed before the test.

    at_most: the highest rating of a scrambled excerpt that passes; 0: 2 in ratings, 40 in MUSHRA.
    """

    trials: int = 2
    needed: int = 2
    at_most: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.needed <= self.trials:
            raise ValueError(
                f"catch.needed={self.needed} must be from 0 to catch.trials={self.trials}"
            )


@dataclass(frozen=True)
class Power:
    """The effect that the test shall find: the share of right or preferred answers.

    For ratings and MUSHRA it is the mean difference in standard deviations.
    """

    effect: float = 0.7
    alpha: float = 0.05
    wanted: float = 0.8

    def __post_init__(self) -> None:
        if not SMALLEST_ALPHA <= self.alpha < 0.5:
            raise ValueError(f"power.alpha={self.alpha} must be from {SMALLEST_ALPHA:f} to 0.5")
        if not 0 < self.wanted < 1:
            raise ValueError(f"power.wanted={self.wanted} must be between 0 and 1")
        if not self.effect > 0:
            raise ValueError(f"power.effect={self.effect} must be above 0")


@dataclass(frozen=True)
class Study:
    """One listening test, as its YAML file says it."""

    id: str
    design: str
    title: Texts
    about: Texts
    systems: Mapping[str, Source]
    questions: tuple[Question, ...]
    sound: Sound
    catch: Catch
    power: Power
    trials: int
    listeners: int
    items: int
    contact: str = ""
    match: str = "none"
    form: str = "class"
    reference: str = ""
    ties: bool = False
    training: int = 1
    hear_seconds: float = 2.0
    margin: float = 0.1
    languages: tuple[str, ...] = ("en",)
    seed: int = 1


SECTIONS = {"sound": Sound, "catch": Catch, "power": Power}


def study_of(given: Mapping[str, Any]) -> Study:
    """The study of a file's settings.

    Raises:
        ValueError: a setting is unknown, missing, of another kind, or contradicts another one.
    """
    values = dict(given)
    for name, cls in SECTIONS.items():
        values[name] = checked(cls, name, values.get(name) or {})
    refuse_kind(values, "systems", dict)
    refuse_kind(values, "questions", list)
    values["systems"] = {
        str(name): checked(Source, f"systems.{name}", about or {})
        for name, about in values["systems"].items()
    }
    values["questions"] = tuple(
        checked(Question, f"questions[{n}]", about) for n, about in enumerate(values["questions"])
    )
    study = checked(Study, "listening", values)
    _check_names(study)
    _check_design(study)
    _check_texts(study)
    return study


def refuse_kind(values: Mapping[str, Any], name: str, kind: type) -> None:
    """Raise ValueError where a section is missing or not a list or a table."""
    if not isinstance(values.get(name), kind) or not values[name]:
        word = "a table" if kind is dict else "a list"
        raise ValueError(f"listening.{name} must be {word} with at least one entry")


def _check_names(study: Study) -> None:
    for kind, names in (
        ("id", [study.id]),
        ("system", list(study.systems)),
        ("question", [question.id for question in study.questions]),
    ):
        for name in names:
            if not NAME.fullmatch(name) or name in RESERVED:
                raise ValueError(
                    f"the {kind} {name!r} must be of a-z, 0-9, - and _, and none of "
                    f"{', '.join(RESERVED)}"
                )
    if len({question.id for question in study.questions}) < len(study.questions):
        raise ValueError("two questions have the same id; give each its own")


def _check_design(study: Study) -> None:
    for name, value, valid in (
        ("design", study.design, DESIGNS),
        ("match", study.match, MATCHES),
        ("form", study.form, ABX_FORMS),
    ):
        if value not in valid:
            raise ValueError(f"listening.{name}={value!r} must be one of {', '.join(valid)}")
    _check_numbers(study)
    if study.design != "ratings" and len(study.systems) < 2:
        raise ValueError(f"design={study.design} compares two systems or more; add one to systems")
    needs = study.design in ("human", "mushra")
    if needs and not study.reference:
        raise ValueError(
            f"design={study.design} needs reference: the name of the system with the real music"
        )
    if study.reference and study.reference not in study.systems:
        raise ValueError(
            f"reference={study.reference} is none of the systems: {', '.join(study.systems)}"
        )
    _check_match(study)
    if len(study.questions) > 1 and study.design in ("abx", "human", "mushra"):
        raise ValueError(f"design={study.design} has one question; give one in questions")


def _check_numbers(study: Study) -> None:
    for name in ("trials", "listeners", "items"):
        if getattr(study, name) < 1:
            raise ValueError(f"listening.{name}={getattr(study, name)} must be at least 1")
    if study.training < 0 or not study.hear_seconds >= 0 or not study.margin > 0:
        raise ValueError("training and hear_seconds cannot be negative, margin must be above 0")
    if study.design in ("abx", "human", "ab") and study.margin >= MOST_MARGIN:
        raise ValueError(
            f"margin={study.margin} must be below {MOST_MARGIN}: in design={study.design} it is a "
            "distance of shares from one half"
        )
    if study.design == "ratings" and study.trials < len(study.systems):
        raise ValueError(
            f"trials={study.trials} are fewer than the {len(study.systems)} systems, but the "
            f"ratings of one listener are compared: set trials: {len(study.systems)} or more"
        )
    if study.design != "abx" and study.form != "class":
        raise ValueError(
            f"form={study.form} is for design abx; this is {study.design}: leave it out"
        )
    if study.design == "abx" and study.form == "class" and study.items < 2:
        raise ValueError("form=class takes X from another item: set items to 2 or more")


def _check_match(study: Study) -> None:
    if study.match == "prompt":
        return
    if study.design == "mushra" or (study.design == "ab" and study.reference):
        raise ValueError(
            f"design={study.design} with a reference compares versions of one piece: "
            "set match: prompt"
        )
    if study.design == "abx" and study.form == "same":
        raise ValueError("form=same compares versions of one piece: set match: prompt")


def _check_texts(study: Study) -> None:
    if not study.languages:
        raise ValueError("listening.languages is empty: give at least one, such as [en]")
    texts = {"title": study.title, "about": study.about}
    for question in study.questions:
        texts[f"questions.{question.id}.text"] = question.text
        if study.design == "ratings":
            texts[f"questions.{question.id}.low"] = question.low
            texts[f"questions.{question.id}.high"] = question.high
    for place, text in texts.items():
        if missing := [language for language in study.languages if not text.get(language)]:
            raise ValueError(
                f"listening.{place} lacks the language {', '.join(missing)}: add the text, or set "
                f"languages: [{', '.join(text) or 'en'}]"
            )

"""Study files: contradictions are refused with the remedy."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # helpers of tests
from listening_study import SYSTEMS, settings

from ostinato.config import load_config
from ostinato.listening.analysis import power
from ostinato.listening.design import trial_lists
from ostinato.listening.study import study_of
from ostinato.listening.texts import texts

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path.stem for path in (ROOT / "conf" / "listening").glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_study_of_conf_is_valid_and_finds_the_effect_that_it_names(name):
    study = study_of(load_config("listen", [f"listening={name}"], ROOT)["listening"])
    power.check(study)
    lists = trial_lists(study, [f"item-{n}" for n in range(study.items)])
    assert len(lists) == study.listeners
    for language in study.languages:
        assert texts(language)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"design": "abc"}, "one of abx, ab, human, ratings, mushra"),
        ({"design": "human"}, "needs reference"),
        ({"design": "human", "reference": "nobody"}, "none of the systems: human_secret"),
        ({"design": "mushra", "reference": SYSTEMS[0]}, "set match: prompt"),
        ({"reference": SYSTEMS[0]}, "set match: prompt"),
        ({"design": "abx", "form": "same"}, "set match: prompt"),
        ({"design": "abx", "form": "other"}, "class, same"),
        ({"design": "abx", "items": 1}, "set items to 2 or more"),
        ({"systems": {"one": {"folder": "x"}}}, "two systems or more"),
        ({"systems": {"a b": {"folder": "x"}}}, "of a-z"),
        ({"systems": {"anchor": {"folder": "x"}, "y": {"folder": "y"}}}, "anchor"),
        ({"systems": {"x1": {}, "y": {"folder": "y"}}}, "exactly one of"),
        ({"systems": []}, "must be a table"),
        ({"questions": {}}, "must be a list"),
        ({"trial": 3}, "did you mean trials"),
        ({"trials": 0}, "at least 1"),
        ({"trials": "many"}, "a whole number"),
        ({"sound": {"seconds": 0.1}}, "1 to 120"),
        ({"sound": {"lufs": -3.0}}, "-40 to -14"),
        ({"sound": {"rate": 8000}}, "44100"),
        ({"sound": {"format": "ogg"}}, "wav, mp3"),
        ({"catch": {"trials": 1, "needed": 2}}, "catch.trials=1"),
        ({"languages": ["en", "zh"]}, r"lacks the language zh.*languages: \[en\]"),
        ({"design": "ratings", "languages": ["zh"]}, "lacks the language zh"),
        ({"languages": []}, "languages is empty"),
        ({"margin": 0.5}, r"margin=0.5 must be below 0\.5"),
        ({"margin": float("nan")}, "margin must be above 0"),
        ({"power": {"alpha": 0.0}}, r"power\.alpha"),
        ({"power": {"alpha": 1.5}}, r"power\.alpha"),
        ({"power": {"wanted": 1.0}}, r"power\.wanted"),
        ({"power": {"effect": 0.0}}, r"power\.effect"),
        ({"id": "../x"}, "of a-z"),
        ({"questions": [{"id": "q", "text": {"en": "?"}}] * 2}, "same id"),
        (
            {"design": "abx", "questions": [{"id": q, "text": {"en": "?"}} for q in ("p", "q")]},
            "one question",
        ),
    ],
)
def test_contradictions_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        study_of(settings() | change)


def test_every_listener_rates_every_system():
    """Ratings are compared within a listener: with fewer trials than systems nothing is."""
    with pytest.raises(ValueError, match="set trials: 3 or more"):
        study_of(settings("ratings", trials=2))
    assert study_of(settings("ratings", trials=3, margin=5.0))

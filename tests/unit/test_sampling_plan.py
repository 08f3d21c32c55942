"""The section `sampling` of params.yaml is checked before anything is sampled."""

from pathlib import Path

import pytest
import yaml

from ostinato.sampling import plan
from ostinato.sampling.plan import PLAN, check_plan

WHOLE = dict.fromkeys(PLAN, 1) | {"split": 0.8}


def test_the_committed_section_is_whole():
    text = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")
    check_plan(yaml.safe_load(text)["sampling"])


@pytest.mark.parametrize("section", [None, {}, {k: v for k, v in WHOLE.items() if k != "bars"}])
def test_what_is_missing_is_named(section):
    with pytest.raises(ValueError, match=r"params\.yaml: the section sampling lacks .*bars"):
        check_plan(section)


def test_an_option_that_no_family_has_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"no setting spilt \(did you mean split\?\)"):
        check_plan(WHOLE | {"spilt": 0.8})


def test_a_paradigm_of_ones_own_may_have_options_that_are_not_known(monkeypatch):
    monkeypatch.setattr(plan, "asked_of", lambda family: None)
    check_plan(WHOLE | {"heat": 0.5})

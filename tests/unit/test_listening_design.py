"""Trial lists: balance within and over listeners, right answers, catch trials."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))  # helpers of tests

from listening_study import SYSTEMS, plan_of, settings

from ostinato.listening.design import ABX_ORDERS, num_orders, trial_lists
from ostinato.listening.study import study_of

ITEMS = [f"item-{n}" for n in range(8)]
SIZES = {"items": 8, "trials": 8, "listeners": 12}


def lists_of(design, **changes):
    study = study_of(settings(design, **(SIZES | changes)))
    return study, trial_lists(study, ITEMS)


def main_of(trials):
    return [trial for trial in trials if trial.kind == "main"]


@pytest.mark.parametrize("design", ["abx", "ab", "human"])
def test_every_order_occurs_equally_often_within_each_listener(design):
    study, lists = lists_of(design)
    for trials in lists:
        counts = Counter(trial.order for trial in main_of(trials))
        assert set(counts.values()) == {study.trials // num_orders(study)}


@pytest.mark.parametrize("design", ["abx", "ab", "human"])
def test_orders_of_each_comparison_are_equal_over_listeners(design):
    study, lists = lists_of(design)
    counts = Counter((trial.cell, trial.order) for row in lists for trial in main_of(row))
    assert max(counts.values()) - min(counts.values()) <= 1
    items = Counter((t.cell, t.item, t.order) for row in lists for t in main_of(row))
    pairs = len({key[:2] for key in items}) * num_orders(study)
    assert max(items.values()) <= study.trials * study.listeners / pairs + 1


def test_orders_that_do_not_divide_the_trials_are_equal_over_listeners():
    _, lists = lists_of("abx", trials=6)
    for row in lists:
        counts = Counter(trial.order for trial in main_of(row))
        assert max(counts.values()) - min(counts.values()) <= 1
    counts = Counter(trial.order for row in lists for trial in main_of(row))
    assert max(counts.values()) == min(counts.values()) == 18


@pytest.mark.parametrize("design", ["abx", "ab", "human", "ratings"])
def test_no_listener_gets_a_comparison_twice_and_all_are_used_about_equally(design):
    _, lists = lists_of(design)
    used = Counter()
    for row in lists:
        own = [(trial.cell, trial.item) for trial in main_of(row)]
        assert len(set(own)) == len(own)
        used.update(own)
    assert max(used.values()) - min(used.values()) <= 2


@pytest.mark.parametrize("form", ["class", "same"])
def test_x_of_abx_comes_from_the_system_of_the_right_answer(form):
    _, lists = lists_of("abx", form=form, match="prompt")
    for trial in main_of(lists[0]):
        sounds = dict(trial.sounds)
        system, item, version = sounds["x"].split("/")
        right = sounds[trial.expected].split("/")
        assert system == right[0]
        assert version != right[2]  # other bytes even where it is the same music
        assert (item == trial.item) == (form == "same")
        letters = ABX_ORDERS[trial.order]
        assert trial.expected == ("a" if letters[0] == letters[2] else "b")


def test_the_right_answer_of_which_is_human_is_the_real_music():
    _, lists = lists_of("human")
    for trial in main_of(lists[0]):
        assert dict(trial.sounds)[trial.expected].startswith(SYSTEMS[0])


def test_mushra_has_hidden_reference_and_anchor_in_other_places_each_time():
    _, lists = lists_of("mushra", listeners=4)
    places = Counter()
    for trial in main_of(lists[0]):
        hidden = [key.split("/")[0] for role, key in trial.sounds if role != "ref"]
        assert sorted(hidden) == sorted([*SYSTEMS, "anchor"])
        assert dict(trial.sounds)["ref"].split("/")[0] == SYSTEMS[0]
        places[hidden.index(SYSTEMS[0])] += 1
    assert len(places) > 1


@pytest.mark.parametrize("design", ["abx", "ab", "human", "ratings", "mushra"])
def test_catch_trials_hold_a_scrambled_excerpt_and_are_never_first(design):
    study, lists = lists_of(design, catch={"trials": 2, "needed": 1})
    for row in lists:
        kinds = [trial.kind for trial in row]
        assert kinds[: study.training] == ["training"] * study.training
        assert kinds[study.training] == "main"
        assert kinds.count("catch") == 2
        for trial in row:
            damaged = any(key.startswith("scrambled") for _, key in trial.sounds)
            assert damaged == (trial.kind == "catch")


def test_the_lists_depend_on_the_seed_alone():
    assert lists_of("abx") == lists_of("abx")
    assert lists_of("abx")[1] != lists_of("abx", seed=2)[1]


def test_more_trials_than_comparisons_are_refused():
    with pytest.raises(ValueError, match="set trials to 24 or fewer"):
        lists_of("ab", trials=25)


def test_a_reference_of_preferences_is_heard_but_not_compared(tmp_path):
    plan = plan_of(tmp_path, "ab", reference=SYSTEMS[0], match="prompt")
    for trial in main_of(plan.lists[0]):
        assert [role for role, _ in trial.sounds] == ["ref", "a", "b"]
        assert SYSTEMS[0] not in trial.cell

"""Whole studies with simulated listeners: what went in comes out, marked as simulated."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import binom

sys.path.append(str(Path(__file__).parents[1]))  # helpers of tests
from listening_study import SYSTEMS, settings, store_of

from ostinato.feedback.preferences import pairs_of
from ostinato.listening.analysis import page, power
from ostinato.listening.analysis.results import TooEarly, metrics, results
from ostinato.listening.analysis.screening import screen
from ostinato.listening.analysis.summary import summary
from ostinato.listening.export import codebook, preferences, rows
from ostinato.listening.simulate import Simulated, simulate
from ostinato.listening.store.registered import registered
from ostinato.listening.study import study_of

REAL, MODEL, OTHER = SYSTEMS
SETTINGS = {
    "abx": Simulated(ability=0.9, lapse=0.0),
    "human": Simulated(ability=0.5, listener_sd=0.0, item_sd=0.0, lapse=0.0),
    "ab": Simulated(taste={REAL: 1.5, MODEL: 0.5}, lapse=0.0),
    "ratings": Simulated(taste={REAL: 1.0, OTHER: -1.0}, lapse=0.0),
    "mushra": Simulated(taste={MODEL: 1.0, OTHER: -1.0}, lapse=0.0),
}
TRIALS = {"abx": 12, "human": 8, "ab": 12, "ratings": 12, "mushra": 4}


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """A study of each design that twelve simulated listeners took: its store, study and results."""
    root, made = tmp_path_factory.mktemp("tones"), {}

    def take(design):
        if design not in made:
            folder = tmp_path_factory.mktemp(design)
            changes = {"listeners": 12, "trials": TRIALS[design], "ties": design == "ab"}
            store = store_of(root / design, folder, design, simulated=True, **changes)
            simulate(store, SETTINGS[design])
            study, facts = registered(store.engine, "tones")
            listed = rows(store.engine, "tones")
            found = results(listed, study, resamples=60, peek=False)
            made[design] = (store, study, listed, found, page.build(found, study, facts))
        return made[design]

    return take


@pytest.mark.long
@pytest.mark.parametrize("design", SETTINGS)
def test_everything_of_simulated_listeners_is_marked(taken, design):
    store, study, listed, found, html = taken(design)
    assert found["simulated"]
    assert all(row["simulated"] == 1 for row in listed)
    assert "Simulated listeners. These are no results about people." in html
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert study == store.plan.study
    assert found["listeners"]["used"] == 12
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert all(isinstance(value, float) for value in metrics(found).values())
    columns = {line.split(",")[0] for line in codebook().splitlines()[1:]}
    assert all(set(row) == columns for row in listed)


@pytest.mark.long
@pytest.mark.parametrize("design", ["ab", "ratings", "mushra", "abx"])
def test_what_can_be_learned_from_is_about_samples_alone(taken, design):
    systems = {name: {"samples": name if name != REAL else ""} for name in SYSTEMS}
    found = preferences(taken(design)[2], {"study": {"design": design, "systems": systems}})
    if design == "abx":  # asks for no preference
        assert not found
        return
    names = {part.split("=")[1] for row in found for part in row["sounds"].split("|")}
    assert {name.partition("/")[0] for name in names} == {MODEL, OTHER}
    assert all(name.split("/")[1].startswith("file-") for name in names)
    pairs, _ = pairs_of(found, sorted(names), "preferences.csv")
    assert len(pairs.better) > 12


@pytest.mark.long
def test_ability_is_found_with_its_interval(taken):
    whole = next(row for row in taken("abx")[3]["right"] if row["cell"] == "all")
    assert whole["test"]["n"] == 12 * 12
    assert whole["test"]["low"] < 0.9 < whole["test"]["high"] + 0.03
    assert whole["test"]["p"] < 1e-9
    assert whole["mixed"]["share"] > 0.8
    assert whole["d_prime_low"] < whole["d_prime"] < whole["d_prime_high"]
    assert len(whole["listeners"]) == 12
    assert whole["equivalence"] > 0.99


@pytest.mark.long
def test_guessing_is_not_found(taken):
    for row in taken("human")[3]["right"]:
        assert row["test"]["low"] < 0.5 < row["test"]["high"]
        assert row["test"]["p"] > 0.01


@pytest.mark.long
def test_taste_is_found_in_its_order(taken):
    (block,) = taken("ab")[3]["preference"]
    assert [row["system"] for row in block["strengths"]["systems"]] == [REAL, MODEL, OTHER]
    first = block["strengths"]["systems"][0]
    assert first["low"] < first["value"] < first["high"]
    assert block["strengths"]["nu"] > 0
    pair = next(p for p in block["pairs"] if {p["first"], p["second"]} == {REAL, OTHER})
    assert pair["holm"] < 0.05


@pytest.mark.long
@pytest.mark.parametrize(("design", "best"), [("ratings", REAL), ("mushra", REAL)])
def test_ratings_are_found_in_their_order(taken, design, best):
    (block,) = taken(design)[3]["ratings"]
    names = [row["system"] for row in block["systems"]]
    assert names[0] == best
    assert names.index(MODEL) < names.index(OTHER)
    assert block["friedman_p"] < 0.001
    assert all(pair["p"] <= pair["holm"] for pair in block["pairs"])


@pytest.mark.long
def test_simulating_again_adds_nothing(taken):
    store, _, listed, _, _ = taken("ab")
    simulate(store, SETTINGS["ab"])
    keys = ("listener", "position", "answer")
    again = [[row[key] for key in keys] for row in rows(store.engine, "tones")]
    assert again == [[row[key] for key in keys] for row in listed]


@pytest.mark.long
def test_results_before_the_planned_n_have_no_p(taken):
    _, study, listed, _, _ = taken("ab")
    some = [row for row in listed if row["listener"] <= 9]
    with pytest.raises(TooEarly, match="9 of 12"):
        results(some, study, resamples=20, peek=False)
    found = results(some, study, resamples=20, peek=True)
    text = json.dumps(found)
    assert not found["complete"]
    assert '"p": null' in text
    assert not any(f'"p": {digit}' in text for digit in range(10))


@pytest.mark.long
def test_listeners_are_screened_by_the_rule_of_the_file(taken):
    _, study, listed, _, _ = taken("ab")
    frame = pd.DataFrame(listed)
    is_catch = (frame["kind"] == "catch") & (frame["listener"] == 3)
    frame.loc[is_catch, "answer"] = "tie"
    frame.loc[frame["listener"] == 5, "finished"] = 0
    screened = screen(frame, study)
    assert (screened.failed_catch, screened.unfinished, screened.listeners) == (1, 1, 10)
    assert set(screened.frame["kind"]) == {"main"}
    assert not {3, 5} & set(screened.frame["listener"])


@pytest.mark.long
def test_listeners_after_the_planned_n_do_not_count(taken):
    _, _, listed, _, _ = taken("ab")
    fewer = study_of(settings("ab", listeners=8, trials=12, ties=True))
    screened = screen(pd.DataFrame(listed), fewer)
    assert (screened.listeners, screened.beyond_plan) == (8, 4)


@pytest.mark.long
def test_mushra_leaves_out_who_does_not_find_the_hidden_reference(taken):
    _, study, listed, _, _ = taken("mushra")
    frame = pd.DataFrame(listed)
    frame.loc[(frame["listener"] == 2) & (frame["system"] == REAL), "answer"] = 60
    assert screen(frame, study).failed_reference == 1


@pytest.mark.parametrize("design", SETTINGS)
def test_the_plan_says_what_n_can_find(design):
    study = study_of(settings(design, trials=4, listeners=4))
    planned = power.planned(study)
    assert planned.power < 0.8
    with pytest.raises(ValueError, match=f"set listeners: {planned.needed_listeners}"):
        power.check(study)
    enough = study_of(settings(design, trials=4, listeners=planned.needed_listeners))
    power.check(enough)
    assert f"power {planned.power:.2f}" in power.table(study)


def test_the_plan_says_what_ties_and_lost_listeners_cost():
    """Exact, for 128 answers of each of three pairs: 108 are left."""
    study = study_of(settings("ab", trials=12, listeners=32, power={"effect": 0.65}))
    alpha = 0.05 / 3 / 2
    critical = next(k for k in range(109) if binom.sf(k - 1, 108, 0.5) <= alpha)
    expected = binom.sf(critical - 1, 108, 0.65)
    assert expected < power.planned(study).power
    assert f"with 15 % fewer answers the power is {expected:.2f}" in power.table(study)


@pytest.mark.parametrize("design", SETTINGS)
def test_the_plan_divides_alpha_by_the_tests_of_holm(taken, design):
    found = taken(design)[3]
    rows = found.get("right") or (found.get("preference") or found["ratings"])[0]["pairs"]
    assert power.planned(taken(design)[1]).comparisons == len(rows)


def test_few_listeners_cannot_reach_the_smallest_p_of_wilcoxon():
    study = study_of(
        settings("ratings", systems={n: {"folder": n} for n in SYSTEMS[:2]}, power={"effect": 9.0})
    )
    planned = power.planned(study)
    assert (planned.power, planned.needed) == (0.0, 6)  # 2 / 2⁵ > 0.05
    with pytest.raises(ValueError, match="more than 10000 listeners"):
        power.planned(study_of(settings("ratings", power={"effect": 0.001})))


def test_a_pair_of_ties_alone_stays_in_the_table(taken):
    _, study, listed, _, _ = taken("ab")
    cell = next(row["cell"] for row in listed if row["kind"] == "main")
    changed = [
        row | ({"answer": "tie", "system": ""} if row["cell"] == cell else {}) for row in listed
    ]
    found = results(changed, study, resamples=20, peek=False)
    (block,) = found["preference"]
    pair = next(p for p in block["pairs"] if f"{p['first']}|{p['second']}" == cell)
    assert pair["ties"] == sum(row["cell"] == cell and row["kind"] == "main" for row in listed)
    assert (pair["test"]["n"], pair["test"]["p"], pair["holm"]) == (0, None, None)
    assert "all answers are ties" in page.build(found, study, {})
    assert len(block["pairs"]) == 3
    assert not any("nan" in str(value) for value in metrics(found).values())
    rows_shown = summary(found, study)["rows"]
    assert sum("preferred to" in row["label"] for row in rows_shown) == 2


def test_one_listener_is_not_a_sample(taken):
    for design in ("ab", "ratings"):
        _, study, listed, _, _ = taken(design)
        one = [row for row in listed if row["listener"] == 1]
        found = results(one, study, resamples=20, peek=True)
        html = page.build(found, study, {})
        assert ("one listener" in html) and "95 % " not in html


@pytest.mark.long
@pytest.mark.parametrize(
    "change", [{"ability": 1.0}, {"lapse": 2.0}, {"tie": -1.0}, {"taste": {"nobody": 1.0}}]
)
def test_impossible_listeners_are_refused(taken, change):
    with pytest.raises(ValueError, match="simulated"):
        simulate(taken("ab")[0], Simulated(**change))


def test_a_study_without_answers_says_so():
    with pytest.raises(ValueError, match="no answers yet"):
        results([], study_of(settings()), resamples=10, peek=True)

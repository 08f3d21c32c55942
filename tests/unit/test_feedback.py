"""Preferences become pairs within listeners, rewards find a known utility, tuning is guarded."""

import json
from contextlib import contextmanager
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ostinato.evaluation.measures import tuning as tuning_measure
from ostinato.feedback.best import candidates_of, judge_of
from ostinato.feedback.card import base_of
from ostinato.feedback.folder import open_study
from ostinato.feedback.guards import is_within, objective, vendi_score
from ostinato.feedback.preferences import COLUMNS, Pairs, as_csv, nearest_pairs, pairs_of
from ostinato.feedback.reward import Features, fit_ensemble, report_of, trivial_rewards
from ostinato.feedback.settings import RewardSettings, study_settings
from ostinato.feedback.split import split_pairs
from ostinato.feedback.statistics import STATISTICS, Utility, statistics_of
from ostinato.feedback.write import write_study
from ostinato.files import DamagedFile, checksums
from ostinato.generator import Generator
from ostinato.listening.choice import choose
from ostinato.sampling.load import load_trained
from ostinato.sampling.request import Request
from ostinato.sampling.write import write_samples
from ostinato.training.patience import since_best

MICRO = {
    "kind": "simulated",
    "weights": {"stepwise": 3.0, "notes_per_bar": -2.0},
    "clips": {"prompts": 6, "each": 3, "prompt_bars": 1, "bars": 1, "guard": 2},
    "listeners": {"count": 8, "choices": 12},
    "reward": {"members": 3, "steps": 10},
}
TUNED = {"method": "dpo", "beta": 0.5, "kl_budget": 50.0, "group": 2}


def row(listener, first, second, answer, item="p", **more):
    sounds = f"a={first}" + (f"|b={second}" if second else "")
    found = dict.fromkeys(COLUMNS, "")
    found |= {"listener": listener, "finished": "1", "kind": "main", "item": item}
    return found | {"sounds": sounds, "answer": answer, "question": "q"} | more


def answers(listeners=4):
    return [row(n, "x", "y", "a", item=f"p{n}") for n in range(listeners)]


def test_a_choice_follows_bradley_and_terry():
    rng = np.random.default_rng(1)
    drawn = [choose(rng, 1.0, 0.0) for _ in range(4000)]
    assert drawn.count("a") / 4000 == pytest.approx(1 / (1 + np.exp(-1)), abs=0.03)
    assert [choose(rng, 900.0, 0.0) for _ in range(5)] == ["a"] * 5


def test_a_utility_survives_a_file_whose_keys_are_sorted(chorale):
    pieces = [chorale(seed) for seed in range(6)]
    made = Utility.fitted({"stepwise": 1.0, "notes_per_bar": -0.5}, pieces)
    again = Utility(**json.loads(json.dumps(asdict(made), sort_keys=True)))
    assert again.of(pieces) == pytest.approx(made.of(pieces))
    z = made.parts(pieces)
    assert z.mean(axis=0) == pytest.approx(np.zeros(2), abs=1e-9)
    assert z.std(axis=0) == pytest.approx(np.ones(2))


@pytest.mark.long
def test_nearness_to_the_corpus_is_highest_at_its_means(chorale):
    pieces = [chorale(seed) for seed in range(6)]
    near = Utility.fitted({"range": 1.0}, pieces, pieces)
    found = near.of(pieces)
    values = statistics_of(pieces, ["range"])[:, 0]
    assert np.argmax(found) == np.argmin(np.abs(values - values.mean()))
    assert (found <= 0).all()


def test_pairs_are_made_within_listeners_and_what_is_none_is_counted():
    rows = [
        *answers(),
        row(0, "y", "x", "b"),
        row(0, "x", "y", "tie"),
        row(0, "x", "y", "a", kind="catch"),
        row(1, "x", "y", "a", finished="0"),
        row(2, "x", "", "5"),
        row(2, "y", "", "3"),
        row(3, "y", "", "1"),  # the only rating of this listener
    ]
    pairs, aside = pairs_of(rows, ["x", "y"], "answers.csv")
    assert pairs.better.tolist() == [0] * 6
    assert pairs.listener.tolist() == [0, 1, 2, 3, 0, 2]
    assert aside == {"not a main trial": 1, "not finished": 1, "no preference": 1}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (answers(1), "preferences of 1 listeners and needs 4"),
        ([*answers(), row(1, "x", "zz", "a")], "about 'zz', which is not among the study's 2"),
        ([{"listener": 1}], "lacks the columns study, simulated"),
        ([], "preferences of 0 listeners"),
    ],
)
def test_answers_that_cannot_be_used_are_refused(rows, words):
    with pytest.raises(ValueError, match=words):
        pairs_of(rows, ["x", "y"], "answers.csv")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "guess"}, "none of simulated, corpus, answers"),
        ({"weights": {"beauty": 1.0}}, "beauty"),
        ({"weights": {}}, "needs weights"),
        ({"kind": "answers"}, "has no weights"),
        ({"kind": "answers", "weights": {}}, "mode=export"),
        ({"kind": "corpus"}, "needs second"),
        ({"reward": {"members": 2}}, "at least 3"),
        ({"clips": {"each": 1}}, "at least 2"),
        ({"listeners": {"count": 1}}, "at least 4"),
    ],
)
def test_contradictions_in_a_study_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        study_settings(MICRO | change)


def many_pairs(utility, rng, listeners=12, prompts=10, count=1500):
    better, worse = rng.integers(0, len(utility), (2, count))
    first = np.array(
        [choose(rng, utility[a], utility[b]) == "a" for a, b in zip(better, worse, strict=True)]
    )
    better, worse = np.where(first, better, worse), np.where(first, worse, better)
    who, what = rng.integers(0, listeners, count), rng.integers(0, prompts, count)
    return Pairs(better, worse, who, what)


def test_a_split_shares_neither_listeners_nor_prompts():
    rng = np.random.default_rng(2)
    pairs = many_pairs(np.zeros(20), rng)
    split = split_pairs(pairs, 0.25, 1)
    assert len(split.first) + len(split.second) + len(split.test) + split.aside == len(pairs)
    for one in (split.first, split.second):
        assert not set(one.listener) & set(split.test.listener)
        assert not set(one.prompt) & set(split.test.prompt)
    assert not set(split.first.listener) & set(split.second.listener)


def test_a_reward_model_finds_the_utility_that_choices_follow():
    rng = np.random.default_rng(3)
    notes, trunk = rng.normal(size=(80, len(STATISTICS))), torch.randn(80, 16)
    notes[0, 3] = np.nan  # nothing to count
    utility = 2 * notes[:, 1] - notes[:, 0]
    pairs = many_pairs(utility, rng)
    split = split_pairs(pairs, 0.25, 1)
    features = Features(trunk, notes)
    model = fit_ensemble(features, split.first, RewardSettings(members=3), 1)
    reward = model.reward(features).numpy()
    assert np.corrcoef(reward, utility)[0, 1] > 0.9
    assert reward.mean() == pytest.approx(0, abs=1e-4)
    assert reward.std() == pytest.approx(1, abs=0.02)
    found = report_of(model(features).mean(dim=0).double().numpy(), split.test, 1)
    chance = trivial_rewards({"notes": rng.normal(size=80)}, split.first, split.test, 1)
    assert found["accuracy"]["low"] > chance["notes"]["high"]
    assert found["calibration_error"] < 0.15
    assert sum(line["pairs"] for line in found["calibration"]) == len(split.test)


def test_pairs_by_the_corpus_are_of_one_prompt_and_differ():
    pairs = nearest_pairs(["p", "p", "q", "q", "q"], np.array([1.0, 0.0, 2.0, 2.0, 3.0]))
    found = set(zip(pairs.better.tolist(), pairs.worse.tolist(), strict=True))
    assert found == {(0, 1), (4, 2), (4, 3)}


def test_the_vendi_score_counts_what_differs():
    assert vendi_score(torch.tensor([[1.0, 0.0], [-1.0, 0.0]] * 4)) == pytest.approx(1.0)
    corners = torch.cat([torch.eye(4), -torch.eye(4)])
    assert vendi_score(corners) == pytest.approx(4.0)
    assert vendi_score(torch.randn(30, 40)) > 15


def test_training_stops_where_the_two_rewards_part():
    """An exploited reward rises for ever; what decides is the one never trained against."""
    rows = [
        {"kl": float(n), "diversity": 1.0, "first": 1.0 * n, "second": gain}
        for n, gain in enumerate([0.0, 0.4, 0.6, 0.3, -0.5])
    ]
    history = [{"valid_loss": objective(row, 10.0)} for row in rows]
    assert since_best(history) == 2
    assert min(range(5), key=lambda n: history[n]["valid_loss"]) == 2


@pytest.mark.parametrize("change", [{"kl": 11.0}, {"diversity": 0.5}])
def test_a_model_outside_the_budget_is_worse_than_any_within(change):
    good = {"kl": 5.0, "diversity": 0.9, "first": 1.0, "second": -3.0}
    bad = good | {"second": 9.0} | change
    assert is_within(good, 10.0)
    assert not is_within(bad, 10.0)
    assert objective(bad, 10.0) > objective(good, 10.0)


@pytest.fixture(scope="module")
def studied(model_folder, tokens, tmp_path_factory):
    """A folder with the study `micro` of the tiny lstm."""
    root = tmp_path_factory.mktemp("studied")
    trained = load_trained(model_folder)
    out = root / "data" / "feedback" / "micro"
    card = write_study(out, trained, tokens, study_settings(MICRO))
    again = root / "again" / "micro"
    write_study(again, trained, tokens, study_settings(MICRO))
    assert checksums(out) == checksums(again)
    return root, card


@pytest.fixture(scope="module")
def refereed(studied, model_folder, tokens):
    """The study `referee` of the same model, beside it: with the corpus as referee."""
    told = {key: value for key, value in MICRO.items() if key in ("clips", "seed")}
    told |= {"kind": "corpus", "weights": {"turns": 1.0, "alone": 1.0, "triads": 0.5}}
    settings = study_settings(told | {"second": ["stepwise"]})
    return write_study(
        studied[0] / "data/feedback/referee", load_trained(model_folder), tokens, settings
    )


@pytest.fixture
def tuning(studied, settings_of, monkeypatch):
    """Settings of a tiny tuning in the folder of the study."""
    monkeypatch.chdir(studied[0])

    def make(steps=4, every=2, patience=0, lr=0.01, batch=4, **model):
        told = {"study": "feedback/micro", "base": base_of("feedback/micro")}
        made = settings_of(
            steps=steps, validate_every=every, batch=batch, ema_decay=0.0, patience=patience
        )
        return replace(
            made,
            system="micro-tuned",
            family="tuned",
            model=TUNED | model | told,
            optimizer=replace(made.optimizer, lr=lr, warmup=0),
        )

    return make


def test_a_study_says_what_it_is_and_notices_damage(studied, monkeypatch, flip_byte, tmp_path):
    root, card = studied
    monkeypatch.chdir(root)
    assert card["simulated"]
    assert card["pairs"] == 8 * 12
    assert card["best_of"]["of"] == 3
    assert card["reward"]["first"]["held_out"]["accuracy"]["groups"] >= 1
    assert card["code"]["feedback/guards.py"]
    study = open_study("feedback/micro")
    assert len(study.clips) == 18
    truth = study.utility.of(study.clips.pieces)
    agree = truth[study.pairs.better] > truth[study.pairs.worse]
    assert agree.mean() > 0.6
    content = (root / "data/feedback/micro/pairs.npz").read_bytes()
    flip_byte(root / "data/feedback/micro/pairs.npz")
    with pytest.raises(DamagedFile, match="dvc repro feedback@micro"):
        open_study("feedback/micro")
    (root / "data/feedback/micro/pairs.npz").write_bytes(content)


class Killed:
    """A record of a training that is killed at a row, after the state before it."""

    def __init__(self, at):
        self.at = at

    def log(self, metrics, step):
        if step == self.at:
            raise RuntimeError("killed")

    def flush(self):
        """Nothing is kept."""

    def finish_weights(self, sha256):
        """Never reached."""


@pytest.mark.parametrize(("method", "at"), [("dpo", 4), ("rloo", 2), ("expected", 2)])
def test_tuning_begins_at_the_base_and_resumes_to_the_bit(
    method, at, tuning, train, tmp_path, refereed, monkeypatch
):
    @contextmanager
    def killed(mark):
        yield Killed(at)

    settings = tuning(method=method)
    if method == "expected":
        with pytest.raises(ValueError, match="needs a study of kind corpus with a weight of one"):
            train(settings, tmp_path / "a", tmp_path / "resume")
        told = {"study": "feedback/referee", "base": base_of("feedback/referee")}
        settings = replace(settings, model=settings.model | told | {"tables_lr": 3.0})
        with pytest.raises(ValueError, match="the base has none: take tables_lr=1"):
            train(settings, tmp_path / "a", tmp_path / "resume")
        monkeypatch.setattr("ostinato.training.policy.TABLES", "bias")
    card = train(settings, tmp_path / "a", tmp_path / "resume")
    assert (card["paradigm"], card["model"]["base"]["family"]) == ("policy", "lstm")
    with pytest.raises(RuntimeError, match="killed"):
        train(settings, tmp_path / "b", tmp_path / "resume", killed)
    train(settings, tmp_path / "b", tmp_path / "resume")
    assert checksums(tmp_path / "a") == checksums(tmp_path / "b")
    names, base, *_ = (tmp_path / "a" / "history.csv").read_text().splitlines()
    first = dict(zip(names.split(","), base.split(","), strict=True))
    assert (first["step"], first["valid_first"], first["valid_diversity"]) == ("0", "0.0", "1.0")
    assert float(first["valid_kl"]) == pytest.approx(0, abs=1e-4)
    assert float(first.get("valid_nearness", 0)) == 0
    trained = load_trained(tmp_path / "a")
    assert type(trained.model).__module__.endswith("autoregressive.lstm")


def test_a_planted_reward_is_exploited_and_the_guard_keeps_an_earlier_model(
    tuning, train, tmp_path, studied
):
    """The reward counts notes alone; the guarding reward, and the listeners, dislike them."""
    from ostinato.feedback import folder
    from ostinato.training import policy

    study = open_study("feedback/micro")
    pieces = study.clips.pieces
    planted = Utility.fitted({"notes_per_bar": 1.0}, pieces)
    guarding = Utility.fitted({"notes_per_bar": -1.0, "stepwise": 1.0}, pieces)
    pairs = nearest_pairs(study.clips.prompts, planted.of(pieces))
    rewards = folder.Rewards(planted, guarding)
    exploited = replace(study, pairs=pairs, rewards=rewards)
    settings = tuning(steps=24, every=4, patience=2, lr=0.01, batch=8, beta=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "open_study", lambda _: exploited)
        card = train(settings, tmp_path / "planted", tmp_path / "resume")
    rows = (tmp_path / "planted" / "history.csv").read_text().splitlines()
    names = rows[0].split(",")
    fit, second = (
        [float(line.split(",")[names.index(name)]) for line in rows[1:]]  # the first: the base
        for name in ("train_loss", "valid_second")
    )
    assert fit[-1] < fit[1] < 0.69, "the planted preference was learned"
    assert second[-1] < max(second), "and the guarding reward fell"
    assert card["best_step"] == 4 * int(np.argmax(second))
    assert len(rows) - 1 < 7, "training stopped before its last step"


def test_the_untuned_base_is_kept_where_no_step_is_better(tuning, train, tmp_path, capsys):
    card = train(tuning(steps=2, kl_budget=1e-3, lr=0.1), tmp_path / "a", tmp_path / "resume")
    assert (card["best_step"], card["best_valid_loss"]) == (0, 0.0)
    base, kept = open_study("feedback/micro").base, load_trained(tmp_path / "a").model.state_dict()
    assert all(torch.equal(base[name], value) for name, value in kept.items())
    assert "no step is better than the untuned base" in capsys.readouterr().out
    row = {"step": "0", "valid_kl": "0.0", "valid_second": "0.0"}
    found = tuning_measure.measure(SimpleNamespace(card=card, history=[row])).values
    assert all("base was kept" in figure.label for figure in found.values())


def test_the_best_of_some_by_the_reward_is_the_best_of_what_is_made_without(studied, model_folder):
    generator = Generator(load_trained(model_folder))
    told = {"reward": studied[0] / "data/feedback/micro", "best_of": 3, "overrides": []}
    judge, _ = judge_of(told)
    with pytest.raises(ValueError, match="chooses among candidates: add best_of=8"):
        judge_of(told | {"best_of": 1})
    request = Request(bars=2, min_bars=2, n=2, seed=5)
    best = judge.best(generator, request)
    groups = [generator.generate(one) for one in candidates_of(request, 3)]
    for number, chosen in enumerate(best):
        rewards = {group[number].row["id"]: judge._reward(group[number]) for group in groups}
        assert rewards[chosen.row["id"]] == max(rewards.values())


@pytest.mark.parametrize("simulated", [False, True])
def test_answers_are_about_samples_that_are_there(simulated, model_folder, tokens, tmp_path):
    trained = load_trained(model_folder)
    generator = Generator(trained)
    samples = generator.generate(Request(bars=2, min_bars=2, n=8, seed=3))
    write_samples(tmp_path / "samples" / "lstm", "lstm", samples)
    names = [f"lstm/unconditional-{number}/plain" for number in range(8)]
    rows = [
        row(who, names[n], names[n + 4], "a", item=f"p{n}") | {"simulated": int(simulated)}
        for who in range(8)
        for n in range(4)
    ]
    csv, told = tmp_path / "answers.csv", {"samples": str(tmp_path / "samples")}
    csv.write_text(as_csv(rows))
    told |= {"kind": "answers", "weights": {}, "answers": str(csv), "reward": {"steps": 3}}
    told["clips"] = {"prompts": 4, "guard": 2, "prompt_bars": 1, "bars": 1}
    with pytest.raises(ValueError, match="digest is empty: write it into") as refused:
        write_study(tmp_path / "real", trained, tokens, study_settings(told))
    told["digest"] = str(refused.value).split("the digest ")[1].split(",")[0]
    card = write_study(tmp_path / "real", trained, tokens, study_settings(told))
    assert (card["simulated"], card["listeners"], card["pairs"]) == (simulated, 8, 32)
    assert card["utility"] is None
    with pytest.raises(ValueError, match="mode=export"):
        write_study(tmp_path / "x", trained, tokens, study_settings(told | {"answers": "a.db"}))
    csv.write_text(as_csv([*rows, row(1, names[0], "bach/bwv1/plain", "a")]))
    with pytest.raises(ValueError, match="ratings of 'bach/bwv1/plain', and there is no"):
        write_study(tmp_path / "x", trained, tokens, study_settings(told))

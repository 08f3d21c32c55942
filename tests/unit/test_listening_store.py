"""The store: one answer a trial, tokens, withdrawal, changed studies, schemas."""

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

sys.path.append(str(Path(__file__).parents[1]))  # helpers of tests
from listening_study import SYSTEMS, plan_of, settings, store_of

from ostinato.listening.export import codes, rows
from ostinato.listening.store import database
from ostinato.listening.store.answers import check_answer, check_log, check_milliseconds
from ostinato.listening.store.store import ABANDONED_SECONDS, Closed, Refused, Store
from ostinato.listening.store.tables import AnswerRow, ListenerRow, SoundRow, TrialRow
from ostinato.listening.study import study_of


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Tones and their stimuli, which are made once."""
    return tmp_path_factory.mktemp("tones")


@pytest.fixture
def store(root, tmp_path):
    return store_of(root, tmp_path)


def answered(store, token, value="a"):
    """Answer all trials that are left."""
    count = 0
    while (current := store.current(token)) is not None:
        assert store.answer(token, current.key, {"liking": value}, [], 1000)
        count += 1
    return count


def test_a_listener_goes_through_all_trials_and_gets_a_code(store):
    token = store.begin("en")
    assert answered(store, token) == len(store.plan.lists[0])
    listener = store.listener(token)
    assert (listener.state, len(listener.code)) == ("done", 8)
    assert store.progress()["finished"] == 1
    assert listener.code in codes(store.engine, "tones")


def test_the_first_answer_stays(store):
    token = store.begin("en")
    key = store.current(token).key
    assert store.answer(token, key, {"liking": "a"}, [], 1)
    assert not store.answer(token, key, {"liking": "b"}, [], 1)
    found = [(row["answer"], row["repeats"]) for row in rows(store.engine, "tones")]
    assert found == [("a", 1)]


def test_many_tabs_at_once_store_one_answer(store):
    token = store.begin("en")
    key = store.current(token).key
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(store.answer, token, key, {"liking": "b"}, [], 1) for _ in range(24)]
        assert sum(one.result() for one in sent) == 1
    assert len(rows(store.engine, "tones")) == 1


def test_a_double_click_on_begin_makes_one_listener(store):
    with ThreadPoolExecutor(4) as pool:
        tokens = list(pool.map(lambda _: store.begin("en", "one visit"), range(8)))
    assert len(set(tokens)) == 1
    assert store.progress()["unfinished"] == 1
    assert store.begin("en", "another visit") != tokens[0]


def test_listeners_at_once_get_different_lists(store):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: store.begin("en"), range(4)))
    with Session(store.engine) as session:
        assert sorted(session.scalars(select(ListenerRow.slot))) == [0, 1, 2, 3]
    with pytest.raises(Closed):
        store.begin("en")


def test_answers_need_the_token_of_a_trial_that_was_shown(store):
    token, other = store.begin("en"), store.begin("en")
    key = store.current(token).key
    with Session(store.engine) as session:
        later = session.scalar(select(TrialRow.key).where(TrialRow.shown_at.is_(None)))
    for given, trial in ((other, key), ("", key), ("wrong", key), (token, "x"), (token, later)):
        with pytest.raises(Refused):
            store.answer(given, trial, {"liking": "a"}, [], 1)


def test_sounds_need_the_token_and_an_unfinished_trial(store):
    token, other = store.begin("en"), store.begin("en")
    current = store.current(token)
    name = current.sounds[0][1]
    assert store.stimulus(token, name) in store.plan.stimuli.files
    assert store.stimulus(other, name) is None
    assert store.stimulus("", name) is None
    store.answer(token, current.key, {"liking": "a"}, [], 1)
    assert store.stimulus(token, name) is None


def test_no_name_of_a_sound_is_used_twice(store):
    for _ in range(3):
        store.begin("en")
    with Session(store.engine) as session:
        names = list(session.scalars(select(SoundRow.key)))
    assert len(set(names)) == len(names) > 20
    assert not any(system in name for name in names for system in SYSTEMS)


def test_withdrawing_deletes_everything_and_frees_the_list(store):
    token = store.begin("en")
    answered(store, token)
    assert store.withdraw(token)
    assert not store.withdraw(token)
    assert store.listener(token) is None
    with Session(store.engine) as session:
        for table in (ListenerRow, TrialRow, SoundRow, AnswerRow):
            assert session.scalar(select(func.count()).select_from(table)) == 0
    assert store.progress()["withdrawn"] == 1
    store.begin("en")
    with Session(store.engine) as session:
        assert session.scalar(select(ListenerRow.slot)) == 0


def test_nothing_of_who_withdrew_is_in_the_files(store, tmp_path):
    """Neither in the write-ahead log nor in pages that SQLite has freed."""
    token = store.begin("en")
    keys = []
    while (current := store.current(token)) is not None:
        keys.append(current.key)
        store.answer(token, current.key, {"liking": "a"}, [[777777, "play", "a", 0]], 1)
    marks = [hashlib.sha256(token.encode()).hexdigest(), "777777", *keys]

    def left():
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        return [mark for mark in marks if mark.encode() in content]

    assert left() == marks
    store.withdraw(token)
    assert left() == []


def test_a_list_that_was_abandoned_is_given_again(root, tmp_path):
    plan, now = plan_of(root, listeners=1), [0.0]
    engine = database.open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    store = Store(engine, plan, clock=lambda: now[0])
    store.register(simulated=False)
    token = store.begin("en")
    with pytest.raises(Closed):
        store.begin("en")
    now[0] = ABANDONED_SECONDS + 1
    store.begin("en")
    assert answered(store, token), "whoever comes back can go on"


def test_a_stopped_study_takes_nobody_and_lets_others_finish(store):
    token = store.begin("en")
    store.stop(stopped=True)
    with pytest.raises(Closed):
        store.begin("en")
    assert answered(store, token)
    store.stop(stopped=False)
    assert store.begin("en")


def test_a_changed_study_with_answers_needs_a_new_id(store, root):
    changed = Store(store.engine, plan_of(root, trials=3))
    changed.register(simulated=False)  # nobody has begun
    again = Store(store.engine, plan_of(root))
    again.register(simulated=False)
    again.begin("en")
    with pytest.raises(ValueError, match="id: tones-2"):
        changed.register(simulated=False)
    again.register(simulated=False)


def test_simulated_and_real_answers_are_not_mixed(store):
    with pytest.raises(ValueError, match="real answers of tones"):
        store.register(simulated=True)


def test_commits_of_sqlite_reach_the_disk(tmp_path):
    with database.connect(f"sqlite:///{tmp_path / 'x.db'}").connect() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "journal_mode")
        ]
    assert found == [2, "wal"]  # 2: FULL


def test_the_token_is_not_in_the_store(store, tmp_path):
    token = store.begin("en")
    store.engine.dispose()
    content = b"".join(path.read_bytes() for path in tmp_path.glob("answers.db*"))
    assert token.encode() not in content


@pytest.mark.parametrize(
    ("design", "given"),
    [
        ("ab", {}),
        ("ab", {"liking": "c"}),
        ("ab", {"liking": "tie"}),
        ("ab", {"liking": ["a"]}),
        ("ab", {"liking": "a", "more": "a"}),
        ("ratings", {"liking": 6}),
        ("ratings", {"liking": True}),
        ("ratings", {"liking": 2.5}),
        ("ratings", {"liking": 3.0}),
        ("ratings", {"liking": "3"}),
        ("mushra", {"s0": 1, "s1": 2}),
        ("mushra", {"s0": 1, "s1": 101}),
        ("mushra", {"s0": 1, "s1": 2, "s2": 3.0}),
        ("ab", []),
    ],
)
def test_invalid_answers_are_refused(design, given):
    study = study_of(settings(design))
    roles = ["ref", "s0", "s1", "s2"] if design == "mushra" else ["a", "b"]
    with pytest.raises(ValueError, match=r"answer|question"):
        check_answer(study, roles, given)


@pytest.mark.parametrize(
    "log", [{}, [1], [[1, "play", "a"]], [[1, "dance", "a", 0]], [[-1, "play", "a", 0]]]
)
def test_invalid_logs_are_refused(log):
    with pytest.raises(ValueError, match="log"):
        check_log(["a"], log)
    with pytest.raises(ValueError, match="log"):
        check_log(["a"], [[0, "play", "a", 0]] * 3000)
    with pytest.raises(ValueError, match="time"):
        check_milliseconds("soon")


def test_the_export_says_what_was_played_first_and_for_how_long(store):
    token = store.begin("en")
    current = store.current(token)
    log = [[100, "play", "b", 0], [600, "switch", "a", 500], [1000, "pause", "a", 900]]
    store.answer(token, current.key, {"liking": "b"}, log, 1500)
    (row,) = rows(store.engine, "tones")
    assert (row["first_played"], row["response_ms"], row["views"]) == ("b", 1500, 1)
    assert json.loads(row["heard_ms"]) == {"a": 400, "b": 500}
    assert json.loads(row["plays"]) == {"a": 1, "b": 1}
    assert row["system"] == dict(current.trial.sounds)["b"].split("/")[0]


def test_stores_of_other_programs_and_versions_are_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table listening_version (version_num varchar)")
        connection.exec_driver_sql("insert into listening_version values ('9999')")
    with pytest.raises(ValueError, match="newer Ostinato"):
        database.open_engine(url)
    (tmp_path / "text.db").write_text("this is not a database, but it is long enough" * 10)
    with pytest.raises(ValueError, match="cannot be opened"):
        database.open_engine(f"sqlite:///{tmp_path / 'text.db'}")
    for url in ("mysql://x/y", "nonsense"):
        with pytest.raises(ValueError, match="store="):
            database.open_engine(url)
    assert "secret" not in database.shown("postgresql://me:secret@host/x")


def test_an_old_store_is_upgraded_and_copied_first(tmp_path):
    url = f"sqlite:///{tmp_path / 'old.db'}"
    database._migrate(database.connect(url), "0001")
    with database.connect(url).begin() as connection:
        connection.exec_driver_sql(
            "insert into listening_studies values ('old', 'd', '{}', 's', false, false, 3)"
        )
    with pytest.raises(database.OldStore, match="mode=upgrade"):
        database.open_engine(url)
    assert f"0001 → {database.HEAD}" in database.upgrade(url)
    assert (tmp_path / "old.db.0001").exists()
    engine = database.open_engine(url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("select id, withdrawn from listening_studies").all()
    assert [tuple(row) for row in found] == [("old", 3)]
    assert "already" in database.upgrade(url)


def test_the_migrations_make_the_tables_of_the_code(store):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from ostinato.listening.store.tables import Base

    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": database.VERSION_TABLE}
        )
        assert compare_metadata(context, Base.metadata) == []

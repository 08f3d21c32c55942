"""What a dataset says about its files: names, tables, databases; later rules win."""

import sqlite3

import pytest

from ostinato.files import MissingInput
from ostinato.normalization.catalogue import Facts, facts_of

NAMES = ["train/a-Q1.mid", "valid/b-Q2.mid", "set.json#test/000"]


def test_named_groups_of_a_pattern_are_facts_and_a_name_without_a_match_has_none(tmp_path):
    rule = {"match": r"^(?P<split>train|valid)/(?P<title>\w)-(?P<mood>Q\d)"}
    facts = facts_of(tmp_path, NAMES, [rule])
    assert facts["train/a-Q1.mid"] == Facts(title="a", split="train", labels={"mood": "Q1"})
    assert facts["set.json#test/000"] == Facts()


def test_a_table_is_joined_by_its_key_and_values_are_cut_and_renamed(tmp_path):
    (tmp_path / "info.csv").write_text(
        "# made by hand\nfile ,style,part\na-Q1.mid , funk/groove1 ,train\n"
        "b-Q2.mid,jazz,validation\ngone.mid,x,test\n"
    )
    rules = [
        {"set": {"style": "none", "origin": "here"}},
        {
            "table": "info.csv",
            "key": "{part}/{file}",
            "columns": {
                "split": "part",
                "style": {"column": "style", "match": "^([^/]+)"},
                "work": "{style} by {part}",
            },
        },
        {
            "table": "info.csv",
            "key": "file",
            "prefix": "valid/",
            "columns": {"split": "part", "style": "style"},
            "rename": {"split": {"validation": "valid"}},
        },
    ]
    facts = facts_of(tmp_path, NAMES, rules)
    assert facts["train/a-Q1.mid"].labels == {"origin": "here", "style": "funk"}
    assert facts["train/a-Q1.mid"].work == "funk/groove1 by train"
    assert facts["valid/b-Q2.mid"] == Facts(
        split="valid", labels={"origin": "here", "style": "jazz"}
    )
    assert facts["set.json#test/000"].labels == {"origin": "here", "style": "none"}


def test_a_row_about_a_file_is_about_every_piece_in_it(tmp_path):
    (tmp_path / "info.csv").write_text("file,style\ntunes.abc,reel\ntunes.abc#2,jig\n")
    rule = {"table": "info.csv", "key": "file", "columns": {"style": "style"}}
    facts = facts_of(tmp_path, ["tunes.abc#1", "tunes.abc#2", "tunes.abc#3"], [rule])
    assert [facts[f"tunes.abc#{n}"].labels["style"] for n in (1, 2, 3)] == ["reel", "jig", "reel"]


def test_a_table_without_a_header_and_with_another_delimiter_is_read(tmp_path):
    (tmp_path / "list").write_text("old_0; a-Q1.mid; Me;  A Title\n")
    rule = {
        "table": "list",
        "header": ["group", "file", "author", "title"],
        "delimiter": ";",
        "key": "train/{file}",
        "columns": {"title": "title", "style": {"column": "group", "match": r"^([a-z]+)_"}},
    }
    facts = facts_of(tmp_path, NAMES, [rule])
    assert facts["train/a-Q1.mid"] == Facts(title="A Title", labels={"style": "old"})


def test_a_database_is_asked_and_an_empty_value_overwrites_nothing(tmp_path):
    with sqlite3.connect(tmp_path / "works.db") as connection:
        connection.execute("create table works (name text, genre text, year int)")
        rows = [("a-Q1", "Jazz", 1930), ("b-Q2", None, None)]
        connection.executemany("insert into works values (?, ?, ?)", rows)
    connection.close()
    rule = {
        "database": "works.db",
        "query": "select 'train/' || name, genre, year from works",
        "suffix": ".mid",
        "columns": {"genre": "genre", "year": "year"},
    }
    facts = facts_of(tmp_path, NAMES, [{"set": {"genre": "unknown"}}, rule])
    assert facts["train/a-Q1.mid"].labels == {"genre": "Jazz", "year": "1930"}
    assert facts["valid/b-Q2.mid"].labels == {"genre": "unknown"}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"pattern": "x"}, "exactly one of match, table, database, set"),
        ({"match": "x", "key": "y"}, "with match has no key"),
        ({"set": {"split": "dev"}}, r"train/a-Q1\.mid: its split is 'dev'.*rename"),
        ({"table": "t.csv", "key": "nothing", "columns": {}}, "no column 'nothing'; .* file, x"),
        ({"table": "t.csv", "key": "file", "columns": {"a": "b"}}, "no column 'b'.* file, x"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_named(tmp_path, rule, words):
    (tmp_path / "t.csv").write_text("file,x\ntrain/a-Q1.mid,1\n")
    with pytest.raises(ValueError, match=words):
        facts_of(tmp_path, NAMES, [rule])


def test_rows_that_give_a_piece_two_splits_are_refused_and_words_for_one_split_are_not(tmp_path):
    rule = {"table": "t.csv", "key": "file", "columns": {"split": "part"}}
    renamed = rule | {"rename": {"split": {"dev": "valid"}}}
    rows = "file,part\ntrain/a-Q1.mid,valid\ntrain/a-Q1.mid,{}\n"
    (tmp_path / "t.csv").write_text(rows.format("dev"))
    assert facts_of(tmp_path, NAMES, [renamed])["train/a-Q1.mid"].split == "valid"
    (tmp_path / "t.csv").write_text(rows.format("test"))
    words = r"t\.csv gives 'train/a-Q1\.mid' two splits, 'valid' and 'test'"
    with pytest.raises(ValueError, match=words):
        facts_of(tmp_path, NAMES, [renamed])


def test_a_table_that_is_not_there_names_the_command_that_brings_it(tmp_path):
    rule = {"table": "info.csv", "key": "x", "columns": {}}
    with pytest.raises(MissingInput, match=r"info\.csv is missing.*download@") as missing:
        facts_of(tmp_path, NAMES, [rule])
    assert str(missing.value).endswith(f"python pipelines/download.py update={tmp_path.name}")
    with pytest.raises(MissingInput, match=r"^/no/info\.csv is missing; [^@]* put it there$"):
        facts_of(tmp_path, NAMES, [rule | {"table": "/no/info.csv"}])

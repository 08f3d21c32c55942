"""Every dataset of conf/dataset says where it comes from, on what terms, and how it is split."""

import fnmatch
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ostinato.datasets.kinds import ArchivesSource, FolderSource
from ostinato.datasets.source import source_from
from ostinato.normalization.catalogue import KINDS, SPLITS, facts_of
from ostinato.normalization.normalize import options_from

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "conf/dataset").glob("*.yaml"))
NAMED = {  # what the catalogue offers without a person's own files
    "asap", "bach", "bach_370", "emopia", "giantmidi", "groove", "joplin", "jsb", "lakh",
    "lakh_matched", "lakh_trio", "maestro", "multitrack_gm", "music21_corpus", "nottingham",
    "openewld", "poly_music", "pop909", "wjazzd",
}  # fmt: skip
# one label has one name in all datasets, so that corpora can be joined and conditions be named
LABELS = {
    "authors", "beat_type", "collection", "composer", "dance", "drummer", "emotion", "genre",
    "groove", "movement", "performer", "set", "style", "style_source", "version", "year",
}  # fmt: skip
SPECIAL = {"title", "work", "split"}
# names of pieces as the sets have them, and what must be known of each without any table
KNOWN = {
    ("jsb", "Jsb16thSeparated.json#valid/003"): {"split": "valid", "title": "valid/003"},
    ("poly_music", "Piano_midi.mat#test/024"): {"split": "test", "set": "piano-midi"},
    ("lakh_trio", "samples/train/trio/sample_7.mid"): {"split": "train"},
    ("pop909", "POP909/042/042.mid"): {"work": "042", "style": "pop"},
    ("asap", "Bach/Fugue/bwv_846/Shi05M.mid"): {"style": "classical", "collection": "maestro"},
    ("asap", "Chopin/Ballades/1/Ali01.mid"): {"collection": "e-competition"},
    ("nottingham", "MIDI/reelsa-c28.mid"): {"style": "reel", "title": "reelsa-c28"},
    ("emopia", "EMOPIA_2.2/midis/Q3_4Er-eFHSHA4_2.mid"): {"emotion": "Q3", "work": "4Er-eFHSHA4"},
    ("emopia", "EMOPIA_2.2/midis/Q1__8v0MFBZoco_1.mid"): {"emotion": "Q1", "work": "_8v0MFBZoco"},
    ("lakh_matched", f"lmd_matched/A/B/C/TRABC{'1' * 13}/{'0a' * 16}.mid"): {
        "work": f"TRABC{'1' * 13}"
    },
    ("wjazzd", "mcsv_melody/ChetBaker_Let'sGetLost_FINAL.csv"): {
        "performer": "ChetBaker",
        "work": "Let'sGetLost",
    },
    ("wjazzd", "mcsv_melody/CliffordBrown_I'llRememberApril_AlternateTake2_FINAL.csv"): {
        "work": "I'llRememberApril",
        "title": "I'llRememberApril_AlternateTake2",
    },
    ("wjazzd", "mcsv_melody/JohnColtrane_GiantSteps-2_FINAL.csv"): {"work": "GiantSteps"},
    ("music21_corpus", "palestrina/Agnus_III_b.krn"): {
        "collection": "palestrina",
        "movement": "Agnus",
    },
    ("music21_corpus", "monteverdi/madrigal.3.1.mxl"): {"composer": "Claudio Monteverdi"},
    ("music21_corpus", "essenFolksong/erk10.abc#353"): {"collection": "essen"},
    ("music21_corpus", "ryansMammoth/AcaciaReel.abc"): {
        "collection": "ryans-mammoth",
        "dance": "Reel",
    },
}


def settings(path):
    return YAML(typ="safe").load(path)


def rules(path):
    return settings(path)["normalize"].get("facts", [])


def test_the_catalogue_is_whole():
    assert {path.stem for path in FILES} >= NAMED


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestDataset:
    def test_says_what_it_is_where_it_is_from_and_on_what_terms(self, path):
        header = re.match(r"(#.*\n)+", path.read_text(encoding="utf-8"))
        assert header is not None
        source = source_from(path.stem, settings(path)["source"])
        for words in (source.licence, source.citation):
            assert words.strip()
        assert isinstance(source, FolderSource) or source.url.startswith("https://")
        if path.stem in NAMED - {"bach"}:
            assert len(header.group().split()) > 40, "a paragraph, not a line"
            assert "Good for:" in header.group()
            assert "Beware:" in header.group()

    def test_cannot_be_had_unverified(self, path):
        source = source_from(path.stem, settings(path)["source"])
        copies = [copy for part in getattr(source, "parts", ()) for copy in part.copies]
        assert source.digest or (copies and all(copy.is_hashed for copy in copies))
        assert source.digest != "0" * 64
        for copy in copies:
            assert copy.is_hashed or "/archive/" in copy.url, "only GitHub packs anew"
            if "github" in (copy.url or ""):
                assert re.search(r"[/][0-9a-f]{40}([/.])", copy.url), f"{copy.url} is not pinned"

    def test_has_a_split_rule_and_valid_options(self, path):
        options = options_from(path.stem, settings(path)["normalize"])
        assert "split" in settings(path)["normalize"]
        for pattern in options.files:
            assert not fnmatch.fnmatchcase("manifest.json", pattern), "our own file is no music"
        if options.split.official:
            given = [fact for rule in rules(path) for fact in facts_named(rule)]
            assert "split" in given, "an official split needs a rule that reads it"

    def test_has_rules_that_name_known_facts(self, path):
        for rule in rules(path):
            kinds = [kind for kind in KINDS if kind in rule]
            assert len(kinds) == 1
            assert set(rule) <= KINDS[kinds[0]]
            assert facts_named(rule), f"{rule} states nothing"
            assert set(facts_named(rule)) <= SPECIAL | LABELS
            assert set(rule.get("rename", {})) <= set(facts_named(rule))
            for words in rule.get("rename", {}).get("split", {}).values():
                assert words in SPLITS

    def test_reads_its_tables_from_what_is_unpacked(self, path):
        source = settings(path)["source"]
        for rule in rules(path):
            wanted = rule.get("table") or rule.get("database")
            if wanted:
                assert isinstance(source_from(path.stem, source), ArchivesSource)
                unpacked = [
                    "/".join(filter(None, (part.get("into", ""), pattern)))
                    for part in source["parts"]
                    for pattern in part.get("include", [])
                ]
                assert wanted in unpacked or wanted.replace(Path(wanted).stem, "*") in unpacked


def facts_named(rule):
    """The facts that a rule can state."""
    if "match" in rule:
        return list(re.compile(rule["match"]).groupindex)
    for source in rule.get("columns", {}).values():
        if not isinstance(source, str):
            assert set(source) == {"column", "match"}
            assert re.compile(source["match"]).groups >= 1, "the first group is the fact"
    return list(rule.get("columns") or rule["set"])


@pytest.mark.parametrize(("dataset", "name"), KNOWN, ids=lambda value: value)
def test_names_of_pieces_say_what_they_should(dataset, name, tmp_path):
    path = ROOT / f"conf/dataset/{dataset}.yaml"
    by_name = [rule for rule in rules(path) if "match" in rule or "set" in rule]
    facts = facts_of(tmp_path, [name], by_name)[name]
    found = {"title": facts.title, "work": facts.work, "split": facts.split} | dict(facts.labels)
    wanted = KNOWN[dataset, name]
    assert {key: found.get(key) for key in wanted} == wanted


def test_movements_and_versions_of_one_work_have_one_name(tmp_path):
    """The table of GiantMIDI's evaluation part, with rows of its three kinds."""
    table = tmp_path / "midis_for_evaluation/groundtruth_maestro_giantmidi-piano.csv"
    table.parent.mkdir()
    rows = ["Name\tGroundTruth\tMaestro\tGiantMIDI-Piano"]
    rows += [f"Debussy, Estampes, L. 100, No. {n}\tg{n}.mid\tm{n}.mid\tt{n}.mid" for n in (1, 2)]
    rows += ["Piano Sonata No. 2, Mov. 1\tb.mid\tc.mid\td.mid"]
    table.write_text("\n".join(rows), encoding="utf-8")
    names = [f"midis_for_evaluation/ground_truth/{name}.mid" for name in ("g1", "g2", "b")]
    names += ["midis_for_evaluation/maestro/m2.mid", "midis_for_evaluation/giantmidi-piano/t1.mid"]
    facts = facts_of(tmp_path, names, rules(ROOT / "conf/dataset/giantmidi.yaml"))
    assert {facts[name].work for name in names[:2] + names[3:]} == {"Debussy, Estampes, L. 100"}
    assert facts[names[2]].labels["composer"] == "Brahms"
    assert [facts[name].labels["version"] for name in names[2:]] == [
        "score",
        "performed",
        "transcribed",
    ]


def test_a_song_listed_twice_in_openewld_gets_its_commonest_genre(tmp_path):
    with closing(sqlite3.connect(tmp_path / "OpenEWLD.db")) as database:
        database.executescript("""
            create table works (id integer primary key, title, path_leadsheet);
            create table work_genres (id, genre, occurrences);
            create table work_style (id, style, occurrences);
            insert into works values (7, 'A Song', 'dataset/Ann_Bee-Cy_Dee/A_Song/A_Song.mxl');
            insert into works values (9, 'A Song', 'dataset/Ann_Bee-Cy_Dee/A_Song/A_Song.mxl');
            insert into work_genres values (7, 'Pop', 2), (7, 'Jazz', 5), (7, 'Blues', 5);
        """)
    name = "dataset/Ann_Bee-Cy_Dee/A_Song/A_Song.mxl"
    facts = facts_of(tmp_path, [name], rules(ROOT / "conf/dataset/openewld.yaml"))[name]
    assert (facts.title, facts.work) == ("A Song", "a song")
    assert dict(facts.labels) == {"authors": "Ann Bee-Cy Dee", "genre": "Blues"}


def test_a_piece_of_asap_has_one_work_whatever_repeats_were_played_and_its_collection(tmp_path):
    header = "composer,title,folder,midi_performance,maestro_midi_performance"
    folders = ["B/17_1", "B/17_1_no_repeat", "B/17_1_no_2_repeat", "L/6_Theme_and_Variations"]
    rows = [f"X,{n},{folder},{folder}/P.mid," for n, folder in enumerate(folders)]
    rows[1] += "{maestro}/2018/it.midi"
    (tmp_path / "metadata.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    names = [f"{folder}/P.mid" for folder in folders]
    facts = facts_of(tmp_path, names, rules(ROOT / "conf/dataset/asap.yaml"))
    assert [facts[name].work for name in names] == ["B/17_1"] * 3 + ["L/6_Theme_and_Variations"]
    collections = [facts[name].labels["collection"] for name in names]
    assert collections == ["e-competition", "maestro", "e-competition", "e-competition"]


@pytest.mark.parametrize(
    ("dataset", "theirs"),
    [
        ("maestro", "MAESTRODatasetV3"),
        ("lakh", "LakhMIDIDataset"),
        ("lakh_matched", "LakhMIDIMatchedDataset"),
        ("emopia", "EMOPIADataset"),
    ],
)
def test_addresses_and_hashes_are_those_of_muspy(dataset, theirs):
    from muspy import datasets

    (facts,) = getattr(datasets, theirs)._sources.values()
    source = source_from(dataset, settings(ROOT / f"conf/dataset/{dataset}.yaml")["source"])
    copies = {copy.url: copy for part in source.parts for copy in part.copies if copy.url}
    ours = copies[facts["url"]]
    for kind in ("sha256", "md5"):
        assert getattr(ours, kind) in (None, facts.get(kind))
    assert ours.is_hashed

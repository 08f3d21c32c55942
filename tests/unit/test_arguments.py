"""Arguments of the command line: file names, open sections, unknown names and kinds of values."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from ostinato.arguments import (
    ELSEWHERE,
    OPEN,
    check,
    check_composed,
    check_form,
    check_params,
    check_sweep,
    prepared,
)
from ostinato.config import load_config
from ostinato.ranges import CHOICES, METERS, ONCE, RANGES, RISING, check_range

CONF = Path(__file__).resolve().parents[2] / "conf"
BASE = {
    "bars": 16,
    "seed": 1,
    "temperature": 1.0,
    "prompt": None,
    "systems": {},
    "conditions": {},
    "infill": {"bars": None, "voices": [], "particles": None},
    "formats": ["mid"],
    "vary": None,
    "compile": False,
    "device": "cpu",
    "optimizer": {"lr": 0.01, "betas": [0.9, 0.99], "warmup": 50},
}
NAMES = (
    "song (1).mid",
    "Don't.mid",
    "a, b.mid",
    "Bach=1.mid",
    "my model [v1]",
    "a{b}",
    "back\\slash",
    '"q".mid',
    "'tis.mid",
)


def parsed(*arguments):
    return OverridesParser.create().parse_overrides(list(arguments))


@pytest.mark.parametrize("key", ["prompt", "weights", "out", "path"])
@pytest.mark.parametrize("name", NAMES)
def test_ordinary_file_names_come_through(key, name):
    (override,) = parsed(*prepared([f"{key}={name}"]))
    value = override.value()
    assert getattr(value, "text", value) == name


def test_what_is_quoted_or_no_file_name_stays():
    kept = [
        "prompt='a b'",
        "out=${hydra:runtime.output_dir}/model",
        "model=gpt/small",
        "bars=2",
    ]
    assert prepared(kept) == kept


def test_the_flag_of_a_sweep_may_stand_anywhere():
    assert prepared(["model=gpt/small", "-m", "seed=1,2"]) == ["-m", "model=gpt/small", "seed=1,2"]


@pytest.mark.parametrize("words", [["bars"], ["-m", "lstm"], ["n=2", "two words"]])
def test_words_without_a_value_are_refused(words):
    with pytest.raises(ValueError, match=f"{words[-1]!r} is no setting: settings are given as"):
        check_form(words)


def test_flags_and_their_values_are_no_settings():
    check_form(["-m", "n=1,2", "--cfg", "job", "-cn", "train", "~bars"])


def test_keys_of_open_sections_are_added():
    assert prepared(["conditions.emotion=Q1"]) == ["++conditions.emotion=Q1"]
    check(parsed("++conditions.emotion=Q1", "++options.steps=3"), BASE, ["model"])


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("+particles=9", r"the command has no setting particles; did you mean infill\.particles\?"),
        ("barz=2", r"has no setting barz \(did you mean bars\?\); its settings are bars, "),
        ("+lr=0.5", r"the command has no setting lr; did you mean optimizer\.lr\?"),
        ("infill.voice=[a]", r"setting infill has no setting voice \(did you mean voices\?\)"),
        ("optimiser.lr=1", r"has no setting optimiser \(did you mean optimizer\?\)"),
        ("bars=two", "bars='two' must be a whole number, such as 16"),
        ("bars=1.5", "bars=1.5 must be a whole number"),
        ("bars=true", "bars=True must be a whole number"),
        ("bars=2,x", "bars='x' must be a whole number"),
        ("temperature=hot", "temperature='hot' must be a number"),
        ("infill.voices=alto", "infill.voices='alto' must be a list"),
        ("compile=1", "compile=1 must be true or false"),
        ("device=[cpu]", "device=.* must be a text"),
        ("vary=much", "vary='much' must be a number"),
        ("vary=0.5,much", "vary='much' must be a number"),
        ("infill.particles=1.5", r"infill\.particles=1\.5 must be a whole number"),
        ("infill.bars=3", r"infill\.bars=3 must be a list of 2 values, each a whole number"),
        ("infill.bars=[a,b]", r"infill\.bars=\['a', 'b'\] must be a list of 2 values"),
        ("infill.bars=[1,2,3]", "must be a list of 2 values, each a whole number"),
        ("conditions=3", r"conditions=3 must name its settings: conditions\.<name>=<value>"),
        ("infill=3", "infill=3 must be a section of settings: bars, voices, particles"),
        ("formats=[[mid]]", "must be a list, each a text"),
        ("optimizer.betas=[a,1]", r"optimizer\.betas=\['a', 1\] must be a list, each a number"),
        ("optimizer.lr=nan", r"optimizer\.lr=nan must be finite"),
        ("optimizer.lr=1,inf", r"optimizer\.lr=inf must be finite"),
        ("optimizer.warmup=-1", r"optimizer\.warmup=-1 must be at least 0"),
        ("bars=range(1,3,0.5)", "bars=0.5 must be a whole number"),
        ("temperature=interval(0,inf)", "temperature=inf must be finite"),
        ("~bars", "~bars would leave out a setting that is needed; give bars="),
        ("~infill.bars", r"~infill\.bars would leave out"),
    ],
)
def test_mistakes_are_named_with_what_is_valid(argument, words):
    with pytest.raises(ValueError, match=words):
        check(parsed(argument), BASE, ["model"])


@pytest.mark.parametrize(
    "argument",
    [
        "bars=2", "temperature=1", "prompt=a.mid", "infill.bars=[4,8]", "prompt=7",
        "model=gpt/small", "hydra.run.dir=x", "bars=1,2", "bars=range(1,3)", "seed=range(3,1,-1)",
        "infill.voices=[alto,'2',3]", "vary=null", "vary=1", "bars=${n}", "infill={bars: [1,2]}",
        "~optimizer.betas", "~conditions.emotion", "optimizer.betas=[0,0.9]",
    ],
)  # fmt: skip
def test_what_is_valid_passes(argument):
    check(parsed(argument), BASE, ["model"])


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("seed=-1", "seed=-1 must be at least 0"),
        ("seed=4294967296", "must be at least 0 and at most 4294967295"),
        ("seed=1,-2", "seed=-2 must be at least 0"),
        ("temperature=-1", "temperature=-1 must be at least 0"),
        ("vary=2", "vary=2 must be at least 0 and at most 1"),
        ("bars=0", "bars=0 must be at least 1 and at most 10000"),
        ("bars=1e9", "bars=1000000000.0 must be a whole number"),
        ("n=0", "n=0 must be at least 1 and at most 10000"),
        ("n=100000000000", "n=100000000000 must be at least 1 and at most 10000"),
        ("top_p=0", "top_p=0 must be above 0 and at most 1"),
        ("top_k=-1", "top_k=-1 must be at least 0"),
        ("optimizer.lr=0", r"optimizer\.lr=0 must be above 0"),
        ("optimizer.betas=[0.9,1]", r"optimizer\.betas=\[0.9, 1\] must be at least 0 and below 1"),
        ("++options.seconds=1e5", r"seconds=100000\.0 must be above 0 and at most 600"),
        ("++options.steps=1,-3", r"options\.steps=-3 must be at least 0 and at most 10000"),
        ("model.width=0", r"model\.width=0 must be at least 1"),
        ("model.periods=[16,0]", r"model\.periods=\[16, 0\] must be at least 1"),
    ],
)
def test_numbers_that_libraries_stumble_over_are_refused(argument, words):
    with pytest.raises(ValueError, match=words):
        check(
            parsed(argument),
            BASE | {"n": 4, "top_p": 1.0, "top_k": 0, "model": {"width": 8, "periods": [16]}},
            [],
        )


def leaves(values, place=""):
    for name, value in values.items():
        key = f"{place}{name}"
        yield from leaves(value, f"{key}.") if isinstance(value, dict) else [(key, value)]


def test_every_range_is_of_a_setting_whose_default_lies_in_it():
    found = [pair for path in CONF.glob("*.yaml") for pair in leaves(load_config(path.stem))]
    for path in CONF.glob("model/*/*.yaml"):
        found += leaves(yaml.safe_load(path.read_text(encoding="utf-8")))
    for path in CONF.glob("trainer/*.yaml"):
        found += leaves({"trainer": yaml.safe_load(path.read_text(encoding="utf-8"))})
    for key, value in found:
        if "${" not in str(value):
            check_range(key, value, value)
    inner = {f"model.{key.rpartition('.')[2]}" for key, _ in found if key.startswith("model.")}
    names = {key for key, _ in found} | inner
    assert {key for key in RANGES if key.split(".")[0] not in OPEN} <= names
    assert {*CHOICES, *RISING, *METERS} <= names
    assert {key for key in ONCE if key.split(".")[0] not in OPEN} <= names


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("trainer.devices", 0, "must be -1, or at least 1"),
        ("trainer.devices", -2, "must be -1, or at least 1"),
        ("trainer.num_nodes", 0, "must be at least 1"),
        ("trainer.accelerator", "tpux", "must be auto, cpu, gpu, cuda, mps or tpu"),
        ("model.condition_dropout", 5, "must be at least 0 and at most 1"),
        ("model.vae.dropout", 1, "must be at least 0 and below 1"),
        ("model.context", 10**7, "must be at least 0 and at most 65536"),
        ("training.transpose", [6, -5], "must rise: the lowest first"),
        ("duet_meter", "4/x", "must be a meter such as 4/4"),
        ("sampling.bars", 0, "must be at least 1 and at most 10000"),
    ],
)
def test_values_of_files_are_held_to_the_same_ranges(key, value, words):
    with pytest.raises(ValueError, match=words):
        check_range(key, value, 1)
    if key != "model.context":  # whose limit hangs on its default
        parts = key.split(".")
        config = {parts[0]: {parts[-1]: value}} if parts[1:] else {key: value}
        with pytest.raises(ValueError, match=words):
            check_composed(config)


@pytest.mark.parametrize("key", ONCE)
def test_a_role_is_named_once(key):
    check_range(key, ["piano", "bass"])
    with pytest.raises(ValueError, match=f"{key} names bass twice: name each once"):
        check_range(key, ["bass", "piano", "bass"])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"width": 192, "heads": 5}, "model.heads=5 must divide width=192"),
        ({"widths": [120, 192], "heads": 5}, "model.heads=5 must divide the last width=192"),
        ({"width": 192, "heads": 4, "time_heads": 5}, "time_heads=5 must be at most model.heads=4"),
        ({"width": 192, "heads": 3}, ""),
        ({"widths": [], "heads": 3}, ""),
        ({"heads": 3}, ""),
    ],
)
def test_heads_that_do_not_divide_a_width_are_refused(model, words):
    if not words:
        check_composed({"model": model})
        return
    with pytest.raises(ValueError, match=words):
        check_composed({"model": model})


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"systems": []}, "systems must be a section of lines"),
        ({"systems": {"a": None}}, "systems.a=None must be settings"),
        ({"systems": {"a": {"seed": "one"}}}, "systems.a.seed='one' must be a whole number"),
        ({"encodings": {"e": "grid"}}, "encodings.e='grid' must be settings"),
        ({"sampling": {"bars": "two"}}, "sampling.bars='two' must be a number"),
        ({"evaluation": {"seed": None}}, "evaluation.seed=None must be a number"),
        ({"systems": {"a": {"seed": 1, "lr": 3}}}, "systems.a has no setting lr; its settings are"),
        (
            {
                "encodings": {"e": {"form": "grid"}},
                "systems": {"a": {"encoding": "e", "form": "x"}},
            },
            "systems.a has form x, and its encoding e has form grid; write form: grid",
        ),
        (
            {
                "encodings": {"e": {"form": "grid"}},
                "systems": {"a": {"encoding": "e", "learns_from": "data/tokens/f"}},
            },
            "systems.a has learns_from: data/tokens/f, and its encoding is e; write learns_from",
        ),
    ],
)
def test_lines_of_params_are_of_the_right_kind(params, words):
    with pytest.raises(ValueError, match=f"params.yaml: {words}"):
        check_params(params)
    check_params({"systems": {"a": {}, "b": {"seed": 1}}, "encodings": None, "sampling": {}})
    own = {"encoding": "e", "form": "grid", "learns_from": "data/tokens/e"}
    tuned = {"encoding": "e", "form": "grid", "learns_from": "data/feedback/people"}
    check_params({"encodings": {"e": {"form": "grid"}}, "systems": {"a": own, "b": tuned}})
    check_params({"systems": {"a": own | {"encoding": "unknown"}}})  # said by another check


def test_one_folder_for_all_jobs_of_a_sweep_is_refused():
    with pytest.raises(ValueError, match="out=X is one place for all jobs"):
        check_sweep(parsed("seed=1,2", "out=X"))
    check_sweep(parsed("seed=1,2", "out='x-${hydra:job.num}'"))


@pytest.mark.parametrize(
    ("sweep", "told"),
    [
        ("seed=1,2,1", "seed names 1 twice: name each once"),
        ("model.order=[0,1],[0,1]", r"model.order names \[0, 1\] twice"),
        ("training.patience=null,null", "training.patience names null twice"),
        ("seed=1,2", None),
        ("seed=range(1,4)", None),
        ("model=glob(lstm/*)", None),
    ],
)
def test_a_sweep_names_each_value_once(sweep, told):
    with pytest.raises(ValueError, match=told) if told else nullcontext():
        check_sweep(parsed(sweep))


@pytest.mark.parametrize(("size", "home"), ELSEWHERE.items())
def test_sizes_that_are_families_of_their_own_have_both_names(size, home):
    assert (CONF / "model" / f"{home}.yaml").is_file()
    assert not (CONF / "model" / f"{size}.yaml").exists()
    assert prepared([f"model={size}", "seed=1"]) == [f"model={home}", "seed=1"]
    both = prepared(["-m", f"model=gpt/small,{size}"])
    assert both == ["-m", f"model=gpt/small,{home}"]

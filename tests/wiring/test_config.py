"""Every value has one home: Hydra composes what DVC tracks, and every file of conf/ works."""

import ast
import re
import shlex
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf
from ruamel.yaml import YAML

from ostinato.config import load_config, with_study
from ostinato.execution.leftovers import PLACES
from ostinato.models.registry import build as build_model
from ostinato.models.spec import ArraySpec, ConditionSpec, Voices
from ostinato.ranges import check_columns
from ostinato.representations.registry import build as build_representation
from ostinato.representations.store import codec_of
from ostinato.settings import checked
from ostinato.training.settings import OptimizerSettings, TrainingSettings, settings_of

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
PIPELINE_LINES, FILE_LINES, FUNCTION_LINES = 60, 400, 60
HOW_TO_RUN = ("hydra/", "trainer/", "executor/")  # groups that say how to run, never what comes out
# the script of a stage, the group of conf/ that it is configured by
GROUPS = {
    "download": "dataset",
    "normalize": "dataset",
    "encode": "representation",
    "train": "model",
    "feedback": "feedback",
}


def strict(path):
    """A file as YAML 1.2 reads it, which is how DVC does."""
    return YAML(typ="safe").load(path)


PARAMS = strict(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def stages():
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        return [stage for stage in repo.index.stages if stage.cmd]


MODELS = sorted(CONF.glob("model/*/*.yaml"))
DATASETS = sorted(CONF.glob("dataset/*.yaml"))
REPRESENTATIONS = sorted(CONF.glob("representation/*.yaml"))
TRAINERS = sorted(CONF.glob("trainer/*.yaml"))
STUDIES = sorted(CONF.glob("feedback/*.yaml"))
TRACKED = [ROOT / "params.yaml", *MODELS, *DATASETS, *REPRESENTATIONS, *STUDIES]
BASE = {"family": "lstm", "model": strict(CONF / "model/lstm/small.yaml")["model"]}


def command(stage):
    """The script's name and the overrides that dvc.yaml gives it."""
    python, script, *overrides = shlex.split(stage.cmd)
    assert python == "python"
    return Path(script).stem, overrides


def composed_files(config_name, overrides):
    """The files below conf/ (and params.yaml) whose values this composition holds."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        overrides = [*overrides, f"hydra.searchpath=[file://{ROOT}]"]
        entries = loader.compute_defaults_list(config_name, overrides, RunMode.RUN).defaults
    names = {entry.config_path for entry in entries if entry.config_path}
    names = {name for name in names if name != config_name and not name.startswith(HOW_TO_RUN)}
    return {"params.yaml" if name == "params" else f"conf/{name}.yaml" for name in names}


def tracked_files(stage):
    found = {Path(str(dep.fs_path)) for dep in stage.deps if hasattr(dep, "params")}
    return {path.relative_to(ROOT).as_posix() for path in found}


def test_what_hydra_composes_is_what_dvc_tracks(stages):
    for stage in stages:
        name, overrides = command(stage)
        assert load_config(name, overrides, ROOT), f"{stage.name}: its command line composes"
        composed = composed_files(name, overrides) - {"params.yaml"}
        tracked = tracked_files(stage) - {"params.yaml"}
        assert composed == tracked, stage.name
        groups = [Path(file).parts[1] for file in tracked]
        assert groups == ([GROUPS[name]] if name in GROUPS else []), stage.name


def keys_read(script):
    """The keys of params.yaml that a script reads from its configuration."""
    keyed = [
        node
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
    ]
    inner = {id(node.value) for node in keyed}  # config["sampling"] of config["sampling"]["bars"]
    read = set()
    for node in keyed:
        above = node.value.slice.value if node.value in keyed else None
        if above in PARAMS:
            read.add(f"{above}.{node.slice.value}")
        elif node.slice.value in PARAMS and id(node) not in inner:
            read.add(node.slice.value)
    return read


def test_a_stage_tracks_the_keys_of_params_that_its_script_reads(stages):
    for stage in stages:
        name, _ = command(stage)
        tracked = set()
        for dep in stage.deps:
            if hasattr(dep, "params") and Path(str(dep.fs_path)).name == "params.yaml":
                tracked |= set(dep.params)
        # an entry of these is looked up by a name in the command, and what it says stands in the
        # command or in the path of a dependency; a stage that reads them all must track them
        looked_up = set() if name == "compare" else {"systems", "encodings", "studies"}
        read = keys_read(ROOT / "pipelines" / f"{name}.py")
        read = {key if key in tracked else key.partition(".")[0] for key in read}
        assert read - looked_up == tracked, stage.name


def test_a_training_is_told_everything_that_params_say_of_its_system(stages):
    for stage in stages:
        name, overrides = command(stage)
        if name == "train":
            said = dict(override.split("=", 1) for override in overrides)
            item = PARAMS["systems"][said["system"]]
            assert said["model"] == f"{item['family']}/{item['size']}"
            assert (said["encoding"], said["seed"]) == (item["encoding"], str(item["seed"]))
            assert said["out"] == f"models/{said['system']}"


@pytest.mark.parametrize(
    "project", [ROOT, *sorted(ROOT.glob("reproductions/*"))], ids=lambda p: p.name
)
def test_every_system_fits_its_encoding_before_torch_is_imported(project):
    params = strict(project / "params.yaml")
    assert params["systems"]
    for name, item in params["systems"].items():
        encoding = params["encodings"][item["encoding"]]
        form = strict(CONF / f"representation/{encoding['representation']}.yaml")
        model = strict(CONF / f"model/{item['family']}/{item['size']}.yaml")["model"]
        known = [{"name": condition} for condition in model.get("conditions", ())]
        codec = codec_of(build_representation(form)) | {"conditions": known}
        check_columns(model, codec)
        if width := len(model.get("order") or ()):
            with pytest.raises(ValueError, match="names 1 sub-tokens, the repr"):
                check_columns(model | {"order": [0]}, codec)
            assert width > 1, name


def test_leftovers_are_looked_for_wherever_a_stage_writes_under_a_name(stages):
    for stage in stages:
        _, _, name = stage.addressing.partition("@")
        for out in stage.outs if name else ():
            parts = Path(out.fs_path).relative_to(ROOT).parts
            place = "/".join(parts[: parts.index(name)])
            assert name in PARAMS[PLACES[place]], f"{stage.addressing} writes into {place}"


def test_no_group_of_conf_has_the_name_of_a_parameter():
    groups = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert not groups & set(PARAMS)


@pytest.mark.parametrize("path", TRACKED, ids=lambda path: path.relative_to(ROOT).as_posix())
class TestTrackedFile:
    def test_holds_literals_alone(self, path):
        text = path.read_text(encoding="utf-8")
        assert "${" not in text
        assert "defaults" not in strict(path), "DVC would not track the files it names"

    def test_reads_alike_in_both_dialects_of_yaml(self, path):
        ours = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        assert typed(ours) == typed(strict(path))


def typed(value):
    """A value in which 1, 1.0 and true differ."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value).__name__, value


def test_a_source_of_training_as_it_was_written_before_is_refused():
    systems = {"mine": {"family": "lstm", "learns_from": "tokens/bach-grid"}}
    config = {"training": {}, "choices": {"model": "lstm/small"}, "system": "mine"}
    with pytest.raises(ValueError, match="is written data/tokens/bach-grid now"):
        with_study(config | {"systems": systems})


def test_systems_and_encodings_name_what_exists():
    for name, item in PARAMS["systems"].items():
        assert (CONF / "model" / item["family"] / f"{item['size']}.yaml").exists(), name
        assert item["form"] == PARAMS["encodings"][item["encoding"]]["form"], name
        where, _, source = item["learns_from"].rpartition("/")
        allowed = {
            "data/tokens": [item["encoding"]],
            "data/feedback": PARAMS["studies"],
            "models": PARAMS["systems"],
        }
        assert source in allowed[where], name
    for name, item in PARAMS["studies"].items():
        base = PARAMS["systems"][item["base"]]
        assert all(base[key] == value for key, value in item.items() if key != "base"), name
        assert (CONF / "feedback" / f"{name}.yaml").exists(), name
    for name, item in PARAMS["encodings"].items():
        assert item["dataset"] in PARAMS["datasets"], name
        assert (CONF / "representation" / f"{item['representation']}.yaml").exists(), name
    for dataset in PARAMS["datasets"]:
        assert (CONF / "dataset" / f"{dataset}.yaml").exists()


@pytest.mark.parametrize("path", MODELS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_model_file_builds_its_model(path):
    config = load_config("train", [f"model={path.parent.name}/{path.stem}"], ROOT)
    is_tuned = path.parent.name == "tuned"
    config["model"] |= {"base": BASE} if is_tuned else {}
    width = len((BASE["model"] if is_tuned else config["model"]).get("order") or [0])
    named = config["model"].get("conditions", ())
    conditions = tuple(ConditionSpec(name=name, values=("a", "b")) for name in named)
    voices = Voices(first=width - 4, end=width, lowest=1, pitches=46) if width > 1 else None
    shape = ArraySpec(width=width, vocabulary=48, conditions=conditions, voices=voices)
    families = {"audio_ddpm": "mel", "band": "roles_choir", "gan": "grid", "latent_ddpm": "grid"}
    families |= {"absorbing_events": "remi"}
    if form := {"events": "remi", "jam": "roles_jam"}.get(path.stem) or families.get(
        path.parent.name
    ):
        chosen = build_representation(strict(CONF / "representation" / f"{form}.yaml"))
        shape = replace(ArraySpec.of(codec_of(chosen)), conditions=conditions)
    model = build_model(path.parent.name, config["model"], shape)
    assert sum(parameter.numel() for parameter in model.parameters())
    training = checked(TrainingSettings, "training", config["training"])
    optimizer = checked(OptimizerSettings, "optimizer", config["optimizer"])
    assert training.steps
    assert optimizer.lr
    stated = strict(path)
    assert set(stated) == {"model", "optimizer", "training"}
    for kind in (TrainingSettings, OptimizerSettings):
        own = stated["training" if kind is TrainingSettings else "optimizer"]
        left = {field.name for field in fields(kind)} - set(own)
        assert not left, f"{path} leaves {sorted(left)} to defaults that DVC does not track"


@pytest.mark.parametrize("name", [path.stem for path in REPRESENTATIONS])
def test_a_representation_file_builds_its_representation(name):
    config = load_config("encode", [f"representation={name}"], ROOT)
    representation = build_representation(config["representation"])
    assert representation.width >= 1
    assert len(set(representation.vocabulary)) == len(representation.vocabulary)
    again = build_representation(representation.codec())
    assert again.codec() == representation.codec()


@pytest.mark.parametrize("name", list(PARAMS["systems"]))
def test_a_system_fits_its_encoding(name):
    item = PARAMS["systems"][name]
    encoding = PARAMS["encodings"][item["encoding"]]
    representation = build_representation(
        strict(CONF / "representation" / f"{encoding['representation']}.yaml")
    )
    settings = strict(CONF / "model" / item["family"] / f"{item['size']}.yaml")["model"]
    named = settings.get("conditions", ())
    conditions = tuple(ConditionSpec(name=name, values=("a", "b")) for name in named)
    shape = replace(ArraySpec.of(codec_of(representation)), conditions=conditions)
    settings |= {"base": BASE} if item["family"] == "tuned" else {}
    assert build_model(item["family"], settings, shape).shape == shape


@pytest.mark.parametrize("name", list(PARAMS["systems"]))
def test_a_default_system_trains_in_full_precision_on_one_thread(name):
    """Full precision differs least between processors; stages with one thread run side by side."""
    item = PARAMS["systems"][name]
    training = strict(CONF / "model" / item["family"] / f"{item['size']}.yaml")["training"]
    assert (training["precision"], training["threads"]) == ("32-true", 1)


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_entry_point_composes_and_has_its_script(path):
    given = ["weights=models/any"] if path.stem == "generate" else []
    config = load_config(path.stem, given, ROOT)
    assert "hydra" not in config
    assert (ROOT / "pipelines" / path.name).with_suffix(".py").exists()


@pytest.mark.parametrize("name", [path.stem for path in TRAINERS])
def test_a_trainer_file_says_nothing_of_the_result(name):
    plain = load_config("train", [f"trainer={name}"], ROOT)
    usual = load_config("train", [], ROOT)
    assert {key for key in plain if plain[key] != usual[key]} <= {"trainer"}


def test_scripts_do_not_shadow_the_standard_library():
    """Their folder is first on the path of `python pipelines/x.py`."""
    stems = {path.stem for path in (ROOT / "pipelines").glob("*.py")}
    assert not stems & set(sys.stdlib_module_names)


def python_files():
    folders = ("src", "pipelines", "tests", "benchmarks", "reproductions")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_files_and_functions_are_short():
    long = []
    for path in python_files():
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        if lines > (PIPELINE_LINES if path.parent.name == "pipelines" else FILE_LINES):
            long.append(f"{path.relative_to(ROOT)} has {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1
                if length > FUNCTION_LINES:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {length} lines")
    assert not long, "\n".join(long)


def settings_by(*given):
    chosen = [item.removeprefix("model=") for item in given if item.startswith("model=")]
    choices = {"model": chosen[0] if chosen else "lstm/small"}  # which a script is told by Hydra
    return settings_of(load_config("train", list(given), ROOT) | {"choices": choices})


def test_a_trial_takes_encoding_and_seed_from_a_system_of_its_family():
    usual, trial = PARAMS["systems"]["gpt"], settings_by("model=gpt/small")
    assert (trial.system, trial.encoding, trial.seed) == ("gpt", usual["encoding"], usual["seed"])
    other = settings_by("model=gpt/events", "system=gpt-events", "seed=7")
    assert (other.system, other.encoding, other.seed) == ("gpt-events", "bach-remi", 7)


def test_a_family_without_a_system_can_be_tried():
    assert "music_transformer" not in {item["family"] for item in PARAMS["systems"].values()}
    trial = settings_by("model=music_transformer/small")
    first = next(iter(PARAMS["encodings"]))
    assert (trial.system, trial.encoding, trial.seed) == ("music_transformer-small", first, 1)
    assert settings_by("model=gpt2/flat", "encoding=bach-remi", "seed=3").seed == 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            ["system=nobody"],
            f"params.yaml has no system 'nobody'; it has: {', '.join(sorted(PARAMS['systems']))}",
        ),
        (["system=lstm", "model=gpt/small"], "system=lstm is of family lstm, model=gpt/small is"),
        (
            ["encoding=none"],
            f"unknown encoding 'none'; params.yaml has: {', '.join(sorted(PARAMS['encodings']))}",
        ),
    ],
)
def test_what_params_do_not_have_is_named_with_what_they_have(given, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        settings_by(*given)

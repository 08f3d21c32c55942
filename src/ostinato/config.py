"""Entry points of scripts, and composed configurations for tests and notebooks.

The only module that imports Hydra. A script's `main` gets plain dictionaries, never a DictConfig. A
user's mistake ends in one readable message that names what is valid; anything else is a bug and
keeps its traceback.
"""

import contextlib
import errno
import functools
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ostinato import arguments
from ostinato.arguments import prepared
from ostinato.execution.commands import PIPE_CLOSED
from ostinato.execution.inputs import check_inputs
from ostinato.execution.portable import make_portable
from ostinato.ranges import check_columns
from ostinato.settings import RENAMED
from ostinato.usage import ASKED, usage

Main = Callable[[dict[str, Any]], object]
INTERRUPTED = 130
OVERRIDING = r"(?s).*Overriding a previously registered kernel"  # by ostinato.arithmetic
SPINS = "20000"  # then torch's idle threads sleep: on a busy machine they would triple the work
LISTS = ("datasets", "encodings", "systems")  # of params.yaml, by names that users give
PATHS = (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
STAGE = re.compile(r"dvc repro (?:--\S+ )*(\w+)@([\w-]+)")
LISTED = {"download": "datasets", "normalize": "datasets"}
LISTED |= {"encode": "encodings", "reference": "encodings"}
LISTED |= {"feedback": "studies"}  # all others: systems


def entry(config_name: str) -> Callable[[Main], Callable[[], None]]:
    """Turn `main(config: dict)` of a script in pipelines/ into its entry point, configured by
    conf/<name>.yaml.
    """

    def decorate(main: Main) -> Callable[[], None]:
        @functools.wraps(main)
        def run() -> None:
            os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
            make_portable(config_name, os.environ)
            warnings.filterwarnings("ignore", OVERRIDING)
            conf = Path(main.__code__.co_filename).resolve().parents[1] / "conf"
            try:
                if set(ASKED) & set(sys.argv[1:]):
                    about = main.__globals__["__doc__"]
                    print(usage(config_name, conf, about, prepared(sys.argv[1:])), flush=True)  # noqa: T201
                    return
                _run(main, config_name, conf)
                sys.stdout.flush()  # at its own end Python would report a closed pipe
            except BrokenPipeError:  # as of `| head`: nobody reads on
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(PIPE_CLOSED)
            except KeyboardInterrupt:
                print("interrupted; nothing half-written is left", file=sys.stderr)  # noqa: T201
                sys.exit(INTERRUPTED)
            except Exception as error:  # every user's mistake, whatever library noticed it
                _explain(error, config_name, conf)

        return run

    return decorate


def _run(main: Main, config_name: str, conf: Path) -> None:
    """Compose the configuration and call `main` with it, once or for every job of a sweep."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import DictConfig, OmegaConf

    os.environ["HYDRA_FULL_ERROR"] = "1"  # we explain errors ourselves
    failures: list[Exception] = []  # kept from Hydra, which would print them once more

    @hydra.main(version_base="1.3", config_path=str(conf), config_name=config_name)
    def launched(cfg: DictConfig) -> object:
        try:
            plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
            assert isinstance(plain, dict)
            config = {str(key): value for key, value in plain.items()}
            arguments.check_params(config)
            arguments.check_composed({k: v for k, v in config.items() if k not in LISTS})
            config["choices"] = dict(HydraConfig.get().runtime.choices)
            config["overrides"] = list(HydraConfig.get().overrides.task)
            check_fit(config)
            check_inputs(config_name, config)
            if config_name == "sample":
                from ostinato.sampling.plan import check_plan

                check_plan(config.get("sampling"))
            result = main(with_study(config))
            if stage := os.environ.get("DVC_STAGE"):
                from ostinato.execution.machine import note_stage

                note_stage(Path.cwd(), stage)
            return result
        except Exception as error:
            failures.append(error)
            return None

    arguments.check_form(sys.argv[1:])
    sys.argv[1:] = prepared(sys.argv[1:])
    _check_arguments(config_name, conf)
    launched()
    if failures:
        raise failures[0]


def check_fit(config: Mapping[str, Any]) -> None:
    """Refuse a training that cannot run here, or whose model does not fit its encoding, where that
    is built. It comes before torch is imported; `training.checks` knows more.

    Raises:
        ValueError: names what does not fit and the remedy.
        MissingInput, DamagedFile: as `open_tokens`.
    """
    if "training" not in config:
        return
    from ostinato.execution.machine import has_gpu_driver
    from ostinato.loading.tokens import open_tokens

    accelerator = config["trainer"]["accelerator"]
    if accelerator in ("gpu", "cuda") and sys.platform == "linux" and not has_gpu_driver():
        raise ValueError(
            f"trainer.accelerator={accelerator} needs a GPU, and there is no driver of one here: "
            "choose another trainer, as with OSTINATO_TRAINER=cpu or auto"
        )
    folder = Path("data/tokens") / str(config.get("encoding"))
    if not folder.is_dir():
        return
    try:
        check_columns(config["model"], open_tokens(folder).codec)
    except ValueError as error:
        model = config["choices"]["model"]
        raise ValueError(
            f"model={model} does not fit encoding {config['encoding']}: {error}; take another size "
            f"of conf/model/{model.split('/')[0]}/, change these settings, or take another encoding"
        ) from error


def with_study(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a training; where its system learns from a study, with that study and
    its base in the model's settings, which then say all that decides the weights.

    Raises:
        MissingInput, DamagedFile: there is no such study; names the command that makes it.
        ValueError: a `learns_from` of older versions.
    """
    if "training" not in config:
        return config
    family = config["choices"]["model"].split("/")[0]
    named = [config["system"]] if config["system"] else list(config["systems"])
    lines = [config["systems"].get(str(name)) or {} for name in named]
    line = next((line for line in lines if line.get("family") == family), {})
    learns_from = str(line.get("learns_from", ""))
    if learns_from.startswith(("tokens/", "feedback/")):
        raise ValueError(
            f"learns_from: {learns_from} in params.yaml is written data/{learns_from} now"
        )
    if learns_from.startswith("data/feedback/"):
        from ostinato.feedback.card import base_of

        study = learns_from.removeprefix("data/")
        config["model"] |= {"study": study, "base": base_of(study)}
    return config


def load_config(
    config_name: str, overrides: Sequence[str] = (), root: Path | None = None
) -> dict[str, Any]:
    """Compose a config as its script would, from any folder; for tests and notebooks."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    root = (root or Path.cwd()).resolve()
    with initialize_config_dir(str(root / "conf"), version_base="1.3"):
        cfg = compose(config_name, [*overrides, f"hydra.searchpath=[file://{root}]"])
        plain = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def entry_of(table: dict[str, Any], name: str, kind: str) -> dict[str, Any]:
    """One entry of `datasets`, `encodings` or `systems`, naming the valid ones where it is not
    there.
    """
    name = str(name)  # a name of digits comes as a number
    if name not in table:
        raise ValueError(
            f"unknown {kind} {name!r}; params.yaml has: {', '.join(sorted(table)) or 'none'}"
        )
    return dict(table[name])


def _check_arguments(config_name: str, conf: Path) -> None:
    """Refuse settings that do not exist or are of another kind, before anything is loaded."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    words = [
        word for word in sys.argv[1:] if word[0:1] == "~" or (word[0:1] != "-" and "=" in word)
    ]
    if not words or any(word in ("--cfg", "-c") for word in sys.argv[1:]):
        return
    try:
        overrides = OverridesParser.create().parse_overrides(words)
    except HydraException:
        return  # Hydra says the same, and _explain adds how to quote
    base = _base(config_name, conf, _choices(conf, words))
    if base is not None:
        groups = [path.name for path in conf.iterdir() if path.is_dir()]
        arguments.check(overrides, base, groups)
    if set(arguments.SWEEP) & set(sys.argv[1:]):
        arguments.check_sweep(overrides)


def _choices(conf: Path, words: Sequence[str]) -> list[str]:
    """The arguments that choose a file of a group; of several, the first."""
    chosen = [word for word in words if (conf / word.split("=")[0].lstrip("+")).is_dir()]
    return [word.partition(",")[0] for word in chosen]


def _base(config_name: str, conf: Path, choices: Sequence[str]) -> dict[str, Any] | None:
    """The configuration without values from the command line; None where it does not compose."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    for chosen in (choices, []):  # without them where the group itself is the mistake
        GlobalHydra.instance().clear()
        with (
            contextlib.suppress(Exception),
            initialize_config_dir(str(conf), version_base="1.3"),
        ):
            cfg = compose(config_name, [*chosen, f"hydra.searchpath=[file://{Path.cwd()}]"])
            plain = OmegaConf.to_container(cfg, resolve=False)
            assert isinstance(plain, dict)
            return {str(key): value for key, value in plain.items()}
    return None


def _explain(error: Exception, config_name: str, conf: Path) -> NoReturn:
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
    from yaml import YAMLError

    lines = [str(error)]
    if isinstance(error, MissingMandatoryValue):
        lines = [f"{error.full_key or 'a value'} must be given: {error.full_key}=…"]
    elif isinstance(error, HydraException | OmegaConfBaseException):
        names = _valid_names(config_name, conf)
        if names:  # better than the lists that Hydra appends to its first line
            lines = lines[0].splitlines()[:1]
        cause = error.__cause__
        lines += [str(cause)] if cause is not None else []
        lines += names
        if "Could not load 'params'" in lines[0]:
            lines = ["params.yaml is not in this folder; run this in a project, as in a checkout"]
        lines[0] = _in_our_words(lines[0]) or lines[0]
        if isinstance(error, OverrideParseException):
            lines = [
                f"{error.override} cannot be read ({lines[0]})",
                "quote a value that holds = ( [ { , or quotes: 'key=\"value\"'",
            ]
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        lines = [
            f"the disk is full ({error}); nothing half-written is left, free space and run again"
        ]
    elif isinstance(error, PATHS) and error.filename is not None:
        lines = [f"{error.filename} cannot be used ({error.strerror}); give another file or folder"]
    elif isinstance(error, YAMLError):
        lines += [_yaml_hint(lines[0])]
    elif not isinstance(error, ValueError | FileNotFoundError):
        raise error
    if os.environ.get("OSTINATO_DEBUG"):
        raise error
    lines += _unlisted(lines[0])
    print("error: " + "\n       ".join(_unique(lines)), file=sys.stderr)  # noqa: T201
    sys.exit(1)


def _yaml_hint(message: str) -> str:
    """What to do about a file that is no YAML."""
    if "duplicate key" in message:
        return "write each name once"
    if "'\\t'" in message:
        return "use spaces, not tabs"
    return "quote a text that holds : # ? { [ or quotes"


def _in_our_words(line: str) -> str:
    """What Hydra's words about an override mean here; empty where it has no better ones."""
    if found := re.match(r"Ambiguous value for argument '([^=]+)=(.*)'", line):
        key, values = found.groups()
        return f"{key}={values} gives several values: a sweep needs -m, a list brackets"
    if found := re.match(r"Could not append to config. An item is already at '(.*)'", line):
        return f"+ is for what is not there yet, and {found[1]} is: leave + out"
    if found := re.match(r"Could not override '(.*)'.\s*No match in the defaults list", line):
        return f"{found[1]} is not chosen unless it is added: write +{found[1]}=…"
    return ""


def _unlisted(message: str) -> list[str]:
    """What is missing where a message names a stage that params.yaml does not give rise to."""
    import yaml

    found, path = STAGE.search(message), Path("params.yaml")
    if found is None or not path.exists():
        return []
    stage, name = found.groups()
    table = LISTED.get(stage, "systems")
    names = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get(table) or []
    if name in map(str, names):
        return []
    otherwise = {
        "datasets": f", or run: python pipelines/{stage}.py dataset={name}",
        "systems": ", or give a model folder that exists" if stage == "train" else "",
    }
    return [
        f"that stage needs {name} among the {table} of params.yaml ({', '.join(map(str, names))}): "
        f"add it{otherwise.get(table, '')}"
    ]


def _valid_names(config_name: str, conf: Path) -> list[str]:
    """What could stand where an override was refused: the keys beside it, or the options of its
    group.
    """
    chosen = [arg.lstrip("+") for arg in sys.argv[1:] if "=" in arg]
    for group, _, name in (arg.partition("=") for arg in chosen if arg.startswith("hydra/")):
        options = _hydra_options(conf, group)
        if name not in options:
            return [f"valid names of {group}: {', '.join(options)}"]
    for group, _, name in (
        arg.partition("=") for arg in chosen if (conf / arg.split("=")[0]).is_dir()
    ):
        found = [(conf / group, path) for path in (conf / group).rglob("*.yaml")]
        found += [(Path(group), path) for path in Path(group).glob("*.yaml")]  # the user's own
        options = sorted({path.relative_to(top).with_suffix("").as_posix() for top, path in found})
        if any(part not in options for part in name.split(",")):
            return [f"valid names of {group}: {', '.join(options)}"]
    base = _base(config_name, conf, _choices(conf, sys.argv[1:]))
    keys = [arg.split("=")[0] for arg in chosen]
    lines = [f"{key} is now {RENAMED[key]}" for key in keys if key in RENAMED]
    if base and not lines:
        names = ", ".join(sorted(key for key in base if key != "hydra"))
        lines = [f"valid names at the top: {names}"]
    return lines


def _hydra_options(conf: Path, group: str) -> list[str]:
    """The names of one of Hydra's own groups, such as `hydra/sweeper`."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf), version_base="1.3"):
        return GlobalHydra.instance().config_loader().get_group_options(group)


def _unique(lines: Sequence[str]) -> list[str]:
    split = [part.strip() for line in lines for part in line.splitlines() if part.strip()]
    # Hydra's own folders and OmegaConf's types help nobody here
    noise = ("Config search path", "provider=", "full_key:", "object_type=", "To append to your")
    return [line for line in dict.fromkeys(split) if not line.startswith(noise)]

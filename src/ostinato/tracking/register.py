"""A model folder as a registered MLflow model whose `predict` takes requests and gives MIDI.

What MLflow stores is the folder itself and the name of the module that serves it: no pickle, no
code. So `ostinato` has to be installed where the model is loaded.
"""

import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

SERVED_BY = "ostinato.serving"
EXAMPLE = {"task": "unconditional", "bars": 4, "n": 1, "seed": 1, "temperature": 1.0}


def register(client: Any, run: str, folder: Path, name: str, weights: str) -> str:
    """Store the folder as the run's artifact `model` and as the next version of model `name`.

    Returns the version; an earlier one of the same weights if there is one.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description="Symbolic music: requests to MIDI.")
    except MlflowException:
        known = client.search_model_versions(f"name = '{name}'")
        if same := [one.version for one in known if one.tags.get("weights") == weights]:
            return str(same[0])
    with tempfile.TemporaryDirectory() as temporary:
        save(folder, Path(temporary) / "model")
        client.log_artifacts(run, str(Path(temporary) / "model"), "model")
    source, tags = f"runs:/{run}/model", {"weights": weights}
    return str(client.create_model_version(name, source, run_id=run, tags=tags).version)


def save(folder: Path, out: Path) -> None:
    """Write a model folder as an MLflow model into the new folder `out`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlflow (3.17) warns of its own type hints
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            out,
            loader_module=SERVED_BY,
            data_path=str(folder),
            signature=signature(),
            input_example=EXAMPLE,
            pip_requirements=[f"ostinato=={version('ostinato')}"],
        )


def signature() -> Any:
    """Columns of requests and answers, which `ostinato.serving` explains.

    Numbers are of any type: in a table of several requests a missing whole number turns the others
    into fractions, which MLflow (3.17) would refuse, as it refuses a temperature of 1.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType, Array

    numbers = ("bars", "min_bars", "n", "seed", "prompt_bars", "vary", "temperature")
    inputs: dict[str, Any] = {"task": DataType.string}
    inputs |= {"prompt": DataType.binary, "end": DataType.binary}
    inputs |= {"infill_bars": Array(DataType.long)}
    inputs |= {"infill_voices": Array(DataType.string)}
    inputs |= dict.fromkeys((*numbers, "conditions", "options"), AnyType())
    outputs = {"request": DataType.long, "index": DataType.long, "id": DataType.string}
    optional = {"midi": DataType.binary, "failed": DataType.string, "nats": DataType.double}
    return ModelSignature(
        Schema([ColSpec(kind, name, required=False) for name, kind in inputs.items()]),
        Schema(
            [ColSpec(kind, name) for name, kind in outputs.items()]
            + [ColSpec(kind, name, required=False) for name, kind in optional.items()]
        ),
    )

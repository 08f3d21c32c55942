"""Which precision a user asks for; checked before anything is loaded."""

import importlib.util
from pathlib import Path

from ostinato.models.registry import paradigm_of

FULL, INT8 = "full", "int8"
PRECISIONS = (FULL, INT8)
LIBRARIES = ("onnx", "onnxruntime")


def check_precision(precision: str, device: str = "cpu") -> None:
    """Raise ValueError for a precision that does not exist, or that this machine cannot have."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision} must be one of: {', '.join(PRECISIONS)}")
    if precision == FULL:
        return
    if device != "cpu":
        raise ValueError(
            f"precision={precision} runs on the CPU: take device=cpu, or precision={FULL} for "
            f"device={device}"
        )
    if missing := [name for name in LIBRARIES if importlib.util.find_spec(name) is None]:
        raise ValueError(
            f"precision={precision} needs {' and '.join(missing)}, not installed here: "
            "pip install ostinato[int8]"
        )


def check_family(precision: str, family: str, system: str) -> None:
    """Raise ValueError where no model of a family has steps in this precision.

    A paradigm whose models are made of models of others has a folder here without families.
    """
    folder = Path(__file__).parent / paradigm_of(family)
    if precision != FULL and not (folder.is_dir() and family in (_families(folder) or [family])):
        raise ValueError(refusal(precision, family, system))


def able() -> list[str]:
    """Families that have steps here."""
    return sorted(
        family for folder in Path(__file__).parent.iterdir() for family in _families(folder)
    )


def _families(folder: Path) -> list[str]:
    return [path.stem for path in folder.glob("[a-z]*.py")]


def refusal(precision: str, family: str, system: str) -> str:
    """That a model has no steps in a precision, and which have."""
    return (
        f"precision={precision} is for {', '.join(able())} and families made of them, and "
        f"{system} is of family {family}: take precision={FULL}"
    )

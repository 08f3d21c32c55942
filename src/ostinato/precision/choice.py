"""Which precision a user asks for; checked before anything is loaded."""

import importlib.util

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

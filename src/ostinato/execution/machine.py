"""The kind of machine that a result was made on: what decides how sums are rounded.

`made_on/<system>.json` is committed with the system's metrics. It is no output of DVC and no stage
depends on it, so `dvc.lock` does not either. It names no host and no time.
"""

import ctypes
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ostinato.files import read_json, write_json

CPUINFO = Path("/proc/cpuinfo")
ROCM = Path("/dev/kfd")
MADE_ON = "made_on"
FORMAT = 1
STAGES = ("train", "sample", "evaluate", "score")
MAKERS = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD"}
# instruction sets by which the libraries choose their code, as Linux names them: our names
VECTORS = {
    "avx2": "AVX2",
    "avx512f": "AVX512",
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
    "bf16": "BF16",
}
Kind = dict[str, str]


def this_kind() -> Kind:
    """Processor, vector instructions and torch of this machine; equal on machines of one kind. And
    whether arithmetic is that of execution/portable.py in this process.
    """
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = "none"
    first = _first_processor()
    maker = MAKERS.get(first.get("vendor_id", ""), first.get("vendor_id", ""))
    if {"cpu family", "model"} <= first.keys():
        model = f"family {first['cpu family']} model {first['model']}"
    else:
        model = first.get("CPU part", "") or platform.processor()
    flags = set(first.get("flags", first.get("Features", "")).split())
    return {
        "processor": " ".join(part for part in (platform.machine(), maker, model) if part),
        "vector": " ".join(name for flag, name in VECTORS.items() if flag in flags),
        "torch": torch,
        **({"arithmetic": "portable"} if os.environ.get("MKL_CBWR") == "COMPATIBLE" else {}),
    }


def described(kind: Kind) -> str:
    """A kind of machine in one line."""
    named = ("device", "precision", "arithmetic")
    extra = [f"{key} {kind[key]}" for key in named if kind.get(key)]
    with_vector = f" with {kind['vector']}" if kind.get("vector") else ""
    return ", ".join([f"{kind['processor']}{with_vector}", f"torch {kind['torch']}", *extra])


def note_stage(root: Path, stage: str) -> None:
    """Write into made_on/<system>.json that this kind of machine ran a stage of a system.

    stage: as DVC names it in DVC_STAGE, such as "train@lstm"; others are not noted.
    """
    name, _, system = stage.rpartition(":")[2].partition("@")
    if name not in STAGES or not system:
        return
    path = root / MADE_ON / f"{system}.json"
    made = made_on(path.read_text(encoding="utf-8")) if path.exists() else {}
    made[name] = this_kind() | (_training(root / "models" / system) if name == "train" else {})
    write_json(path, {"format": FORMAT, **made})


def made_on(text: str) -> dict[str, Kind]:
    """The kinds of machine in the text of such a file, by stage; empty where it is damaged."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return {name: found[name] for name in STAGES if isinstance(found.get(name), dict)}


def _training(folder: Path) -> dict[str, Any]:
    """Device and precision of a training; model.json names them where they are not the usual."""
    card = read_json(folder / "model.json", expect_format=FORMAT, made_by="dvc repro train")
    usual = {"device": "cpu", "precision": card["training"]["precision"]}
    return dict(card.get("trained_on", usual))


def _first_processor() -> dict[str, str]:
    """The first block of /proc/cpuinfo; empty on other systems."""
    if not CPUINFO.exists():
        return {}
    text = CPUINFO.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def has_gpu_driver() -> bool:
    """Whether a driver of CUDA or ROCm is installed; torch, which is not asked, may see no GPU."""
    if ROCM.exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True

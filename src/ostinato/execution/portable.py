"""Arithmetic that rounds alike on every x86-64 processor with AVX2.

torch, oneDNN, MKL, numpy and OpenBLAS choose the fastest code that a processor has, and sum in
another order with each. With these settings all of them take code that processors of Intel and AMD
have in common; the price is speed (docs/reproducibility.md has what was measured). Stages of the
pipeline run so, music that is made on request does not.
"""

import platform
from collections.abc import Mapping, MutableMapping

from ostinato.execution.machine import this_kind

NATIVE = "OSTINATO_NATIVE"  # set to anything: as fast as this processor can
SETTINGS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
STAGES = (
    "download", "normalize", "encode", "reference", "feedback", "train", "sample", "evaluate",
    "compare",
)  # fmt: skip


def is_portable(environment: Mapping[str, str]) -> bool:
    """Whether all of SETTINGS hold."""
    return all(environment.get(name) == value for name, value in SETTINGS.items())


def make_portable(stage: str, environment: MutableMapping[str, str]) -> None:
    """Set SETTINGS for a stage, before any of these libraries is loaded.

    What a user has set stays. Processors without AVX2 are left as they are.
    """
    if stage not in STAGES or environment.get(NATIVE) or platform.machine() != "x86_64":
        return
    if "AVX2" in this_kind()["vector"].split():
        for name, value in SETTINGS.items():
            environment.setdefault(name, value)

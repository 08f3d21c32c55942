"""Settings of conf/model that have a new name; the old ones are refused with the new name."""

from collections.abc import Iterable

RENAMED = {
    "model.head": "model.voice_hidden",
    "model.ages": "model.held_steps",
    "model.echo": "model.repetition_memory",
    "model.near": "model.max_distance",
    "model.moments": "model.max_time_distance",
    "model.pitches": "model.pitch_range",
    "optimizer.floor": "optimizer.final_lr_ratio",
    "training.average": "training.ema_decay",
    "training.packing": "training.bucket_by_length (true or false)",
}


def refuse_renamed(section: str, names: Iterable[str]) -> None:
    """Raise ValueError if a setting of a section has an old name, with the new one."""
    old = [f"{section}.{name}" for name in names if f"{section}.{name}" in RENAMED]
    if old:
        raise ValueError("; ".join(f"{name} is now {RENAMED[name]}" for name in old))

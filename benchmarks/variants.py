"""Norm and feed-forward of the family gpt: training speed of each, of as many weights, beside the
quickest; conf/sweep/variants.yaml compares what they learn.
"""

from benchmarks import peers
from benchmarks.measure import OURS, Case, Race, in_turn
from benchmarks.training import one_step

BATCH, LENGTH = 8, 512
QUICKEST = {"norm": "layer", "feed_forward": "squared_relu"}
VARIANTS = {
    OURS: QUICKEST,
    "RMSNorm": QUICKEST | {"norm": "rms"},
    "SwiGLU": QUICKEST | {"feed_forward": "swiglu"},
    "RMSNorm and SwiGLU": {"norm": "rms", "feed_forward": "swiglu"},
}


def cases() -> list[Case]:
    """In full and in mixed precision."""
    return [
        Case(name(mixed), lambda rounds, mixed=mixed: race(rounds, mixed))
        for mixed in (False, True)
    ]


def name(mixed: bool) -> str:
    return f"layer norm and squared ReLU, training, {'bfloat16 mixed' if mixed else 'float32'}"


def race(rounds: int, mixed: bool) -> Race:
    steps = {
        who: one_step(peers.ours(LENGTH, **settings), peers.loss_of_ours, BATCH, LENGTH, mixed)
        for who, settings in VARIANTS.items()
    }
    return Race(
        question=name(mixed),
        unit="tokens",
        amount=BATCH * LENGTH,
        seconds=in_turn(steps, rounds),
        aims={},
    )

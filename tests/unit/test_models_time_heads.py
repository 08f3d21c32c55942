"""Heads that turn by musical time: step by step as in parallel, and time is what they see."""

import pytest
import torch
from torch.nn import functional as F

from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec, Timing

TIMING = Timing(  # 0 and 1 are notes, 2 a bar line, 3 its meter, 4 and 5 places 0 and 2, 6 a shift
    shift=(0, 0, 0, 0, 0, 0, 3),
    bar=(0, 0, 1, 0, 0, 0, 0),
    meter=(0, 0, 0, 4, 0, 0, 0),
    place=(-1, -1, 0, -1, 0, 2, -1),
)
SPEC = ArraySpec(width=1, vocabulary=7, timing=TIMING)
SIZES = {"width": 16, "layers": 2, "heads": 4, "context": 6, "dropout": 0.0}


def make(time_heads):
    torch.manual_seed(0)
    return build("gpt", SIZES | {"time_heads": time_heads}, SPEC).eval()


@pytest.mark.parametrize("time_heads", [0, 1, 4])
def test_step_by_step_is_the_parallel_pass_also_after_a_selection(time_heads):
    model = make(time_heads)
    tokens = torch.randint(7, (3, 20, 1), generator=torch.Generator().manual_seed(1))
    index = torch.tensor([2, 0, 2])
    nats = torch.zeros(3, 20)
    with torch.inference_mode():
        state = model.start(3, 8)
        for step in range(20):
            if step == 9:
                model.select(state, index)
                tokens = torch.cat([tokens[index, :9], tokens[:, 9:]], dim=1)
                nats = nats[index]
            chosen = tokens[:, step, 0]
            nats[:, step] = F.cross_entropy(model.next_logits(state), chosen, reduction="none")
            model.push(state, chosen)
        assert torch.allclose(nats, model.score(tokens)[..., 0], atol=1e-5)


def test_a_longer_shift_of_time_is_seen_by_heads_of_time_alone():
    """The same symbols, but the clock moves on by another number of steps."""
    tokens = torch.tensor([[3, 2, 0, 6, 1, 6, 0, 1]])[..., None]
    for time_heads, differs in ((0, False), (2, True)):
        model = make(time_heads)
        with torch.inference_mode():
            before = model.score(tokens)
            if model.clock:
                model.clock.shift *= 2
            change = (model.score(tokens) - before).abs().max()
        assert bool(change > 1e-5) == differs


def test_an_encoding_without_times_and_impossible_numbers_are_refused():
    with pytest.raises(ValueError, match="time_heads=2 needs the times of events"):
        build("gpt", SIZES | {"time_heads": 2}, ArraySpec(width=1, vocabulary=7))
    with pytest.raises(ValueError, match="time_heads=5 must lie in 0 to heads=4"):
        make(5)

"""Conditions in autoregressive families: seen, learned, dropped, and the same step by step."""

import pytest
import torch
from torch.nn import functional as F

from ostinato.models.registry import build
from ostinato.models.spec import NOT_GIVEN, ArraySpec, ConditionSpec, Given

STYLE = ConditionSpec(name="style", values=("swing", "waltz"), pieces=(3, 4))
MOOD = ConditionSpec(name="mood", values=("calm", "tense", "sad"), pieces=(1, 1, 1))
SPEC = ArraySpec(width=2, vocabulary=7, conditions=(MOOD, STYLE))
SETTINGS = {
    "lstm": {"width": 16, "layers": 1, "dropout": 0.0},
    "gpt": {"width": 16, "layers": 1, "heads": 2, "context": 32, "dropout": 0.0},
    "music_transformer": {
        "width": 16,
        "layers": 1,
        "heads": 2,
        "context": 32,
        "dropout": 0.0,
        "max_distance": 8,
    },
}


def model_of(family="gpt", **settings):
    torch.manual_seed(1)
    return build(
        family, SETTINGS[family] | {"conditions": ["style"], "voice_hidden": 8} | settings, SPEC
    )


def tokens(batch=2, length=5):
    return torch.randint(0, 7, (batch, length, 2), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("family", SETTINGS)
def test_a_condition_changes_the_likelihood_and_none_is_one_more_value(family):
    model = model_of(family).eval()
    batch = tokens()
    costs = [
        model.score(batch, Given(torch.full((2, 1), code))).sum() for code in (0, 1, NOT_GIVEN)
    ]
    assert len({round(cost.item(), 4) for cost in costs}) == 3
    assert torch.equal(model.score(batch), model.score(batch, Given(torch.full((2, 1), NOT_GIVEN))))


@torch.inference_mode()
@pytest.mark.parametrize("family", SETTINGS)
def test_steps_and_one_pass_say_the_same_under_conditions(family):
    model = model_of(family).eval()
    batch, given = tokens(), Given(torch.tensor([[1], [0]]))
    whole = model.score(batch, given)
    state = model.start(2, 5, given=given)
    swapped = model.start(2, 5, given=given)
    model.select(swapped, torch.tensor([1, 0]))
    for position in range(5):
        for column in model.order:
            for at, rows in ((state, batch), (swapped, batch.flip(0))):
                logits = model.next_logits(at)
                cost = F.cross_entropy(logits, rows[:, position, column], reduction="none")
                expected = whole if at is state else whole.flip(0)
                assert torch.allclose(cost, expected[:, position, column], atol=1e-4)
                model.push(at, rows[:, position, column])


def test_the_model_picks_its_columns_of_what_a_batch_carries():
    model = model_of()
    assert [spec.name for spec in model.conditions] == ["style"]
    assert model.given(torch.tensor([[2, 1], [0, NOT_GIVEN]])).codes_BC.tolist() == [
        [1],
        [NOT_GIVEN],
    ]


def test_dropout_hides_conditions_in_training_alone():
    model = model_of(condition_dropout=0.5)
    codes = torch.zeros(4000, 1, dtype=torch.long)
    hidden = model.condition_input(torch.full((1, 1), NOT_GIVEN))[0]
    model.train()
    share = (model.condition_input(codes) == hidden).all(dim=1).float().mean()
    assert 0.45 < share < 0.55  # five standard deviations
    model.eval()
    assert not (model.condition_input(codes) == hidden).all(dim=1).any()


def test_without_conditions_nothing_is_added():
    model = model_of(conditions=[])
    assert model.conditions == ()
    assert model.given(torch.zeros(2, 2)) is None
    assert not [name for name in model.state_dict() if "condition" in name]


def test_a_name_that_the_encoding_does_not_have_is_refused_with_those_it_has():
    with pytest.raises(
        ValueError, match=r"model.conditions names genre; this encoding has mood, style"
    ):
        model_of(conditions=["genre"])


def test_a_model_learns_to_obey():
    """Two styles, two symbols: after 60 steps each style gives its own symbol."""
    model = model_of(condition_dropout=0.3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    codes = torch.tensor([[0], [1]] * 8)
    batch = codes[:, :, None].expand(16, 6, 2).contiguous() + 3
    for _ in range(60):
        optimizer.zero_grad()
        model.score(batch, Given(codes)).mean().backward()
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        for code in (0, 1):
            first = model.next_logits(model.start(1, 6, given=Given(torch.tensor([[code]]))))
            assert first.softmax(-1)[0, code + 3] > 0.9
        unknown = model.next_logits(model.start(1, 6)).softmax(-1)[0]
    assert min(unknown[3], unknown[4]) > 0.15

"""Mixtures of models: exact, and never worse than the mean of their members."""

import pytest
import torch

from ostinato.evaluation.autoregressive.exact import InexactLikelihood, check_exact
from ostinato.evaluation.autoregressive.mixture import Mixture
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec

SHAPE = ArraySpec(width=3, vocabulary=5)


def model(family, seed, **settings):
    torch.manual_seed(seed)
    sizes = {"heads": 2, "context": 16} if family == "gpt" else {}
    return build(
        family, {"width": 16, "voice_hidden": 8, "layers": 1, **sizes, **settings}, SHAPE
    ).eval()


@pytest.fixture
def pieces():
    return torch.randint(0, 5, (4, 30, 3), generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_mixture_is_the_mean_of_probabilities_and_exact(pieces):
    members = [model("lstm", 1), model("lstm", 2), model("gpt", 3)]
    mixture = Mixture(members)
    nats = torch.stack([member.score(pieces) for member in members])
    torch.testing.assert_close(mixture.score(pieces), -nats.neg().exp().mean(dim=0).log())
    assert mixture.score(pieces).sum() < nats.sum(dim=(1, 2, 3)).mean()
    check_exact(mixture, pieces[0])
    state = mixture.start(2, 4)
    for token in (0, 3, 1, 2):
        torch.testing.assert_close(mixture.next_logits(state).exp().sum(dim=1), torch.ones(2))
        mixture.push(state, torch.tensor([token, token]))


@torch.inference_mode()
def test_a_mixture_that_picks_its_best_member_for_each_cell_is_caught(pieces):
    class Best(Mixture):
        """Sees the answer: the minimum over members is no distribution."""

        def score(self, tokens_BTW):
            return torch.stack([member.score(tokens_BTW) for member in self.models]).amin(dim=0)

    with pytest.raises(InexactLikelihood, match="step by step"):
        check_exact(Best([model("lstm", 1), model("lstm", 2)]), pieces[0])


def test_members_must_agree():
    with pytest.raises(
        ValueError, match=r"must agree: .*order=\[0, 1, 2\] and .*order=\[0, 2, 1\]"
    ):
        Mixture([model("lstm", 1), model("lstm", 2, order=[0, 2, 1])])
    with pytest.raises(ValueError, match="at least one model"):
        Mixture([])

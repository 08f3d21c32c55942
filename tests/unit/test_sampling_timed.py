"""A model that asks for the times of events, from its folder to its pieces; codecs without."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from ostinato.files import sha256_file, write_json
from ostinato.generator import Generator, Request
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.music.piece import same_music
from ostinato.representations.events.events import Events
from ostinato.representations.registry import build as build_representation
from ostinato.representations.store import codec_of
from ostinato.sampling.load import load_trained
from ostinato.sampling.prompts import EncodedPiece, as_piece


@pytest.fixture(scope="module", params=["remi", "midi_like"])
def timed_folder(request, tmp_path_factory):
    """A music_transformer that asks for times, untrained, as training would leave it."""
    folder = tmp_path_factory.mktemp(request.param) / "timed"
    folder.mkdir()
    representation = Events(scheme=request.param, max_quarters=4)
    codec = codec_of(representation)
    settings = {
        "width": 16,
        "heads": 2,
        "layers": 1,
        "context": 64,
        "max_distance": 8,
        "max_time_distance": 9,
    }
    torch.manual_seed(3)
    model = build("music_transformer", settings, ArraySpec.of(codec))
    save_file(dict(model.state_dict()), folder / "weights.safetensors")
    digest = sha256_file(folder / "weights.safetensors")
    card = {"format": 1, "system": "timed", "family": "music_transformer", "model": settings}
    write_json(folder / "model.json", card | {"codec": codec, "weights_sha256": digest})
    return folder


@torch.inference_mode()
def test_a_model_that_asks_for_times_is_loaded_and_plays(timed_folder, chorale):
    """Grammars, sequences that end early, and a prompt: what it draws is what it is scored by."""
    trained = load_trained(timed_folder)
    prompt = trained.representation.prefix(chorale(1), 4)
    assert not [name for name in trained.model.state_dict() if "clock" in name]
    model, given = trained.model, torch.from_numpy(prompt).long()[None].repeat(3, 1, 1)
    state = model.start(3, len(prompt))
    nats = []
    for token_B in given[:, :, 0].unbind(1):
        nats.append(-model.next_logits(state).log_softmax(dim=-1).gather(1, token_B[:, None]))
        model.push(state, token_B)
    torch.testing.assert_close(torch.cat(nats, dim=1), model.score(given)[:, :, 0])
    longer = torch.cat([given, torch.randint(5, 30, (3, 12, 1))], dim=1)
    chosen = torch.tensor([2, 0])
    for t in range(len(prompt), longer.shape[1]):
        if t == len(prompt) + 5:
            model.select(state, chosen)
            longer = longer[chosen]
        expected = model.score(longer[:, : t + 1])[:, t, 0]
        found = -model.next_logits(state).log_softmax(dim=-1).gather(1, longer[:, t])[:, 0]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        model.push(state, longer[:, t, 0])
    made = list(Generator(trained).generate(Request(bars=2, n=3, seed=1)))
    assert len(made) == 3


def test_a_codec_from_before_times_serves_models_that_ask_for_none(timed_folder, chorale):
    """And tokens of the one are a prompt for the other."""
    card = json.loads((timed_folder / "model.json").read_text())
    codec = card["codec"]
    before = {key: value for key, value in codec.items() if key != "timing"}
    assert ArraySpec.of(before).timing is None
    representation = build_representation(codec["representation"])
    tokens = representation.encode(chorale(1))
    for ours, theirs in ((before, codec), (codec, before)):
        piece = as_piece(EncodedPiece("x", tokens, theirs), representation, ours)
        assert same_music(piece, replace(representation.decode(tokens), id="x"))

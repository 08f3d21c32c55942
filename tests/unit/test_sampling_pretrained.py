"""Models kept in git: half precision loads as any folder, and its card says what it is."""

import json
from pathlib import Path

import numpy as np
import pytest

from ostinato.files import PRETRAINED, model_made_by, sha256_file
from ostinato.generator import Generator
from ostinato.sampling.load import load_trained
from ostinato.sampling.pretrained import MOST_BYTES, check_place, keep, write_card
from ostinato.sampling.request import Request

COMMITTED = Path(__file__).parents[2] / PRETRAINED


@pytest.fixture(scope="module")
def kept(model_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("clone") / PRETRAINED
    card = keep(model_folder, out)
    write_card(out, card, {"valid": 0.4, "test": 0.5, "full": 0.49})
    return out


def test_half_precision_takes_half_and_changes_little(kept, model_folder):
    before, after = (f / "weights.safetensors" for f in (model_folder, kept))
    assert after.stat().st_size < 0.6 * before.stat().st_size
    whole, half = (load_trained(folder).model.state_dict() for folder in (model_folder, kept))
    for name, weight in whole.items():
        assert half[name].dtype == weight.dtype
        assert (half[name] - weight).abs().max() <= 1e-3 * weight.abs().max() + 1e-7
    first, second = (Generator.load(f).generate(Request(bars=1))[0] for f in (model_folder, kept))
    assert np.isclose(first.row["nats"], second.row["nats"], rtol=0.2)


def test_the_card_says_where_it_is_from_and_how_to_rebuild_it(kept, model_folder):
    card = json.loads((kept / "model.json").read_text())
    original = json.loads((model_folder / "model.json").read_text())
    assert card["rounded_from"] == original["weights_sha256"]
    assert card["weights_sha256"] == sha256_file(kept / "weights.safetensors")
    text = (kept / "README.md").read_text()
    for word in (card["weights_sha256"], card["origin"]["licence"], "0.5000", "0.4900 on test"):
        assert word in text
    assert f"python pipelines/pretrained.py system={card['system']}" in text


def test_a_folder_with_anything_else_is_kept(kept, model_folder, tmp_path):
    check_place(kept)
    check_place(tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text("mine")
    for out in (tmp_path, readme, model_folder):
        with pytest.raises(ValueError, match="exists and holds no model in half precision"):
            keep(model_folder, out)
    assert readme.read_text() == "mine"


def test_one_that_is_too_large_is_refused_and_writes_nothing(model_folder, tmp_path):
    with pytest.raises(ValueError, match=r"more than 1,000; take a smaller size"):
        keep(model_folder, tmp_path / "bach", most_bytes=1000)
    assert not (tmp_path / "bach").exists()


def test_a_missing_one_is_named_with_its_command():
    assert (
        model_made_by(Path("pretrained/bach"))
        == "python pipelines/pretrained.py out=pretrained/bach"
    )
    assert model_made_by(Path("models/gpt")) == "dvc repro train@gpt"


@pytest.mark.skipif(not COMMITTED.exists(), reason="not written yet: pipelines/pretrained.py")
def test_the_committed_one_is_small_and_makes_music():
    assert (COMMITTED / "weights.safetensors").stat().st_size <= MOST_BYTES * 1.01
    (sample,) = Generator.load(COMMITTED).generate(Request(bars=2))
    assert len(sample.piece.notes) > 8
    assert load_trained(COMMITTED).card["weights_sha256"] in (COMMITTED / "README.md").read_text()

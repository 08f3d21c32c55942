"""Diffusion over spectrograms, from a training to sound files and their measures."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from ostinato.corpus.store import Entry
from ostinato.evaluation.excerpts import common_quarters, cut_to, sample_excerpts
from ostinato.evaluation.measures.registry import found, unfit
from ostinato.evaluation.registry import scorer_of
from ostinato.evaluation.system import read_samples
from ostinato.files import DamagedFile, checksums
from ostinato.generator import Generator
from ostinato.loading.batches import CropSettings
from ostinato.loading.tokens import open_tokens
from ostinato.models.diffusion.parts.noise import signal, spread
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec
from ostinato.report.load import load_samples
from ostinato.report.page import listen_page
from ostinato.representations.mel.mel import Mel
from ostinato.representations.store import write_encoding
from ostinato.sampling.diffusion.sampler import Sampler
from ostinato.sampling.request import Fill, Region, Request
from ostinato.sampling.sampler import Job
from ostinato.sampling.write import write_samples
from ostinato.training.diffusion import Spectrograms, whole_spectrograms
from ostinato.training.fit import fit
from ostinato.training.settings import OptimizerSettings, Settings, TrainingSettings

MEL = Mel(bands=24, seconds=3.0, iterations=4)
SPEC = ArraySpec(width=24, vocabulary=0, kind="mel")
TINY = {"patch": 2, "widths": (16, 16), "depths": (1, 1), "level_width": 8, "heads": 2}
SPLITS = ("train", "train", "train", "valid", "test")
OPTIONS = {"seconds": 2.0, "steps": 4}


def tiny(**changes):
    torch.manual_seed(0)
    return build("audio_ddpm", TINY | changes, SPEC).eval()


def batch_of(frames, length=None):
    held = torch.ones(frames.shape[:2], dtype=torch.bool)
    if length is not None:
        held[:, length:] = False
    return {"frames": frames, "held": held, "start": torch.zeros(len(frames), dtype=torch.long)}


@pytest.fixture(scope="module")
def tokens(chorale, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens") / "made-mel"
    pieces = [chorale(seed, bars=1 if not seed else 2) for seed in range(len(SPLITS))]
    entries = [Entry(p, split, p.id, p.id) for p, split in zip(pieces, SPLITS, strict=True)]
    write_encoding(folder, "made", entries, MEL, dict.fromkeys(("licence", "citation", "url"), "-"))
    return open_tokens(folder)


def settings(**training):
    chosen = {"steps": 12, "batch": 4, "crop": 24, "validate_every": 4, "ema_decay": 0.5}
    return Settings(
        system="audio",
        family="audio_ddpm",
        size="tiny",
        encoding="made-mel",
        seed=1,
        model=TINY | {"dropout": 0.1},
        optimizer=OptimizerSettings(lr=0.01, warmup=2),
        training=TrainingSettings(**(chosen | {"threads": 1} | training)),
    )


@pytest.fixture(scope="module")
def model_folder(tokens, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    options = {"accelerator": "cpu", "devices": 1}
    fit(settings(), tokens, folder / "audio", trainer_options=options, resume_root=folder / "r")
    return folder / "audio"


def test_a_model_without_an_output_pays_the_power_of_the_velocity():
    frames = torch.randn(64, 8, 24) * 0.5
    model = tiny(grain=1.0)  # nothing of the noisy frames is passed on
    found = float(model.validate(batch_of(frames))["nats"].detach().mean())
    levels = model.log_snrs_S.float()
    alpha, sigma = signal(levels, levels), spread(levels, levels)
    wanted = (alpha**2 + 0.25 * sigma**2).mean()  # E v², v = α ε - σ x
    assert found == pytest.approx(float(wanted), rel=0.03)


def test_a_true_mean_leaves_only_what_the_noise_hides():
    """Frames m + r, r of variance s²: of v, the variance s² / (α² s² + σ²) cannot be known."""
    model = tiny(grain=0.3)
    torch.nn.init.constant_(model.write.bias, 0.5)
    frames = 0.5 + 0.3 * torch.randn(2000, 2, 24)
    for level in (-4.0, 0.0, 3.0):
        levels = torch.full((2000,), level)
        alpha, sigma = (float(f(levels, levels)[0]) for f in (signal, spread))
        noise = torch.randn(frames.shape)
        held = torch.ones(2000, 2, dtype=torch.bool)
        with torch.no_grad():
            found = model(alpha * frames + sigma * noise, levels, torch.zeros(2000), held)
        error = float((found - (alpha * noise - sigma * frames)).square().mean())
        assert error == pytest.approx(0.09 / (alpha**2 * 0.09 + sigma**2), rel=0.03)


def test_frames_after_an_end_are_neither_seen_nor_paid():
    torch.manual_seed(1)
    model = tiny()
    torch.nn.init.normal_(model.write.weight)
    frames = torch.randn(2, 20, 24)
    longer = torch.cat([frames, torch.full((2, 10, 24), 50.0)], dim=1)
    levels, start = torch.tensor([0.5, -1.0]), torch.zeros(2, dtype=torch.long)
    held = batch_of(longer, 20)["held"]
    short = model(frames, levels, start, held[:, :20])
    assert torch.allclose(model(longer, levels, start, held)[:, :20], short, atol=1e-5)
    costs = model.validate(batch_of(longer, 20))
    assert float(costs["nats"].detach()[:, 20:].abs().sum()) == 0
    assert int(costs["target"].sum()) == len(costs["nats"]) * 20 * 24


def test_the_beginning_of_a_piece_is_known():
    model = tiny()
    torch.nn.init.normal_(model.write.weight)
    noisy, levels = torch.randn(1, 8, 24), torch.zeros(1)
    held = torch.ones(1, 8, dtype=torch.bool)
    begins, later = (model(noisy, levels, torch.tensor([start]), held) for start in (0, 500))
    assert not torch.allclose(begins, later)


@pytest.mark.starts
def test_a_model_that_knows_one_spectrogram_makes_it():
    torch.manual_seed(0)
    clip = torch.randn(1, 16, 24).cumsum(dim=1).div(3).clamp(-1.5, 2.5)
    model = tiny(widths=(48, 48), level_width=32).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(120):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 120)
        optimizer.zero_grad()
        (model.loss(batch_of(clip.expand(4, -1, -1))) / clip.numel() / 4).backward()
        optimizer.step()
    request = Request(options={"seconds": 16 / MEL.rate, "steps": 20})
    (made,) = Sampler(model, MEL).sample([Job(request, 0, 5)])
    assert made.tokens.shape == (16, 24)
    error = np.abs(made.tokens - clip[0].numpy()).mean()
    assert error < 0.3, error
    assert np.abs(clip - clip.mean()).mean() > 0.5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"widths": (16,)}, ["widths=[16]", "as many"]),
        ({"heads": 3}, ["heads=3"]),
        ({"patch": 0}, ["patch=0"]),
        ({"dropout": 1.0}, ["dropout=1.0"]),
        ({"grain": 0.0}, ["grain=0.0"]),
        ({"schedule": "loud"}, ["schedule='loud'"]),
    ],
)
def test_contradictory_settings_are_named(changes, words):
    with pytest.raises(ValueError) as refused:
        tiny(**changes)
    assert all(word in str(refused.value) for word in words)


def test_encodings_of_notes_are_refused():
    with pytest.raises(ValueError, match=r"kind mel .* this encoding holds tokens of 50 symbols"):
        build("audio_ddpm", TINY, ArraySpec(width=4, vocabulary=50))


def test_crops_are_pieces_of_the_encoding_and_depend_on_the_step_alone(tokens):
    crops = Spectrograms(tokens, CropSettings(batch=4, crop=80, seed=3))
    batch = crops[7]
    again = Spectrograms(tokens, CropSettings(batch=4, crop=80, seed=3))[7]
    assert all(torch.equal(batch[key], again[key]) for key in batch)
    part = tokens.splits["train"]
    whole = [part.tokens_of(n).astype(np.float32) for n in range(len(part))]
    for row in range(4):
        length, start = int(batch["held"][row].sum()), int(batch["start"][row])
        frames = batch["frames"][row].numpy()
        assert any(np.array_equal(frames[:length], one[start : start + length]) for one in whole)
        assert not frames[length:].any()
    assert int(batch["count"]) == int(batch["held"].sum()) * 24
    second = Spectrograms(tokens, CropSettings(batch=4, crop=80, seed=3), rank=1, world=2)[7]
    assert torch.equal(second["frames"], batch["frames"][1::2])
    (valid,) = whole_spectrograms(tokens, "valid")
    assert valid["held"].all()


def test_samples_are_sound_files_that_are_read_as_they_are_heard(model_folder, tmp_path):
    generator = Generator.load(model_folder)
    made = generator.generate(Request(n=3, options=OPTIONS))
    rows = write_samples(tmp_path / "a", "audio", made)
    assert [row["file"] for row in rows] == [f"unconditional-{n}.wav" for n in range(3)]
    assert {row["failed"] for row in rows} == {None}
    write_samples(tmp_path / "b", "audio", generator.generate(Request(n=3, options=OPTIONS)))
    assert checksums(tmp_path / "a") == checksums(tmp_path / "b")
    (alone,) = generator.generate(Request(n=1, first=2, options=OPTIONS))
    assert np.allclose(alone.made.tokens, made[2].made.tokens, atol=5e-3)
    assert not np.allclose(made[0].made.tokens, made[1].made.tokens, atol=0.1)
    sound, rate = soundfile.read(tmp_path / "a" / "unconditional-0.wav")
    assert rate == 8000
    assert abs(len(sound) / rate - 2) < 0.05
    assert 0.001 < np.abs(sound).max() < 0.9
    ((_, recording), *_) = read_samples(tmp_path / "a", generator.representation)
    assert recording.id == rows[0]["id"]
    assert np.allclose(recording.frames, MEL.frames(sound), atol=1e-5)
    soundfile.write(tmp_path / "a" / "unconditional-0.wav", sound, 16000)
    with pytest.raises(DamagedFile, match=r"16000 samples a second, its encoding 8000"):
        read_samples(tmp_path / "a", generator.representation)


def test_what_sound_cannot_do_is_refused(model_folder, chorale):
    generator = Generator.load(model_folder)
    with pytest.raises(ValueError, match=r"steps=2000 are more than the 1000"):
        generator.generate(Request(options={"steps": 2000}))
    with pytest.raises(ValueError, match=r"seconds=0"):
        generator.generate(Request(options={"seconds": 0}))
    with pytest.raises(ValueError, match=r"cannot do task 'fill': a spectrogram has no notes"):
        generator.generate(Request(task=Fill(chorale(1), Region((1, 2)))))
    with pytest.raises(ValueError, match="makes whole pieces only"):
        generator.session(Request())
    assert scorer_of(generator.trained.model, "audio_ddpm") is None


def test_measures_say_to_what_they_apply():
    assert unfit("sound", "mel") == ""
    assert unfit("learning", "mel") == unfit("learning", "tokens") == ""
    assert "notes" in unfit("form", "mel")
    assert "sound" in unfit("sound", "tokens")
    assert {name for name in found() if not unfit(name, "mel")} == {
        "learning",
        "likelihood",
        "sound",
    }


def test_recordings_are_cut_to_seconds(tokens):
    part = tokens.splits["train"]
    recordings = [replace(MEL.decode(part.tokens_of(n)), id=str(n)) for n in range(3)]
    whole = sample_excerpts(recordings, [True] * 3)
    shortest = min(recording.seconds for recording in recordings)
    assert common_quarters(recordings, 16) == int(shortest)
    kept = cut_to(whole, 3)
    assert all(recording.seconds == pytest.approx(3, abs=0.02) for recording in kept)
    assert len(kept) == sum(recording.seconds >= 3 for recording in recordings)


def test_the_page_has_a_player_and_a_spectrogram_for_every_sample(model_folder, tmp_path):
    generator = Generator.load(model_folder)
    write_samples(tmp_path / "samples" / "audio", "audio", generator.generate(
        Request(n=2, options=OPTIONS)
    ))  # fmt: skip
    samples = load_samples("audio", tmp_path)
    html = listen_page(samples, "audio")
    assert html.count("<audio controls") == html.count('<img class="spectrogram"') == 2
    assert "media-src data:" in html
    assert listen_page(load_samples("audio", tmp_path), "audio") == html
    found = base64.b64decode(re.search(r"data:image/png;base64,([\w+/=]+)", html)[1])
    image = Image.open(io.BytesIO(found))
    frames = samples[0].recording.frames
    assert image.size == frames.shape
    dark, bright = frames.argmin(), frames.argmax()
    shown = np.asarray(image.convert("L"), float)[::-1].T.ravel()
    assert shown[bright] > shown[dark]

"""What latent diffusion learns: the vectors that a trained vae has of whole pieces."""

# N segments of the training pieces, Z dimensions

from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor

from ostinato.files import model_made_by, read_json, require
from ostinato.loading.batches import Batch, whole_pieces
from ostinato.models.latent_diffusion.latent_ddpm import Model
from ostinato.training.grids import Data
from ostinato.training.module import Training
from ostinato.training.settings import Settings

__all__ = ("Data", "Module")

FORMAT = 1  # of model.json


class Module(Training):
    """Asks the model: `loss(batch)` in training, `validate(batch)` of its average.

    Raises:
        MissingInput: no trained vae; names the command that makes it.
        ValueError: the vae's settings are not those of `model.vae`.
    """

    def __init__(self, model: Model, settings: Settings) -> None:
        folder = Path(model.config.autoencoder)
        made_by = model_made_by(folder)
        card = read_json(folder / "model.json", expect_format=FORMAT, made_by=made_by)
        theirs, ours = dict(card["model"]), dict(model.config.vae)
        for name in sorted({*theirs, *ours}):
            if theirs.get(name) != ours.get(name):
                raise ValueError(
                    f"model.vae.{name}={ours.get(name)}, and {folder} was trained with "
                    f"{name}={theirs.get(name)}: give model.vae the settings of {folder}/model.json"
                )
        model.vae.load_state_dict(load_file(require(folder / "weights.safetensors", made_by)))
        super().__init__(model, settings)

    def on_fit_start(self) -> None:
        """Tell the model where the vectors of the training pieces lie, and how far they spread."""
        model = cast(Model, self.model)
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        means, variances = [], []
        with torch.no_grad():
            for _, rows_BTW in whole_pieces(data.tokens, "train"):
                segments = model.vae.segments(rows_BTW.to(self.device))
                codes_ND = model.vae.encoder(segments.cells, segments.before)
                found = model.vae.posterior(codes_ND, model.vae.alone(segments))
                means.append(found.mean)
                variances.append((2 * found.log_std).exp())
            mean_NZ = torch.cat(means)
            spread_Z = mean_NZ.var(dim=0, correction=0) + torch.cat(variances).mean(dim=0)
        for each in (model, cast(Model, self.average)):
            each.shift_Z.copy_(mean_NZ.mean(dim=0))
            each.scale_Z.copy_(spread_Z.sqrt())

    def loss(self, batch: Batch) -> Tensor:
        """Squared errors of the velocity."""
        return cast(Model, self.model).loss(batch)

    def validate(self, batch: Any) -> dict[str, Tensor]:
        """The bound of whole pieces."""
        return cast(Model, self.average).validate(batch)

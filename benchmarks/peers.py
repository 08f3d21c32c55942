"""The same decoder in several implementations: 4 layers of width 256, 4 heads, 512 symbols."""

from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.measure import OURS
from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.models.registry import build
from ostinato.models.spec import ArraySpec

LAYERS, WIDTH, HEADS, VOCABULARY, CONTEXT = 4, 256, 4, 512, 512
OUR_GPT2 = "our gpt2"
OUR_QUICKEST = "our gpt, squared ReLU"
BODY = {"width": WIDTH, "layers": LAYERS, "heads": HEADS, "dropout": 0.0}


def ours(context: int = CONTEXT, family: str = "gpt", **settings: object) -> Autoregressive:
    """A family of ours in its flat form, one sub-token a position."""
    torch.manual_seed(0)
    shape = ArraySpec(width=1, vocabulary=VOCABULARY)
    return build(family, BODY | {"context": context} | settings, shape)


def our_gpt2(context: int = CONTEXT) -> Autoregressive:
    """Our family gpt2; without dropout on attention's weights, like the peers."""
    return ours(context, "gpt2", attention_dropout=0.0)


def quickest(context: int = CONTEXT) -> Autoregressive:
    """Our family gpt with the feed-forward that takes the least time; its default learns more."""
    return ours(context, norm="layer", feed_forward="squared_relu")


def gpt2(
    context: int = CONTEXT,
    layers: int = LAYERS,
    width: int = WIDTH,
    heads: int = HEADS,
    symbols: int = VOCABULARY,
) -> nn.Module:
    """GPT2LMHeadModel of Hugging Face's transformers, its attention torch's fused one."""
    transformers = _peer("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=symbols,
        n_positions=context,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
    )
    model: nn.Module = transformers.GPT2LMHeadModel(config)
    return model


def x_transformer(context: int = CONTEXT) -> nn.Module:
    """Decoder of x-transformers with its flash attention and learned positions, its fastest
    form.
    """
    library = _peer("x_transformers")
    torch.manual_seed(0)
    layers = library.Decoder(
        dim=WIDTH, depth=LAYERS, heads=HEADS, attn_dim_head=WIDTH // HEADS, attn_flash=True
    )
    model: nn.Module = library.TransformerWrapper(
        num_tokens=VOCABULARY, max_seq_len=context, attn_layers=layers
    )
    return model


def loss_of_ours(model: nn.Module, tokens_BT: Tensor) -> Tensor:
    """Mean nats of the next token."""
    starts = torch.zeros(len(tokens_BT), dtype=torch.long, device=tokens_BT.device)
    return model(tokens_BT[:, :-1, None], tokens_BT[:, 1:, None], starts).mean()


def loss_of_gpt2(model: nn.Module, tokens_BT: Tensor) -> Tensor:
    """The same; it need not keep keys and values for later."""
    logits = model(input_ids=tokens_BT[:, :-1], use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), tokens_BT[:, 1:].flatten())


def loss_of_x_transformer(model: nn.Module, tokens_BT: Tensor) -> Tensor:
    """The same."""
    logits = model(tokens_BT[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1).float(), tokens_BT[:, 1:].flatten())


Maker = Callable[[int], nn.Module]
Loss = Callable[[nn.Module, Tensor], Tensor]
# by name: what makes the model for a context, and what its loss is
CONTESTANTS: dict[str, tuple[Maker, Loss]] = {
    OURS: (ours, loss_of_ours),
    OUR_QUICKEST: (quickest, loss_of_ours),
    OUR_GPT2: (our_gpt2, loss_of_ours),
    "transformers": (gpt2, loss_of_gpt2),
    "x-transformers": (x_transformer, loss_of_x_transformer),
}


def _peer(name: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"{error.name} is not installed; `make bench` installs requirements-bench.lock and "
            "runs this (python -m benchmarks --only relative needs no other library)"
        ) from error

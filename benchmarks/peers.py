"""The same decoder in three implementations: 4 layers of width 256, 4 heads, 512 symbols, context
512.
"""

from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.models import build
from ostinato.models.parts.autoregressive import Autoregressive, TokenShape

LAYERS, WIDTH, HEADS, VOCABULARY, CONTEXT = 4, 256, 4, 512, 512


def ours() -> Autoregressive:
    """Our transformer in its flat form, one sub-token a position."""
    torch.manual_seed(0)
    settings = {
        "width": WIDTH, "layers": LAYERS, "heads": HEADS, "context": CONTEXT, "dropout": 0.0,
    }  # fmt: skip
    return build("gpt", settings, TokenShape(width=1, vocabulary=VOCABULARY))


def gpt2() -> nn.Module:
    """GPT2LMHeadModel of Hugging Face's transformers, its attention torch's fused one."""
    transformers = _peer("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=CONTEXT,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
    )
    model: nn.Module = transformers.GPT2LMHeadModel(config)
    return model


def x_transformer() -> nn.Module:
    """Decoder of x-transformers with its flash attention and learned positions, its fastest
    form.
    """
    library = _peer("x_transformers")
    torch.manual_seed(0)
    layers = library.Decoder(
        dim=WIDTH, depth=LAYERS, heads=HEADS, attn_dim_head=WIDTH // HEADS, attn_flash=True
    )
    model: nn.Module = library.TransformerWrapper(
        num_tokens=VOCABULARY, max_seq_len=CONTEXT, attn_layers=layers
    )
    return model


def loss_of_ours(model: nn.Module, tokens_BT: Tensor) -> Tensor:
    """Mean nats of the next token."""
    starts = torch.zeros(len(tokens_BT), dtype=torch.long)
    return model(tokens_BT[:, :-1, None], tokens_BT[:, 1:, None], starts).mean()


def loss_of_gpt2(model: nn.Module, tokens_BT: Tensor) -> Tensor:
    """The same; it need not keep keys and values for later."""
    logits = model(input_ids=tokens_BT[:, :-1], use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1).float(), tokens_BT[:, 1:].flatten())


def loss_of_x_transformer(model: nn.Module, tokens_BT: Tensor) -> Tensor:
    """The same."""
    logits = model(tokens_BT[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1).float(), tokens_BT[:, 1:].flatten())


def _peer(name: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"{error.name} is not installed; `make bench` installs requirements-bench.lock and "
            "runs this (python -m benchmarks --only music needs no other library)"
        ) from error

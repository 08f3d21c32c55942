"""What a model is asked to go on from: checked before anything is sampled, in words that help."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ostinato.files import sha256_json
from ostinato.models.autoregressive.parts.base import Autoregressive
from ostinato.music.piece import Piece
from ostinato.representations.protocol import Representation, Tokens, Unencodable
from ostinato.sampling.request import EncodedPiece

SHOWN = 12  # digits of a digest
REMEDIES = {  # by the reason why a prompt cannot be encoded
    "voice missing": "name the prompt's tracks after the voices that the model was trained on",
    "no notes": "give a piece that sounds within its first quarters; where the model's encoding "
    "names voices, name the prompt's tracks after them",
    "too many tracks": "leave tracks out, or take a model whose encoding merges them",
    "pitch out of range": "transpose the prompt, or take a model whose encoding has this pitch",
    "meter not in the vocabulary": "take a model whose encoding has this meter",
    "too long": "take the part of it that is wanted",
}


def as_piece(
    prompt: Piece | EncodedPiece, representation: Representation, codec: Mapping[str, Any]
) -> Piece:
    """The music of a prompt, for a model of this codec.

    Raises:
        ValueError: tokens of another codec than the model's, with both.
    """
    if isinstance(prompt, Piece):
        return prompt
    theirs, ours = (sha256_json(_meaning(one)) for one in (prompt.codec, codec))
    if theirs != ours:
        raise ValueError(
            f"prompt {prompt.id} is encoded as {_named(prompt.codec)} (codec {theirs[:SHOWN]}), "
            f"the model was trained on {_named(codec)} (codec {ours[:SHOWN]}); "
            "give the piece itself, or its tokens of the model's own encoding"
        )
    check_tokens(representation, prompt.tokens)
    return replace(representation.decode(prompt.tokens), id=prompt.id)


def prefix_of(representation: Representation, piece: Piece, quarters: float) -> Tokens:
    """The tokens of a prompt's first quarters.

    Raises:
        Unencodable: what the model's encoding cannot hold of it, and what to do about that.
    """
    try:
        return representation.prefix(piece, quarters)
    except Unencodable as error:
        raise Unencodable(error.reason, f"{error}: {REMEDIES[error.reason]}") from error


def check_tokens(representation: Representation, tokens: Tokens) -> None:
    """Raise ValueError where tokens have another shape, or lie outside the vocabulary."""
    width, size = representation.width, len(representation.vocabulary)
    if tokens.ndim != 2 or tokens.shape[1] != width:
        raise ValueError(
            f"prompt has the shape {tokens.shape}, its representation (T, {width}): encode it with "
            "the model's own representation"
        )
    outside = tokens[(tokens < 0) | (tokens >= size)]
    if len(outside):
        raise ValueError(
            f"prompt has the token {int(outside[0])}, the vocabulary 0 to {size - 1}: encode it "
            "with the model's own representation"
        )


def context_of(model: Autoregressive) -> int | None:
    """How many positions a model sees at once; None where there is no such number."""
    found = getattr(getattr(model, "config", None), "context", None)
    return None if found is None else int(found)


def check_context(model: Autoregressive, prompt: Tokens, name: str, quarters: float) -> None:
    """Raise ValueError where a model would have forgotten the beginning of a prompt at its end.

    Its window slides, so it would go on without a word, from the last positions alone.
    """
    context = context_of(model)
    if context is not None and len(prompt) > context:
        fits = quarters * context / len(prompt)
        raise ValueError(
            f"prompt {name} has {len(prompt)} positions in {quarters:g} quarters, the model's "
            f"context is {context}; take about {np.floor(fits):g} quarters of it (prompt_quarters; "
            "prompt_bars by hand), or a model with a longer context"
        )


def _meaning(codec: Mapping[str, Any]) -> dict[str, Any]:
    """What tokens mean: not their times and not the corpus's conditions."""
    return {key: codec.get(key) for key in ("representation", "width", "vocabulary")}


def _named(codec: Mapping[str, Any]) -> str:
    kind = codec.get("representation", {}).get("kind", "an unknown kind")
    size = len(codec.get("vocabulary", ()))
    return f"{kind}, {codec.get('width')} of {size} sub-tokens"

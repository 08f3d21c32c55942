"""Validates prompts; errors say how to fix them."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from ostinato.files import sha256_json
from ostinato.music.piece import Piece
from ostinato.representations.bars import first_bars
from ostinato.representations.protocol import Representation, Tokens, Unencodable
from ostinato.sampling.request import EncodedPiece, Prompt, Request

SHOWN = 12  # digits of a digest
REMEDIES = {  # by the reason why a prompt cannot be encoded
    "voice missing": "name the prompt's tracks after the voices that the model was trained on",
    "no notes": "give a piece that sounds within its first quarters; where the model's encoding "
    "names voices, name the prompt's tracks after them",
    "too many tracks": "leave tracks out, or take a model whose encoding merges them",
    "pitch out of range": "transpose the prompt, or take a model whose encoding has this pitch",
    "meter not in the vocabulary": "take a model whose encoding has this meter",
    "too long": "take the part of it that is wanted",
    "no sound": "give its tracks programs of the SoundFont",
}


def with_pieces(
    request: Request, representation: Representation, codec: Mapping[str, Any]
) -> Request:
    """The same request with every encoded prompt decoded, for a model of this codec.

    Raises:
        ValueError: a prompt of another codec than the model's; it names both.
    """
    prompts = {
        field.name: as_piece(prompt, representation, codec)
        for field in fields(request.task)
        if isinstance(prompt := getattr(request.task, field.name), EncodedPiece)
    }
    task: Any = request.task  # a dataclass; which one does not matter here
    return replace(request, task=replace(task, **prompts)) if prompts else request


def as_piece(prompt: Prompt, representation: Representation, codec: Mapping[str, Any]) -> Piece:
    """The music of a prompt, for a model of this codec; raises ValueError as `with_pieces`."""
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


def prompt_of(representation: Representation, piece: Piece, bars: float) -> Tokens:
    """The tokens of a prompt's pickup and first `bars` score bars.

    Raises:
        Unencodable: what the model's encoding cannot hold of it, and what to do about that.
    """
    try:
        return first_bars(representation, piece, bars)
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


def _meaning(codec: Mapping[str, Any]) -> dict[str, Any]:
    """What tokens mean: not their times and not the corpus's conditions."""
    return {key: codec.get(key) for key in ("representation", "width", "vocabulary")}


def _named(codec: Mapping[str, Any]) -> str:
    kind = codec.get("representation", {}).get("kind", "an unknown kind")
    size = len(codec.get("vocabulary", ()))
    return f"{kind}, {codec.get('width')} of {size} sub-tokens"

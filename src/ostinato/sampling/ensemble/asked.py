"""What a request for a band asks besides its task, and what cannot be asked together."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ostinato.models.spec import ConditionSpec
from ostinato.music.chords import ROLE, parse_progression
from ostinato.music.keys import CLASSES, key_of_piece, keys_of, parse_key
from ostinato.music.piece import Piece, tonic_of
from ostinato.representations.events.roles import Roles
from ostinato.representations.protocol import Representation, read_meter
from ostinato.sampling.autoregressive.asked import check_request as check_stream
from ostinato.sampling.ensemble.decoding import BandDecoding
from ostinato.sampling.request import Continue, Fill, Request, Unconditional, Vary
from ostinato.sampling.sampler import Job

TEMPO, METER, MODE, TONIC = "tempo", "meter", "mode", "tonic"
LEVELS = ("density_", "register_")  # conditions of one role
MOST_BARS = 1024  # of a piece: each takes about a second


def check_request(request: Request, asked: BandDecoding, known: Representation) -> None:
    """Raise ValueError for unknown roles, meters, chords or keys, too many bars, contradictions."""
    assert isinstance(known, Roles)
    check_stream(request, asked, known)
    if request.bars > MOST_BARS:
        raise ValueError(f"bars={request.bars} must be at most {MOST_BARS}")
    if unknown := [role for role in asked.roles if role not in known.parts]:
        raise ValueError(
            f"roles names {', '.join(unknown)}; this model's roles are {', '.join(known.roles)}"
        )
    if asked.meter and asked.meter not in known.meters:
        read_meter(asked.meter)
        raise ValueError(f"meter={asked.meter} is none of {', '.join(known.meters)}")
    if asked.chords:
        parse_progression(asked.chords)
    if asked.best_of > 1 and (asked.chords or isinstance(request.task, Vary)):
        made = "a variation" if isinstance(request.task, Vary) else "a piece under given chords"
        raise ValueError(f"{made} is made once: leave best_of out, or take n and other seeds")
    _check_task(request, asked)
    _check_key(request, asked)
    named = {METER: asked.meter, TEMPO: asked.tempo}
    for name, value in named.items():
        given = request.conditions.get(name)
        if value and given is not None and given != value:
            raise ValueError(f"{name}={value} contradicts conditions.{name}={given}: leave one out")
    if isinstance(request.task, Unconditional) and known.needed == "any":
        words = f"roles=[{','.join(asked.roles)}]" if asked.roles else "roles=[…], which are open"
        check_levels(request, asked.roles, f"name it in {words}")


def check_levels(request: Request, made: Collection[str], remedy: str) -> None:
    """Raise ValueError for a level of a role that is not made. made: the roles that are."""
    for name in request.conditions:
        role = next((name.removeprefix(p) for p in LEVELS if name.startswith(p)), "")
        if role and role not in made:
            raise ValueError(
                f"conditions.{name}={request.conditions[name]} is of {role}, a role that is not "
                f"made here: {remedy}, or leave the condition out"
            )


def conditions_of(
    job: Job, known: Sequence[ConditionSpec], meters: Sequence[str]
) -> dict[str, str | float]:
    """The conditions of a job: those asked for, and its meter, key and tempo as they are given.

    Without a prompt, a tempo, a meter and a key that are left open are as often as training pieces
    have them; the meter is one for all pieces of a request. Of a tempo that is asked for by the
    name of a bin the bin's middle is taken. The key of a prompt, or of chords that are given, is
    estimated.
    """
    request = job.request
    asked = dict(request.conditions)
    specs = {spec.name: spec for spec in known}
    meter = meter_of(request, known, meters)
    if meter and METER in specs and meter in specs[METER].values:
        asked.setdefault(METER, meter)
    if TONIC in specs or MODE in specs:
        asked = _key(job, specs) | asked
    if TEMPO in specs:
        spec = specs[TEMPO]
        tempo = asked.get(TEMPO) or request.options.get("tempo") or tempo_of_prompt(request)
        place = spec.values.index(str(tempo)) if tempo in spec.values else None
        if place is None and not tempo:
            place = _place(spec.pieces or [1] * len(spec.values), job.seed, 3)
        asked[TEMPO] = float(tempo) if place is None else _middle(spec, place)
    return asked


def meter_of(request: Request, known: Sequence[ConditionSpec], meters: Sequence[str]) -> str:
    """The meter of all bars of a piece from nothing: as asked for, or drawn by the pieces that have
    it, where the model knows meters; empty: the model chooses, or the prompt has one.

    meters: those that can be said.
    """
    asked = request.options.get(METER) or request.conditions.get(METER)
    spec = next((spec for spec in known if spec.name == METER), None)
    if asked or spec is None or not spec.pieces or not isinstance(request.task, Unconditional):
        return str(asked or "")
    counts = zip(spec.values, spec.pieces, strict=True)
    pieces = [n if m in meters else 0 for m, n in counts]
    return spec.values[_place(pieces, request.seed, 4)] if any(pieces) else ""


def tempo_of_prompt(request: Request) -> float:
    """Of the prompt's beginning; 0 without one."""
    task = request.task
    piece = getattr(task, "prompt", None) or getattr(task, "piece", None)
    tempos = getattr(piece, "tempos", ())
    return float(tempos[0].qpm) if tempos else 0.0


def _place(pieces: Sequence[int], seed: int, kind: int) -> int:
    """The place of a value, drawn by the pieces that have it."""
    shares = np.array(pieces, dtype=np.float64)
    return int(np.random.default_rng([seed, kind]).choice(len(shares), p=shares / shares.sum()))


def _key(job: Job, specs: Mapping[str, ConditionSpec]) -> dict[str, str | float]:
    """Tonic and mode, as far as the model knows them."""
    request, task = job.request, job.request.task
    named, prompt = (
        request.options.get("key"),
        getattr(task, "prompt", getattr(task, "piece", None)),
    )
    found: tuple[int, str] | None = None
    if named:
        key = parse_key(named)
        found = tonic_of(key), key.mode
    elif chords := request.options.get("chords"):
        found = _key_of_chords(chords)
    elif isinstance(prompt, Piece):
        found = key_of_piece(prompt)
    elif isinstance(task, Unconditional):
        known = [specs[name] for name in (TONIC, MODE) if name in specs and specs[name].pieces]
        return {s.name: s.values[_place(s.pieces, job.seed, 5 + n)] for n, s in enumerate(known)}
    if found is None:
        return {}
    asked: dict[str, str | float] = {MODE: found[1]} if MODE in specs else {}
    for value in specs[TONIC].values if TONIC in specs else ():
        if tonic_of(parse_key(value)) == found[0]:
            asked[TONIC] = value
    return asked


def _key_of_chords(text: str) -> tuple[int, str] | None:
    """The key of a progression, by how long each pitch class sounds."""
    weights = np.zeros(CLASSES)
    for bar in parse_progression(text):
        for chord in bar:
            weights[list(chord.classes) if chord else []] += 1 / len(bar)
    [key] = keys_of(weights[None]).tolist()
    return None if key < 0 else (key % CLASSES, "minor" if key >= CLASSES else "major")


def _middle(spec: ConditionSpec, place: int) -> float:
    """Of a bin; of the outer ones a little beyond the edge."""
    edges = [spec.edges[0] * 0.9, *spec.edges, spec.edges[-1] * 1.1]
    return float(round((edges[place] + edges[place + 1]) / 2))


def _check_task(request: Request, asked: BandDecoding) -> None:
    task = request.task
    if isinstance(task, Continue) and asked.roles:
        raise ValueError("a continuation has the roles of its prompt: leave roles out")
    if isinstance(task, Continue) and asked.chords:
        raise ValueError(
            "a continuation has the chords of its prompt: leave chords out, or fill a prompt"
        )
    if isinstance(task, (Fill, Vary)):
        if asked.roles:
            raise ValueError("roles are those of a piece from nothing: name fill.roles instead")
        if asked.meter:
            raise ValueError("a prompt has its own meter: leave meter out")
    if isinstance(task, Fill) and asked.chords and ROLE in task.free.roles:
        raise ValueError(f"chords are given, so {ROLE} is not to be made: leave it out of roles")


def _check_key(request: Request, asked: BandDecoding) -> None:
    if not asked.key:
        return
    key = parse_key(asked.key)
    if asked.chords or isinstance(request.task, (Continue, Fill, Vary)):
        known = "chords" if asked.chords else "the prompt"
        raise ValueError(f"key={asked.key}: the key is that of {known}; leave key out")
    if request.conditions.get(MODE, key.mode) != key.mode:
        raise ValueError(
            f"key={asked.key} is {key.mode}, and conditions.{MODE}={request.conditions[MODE]}: "
            "leave one out"
        )
    if (tonic := request.conditions.get(TONIC)) and tonic_of(parse_key(str(tonic))) != tonic_of(
        key
    ):
        raise ValueError(f"key={asked.key} contradicts conditions.{TONIC}={tonic}: leave one out")

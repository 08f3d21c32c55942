"""Trial lists of all listeners, counterbalanced.

Within a listener every order of presentation occurs equally often, up to one where the number of
trials is no multiple. Over listeners the orders of every comparison and every item are kept as
equal as possible: a listener's orders are exchanged between trials as long as that evens out what
all listeners so far got.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ostinato.listening.stimuli import SCRAMBLED, catch_system, key_of
from ostinato.listening.study import ANCHOR, Study
from ostinato.seeds import seed_of

TRAINING, CATCH, MAIN = "training", "catch", "main"
ABX_ORDERS = ("ABA", "ABB", "BAA", "BAB")  # the first two letters and X; A is the pair's first
CELL_WEIGHT = 4  # the orders of a comparison of systems weigh more than those of its items

Place = Any  # what is counted: a cell, an item, both, or one of them with an order


@dataclass(frozen=True)
class Trial:
    """What one listener hears at one place.

    cell: systems compared. sounds: (role on the page, key of the stimulus) in order of
    presentation. expected: the right answer, "" where there is none.
    """

    kind: str
    cell: tuple[str, ...]
    item: str
    order: int
    sounds: tuple[tuple[str, str], ...]
    expected: str = ""


def cells(study: Study) -> list[tuple[str, ...]]:
    """The comparisons of a study: pairs, single systems, or all systems at once."""
    names = list(study.systems)
    if study.design == "ratings":
        return [(name,) for name in names]
    if study.design == "mushra":
        return [(*names, ANCHOR)]
    if study.design == "human":
        return [(study.reference, name) for name in names if name != study.reference]
    compared = [n for n in names if study.design != "ab" or n != study.reference]
    return list(combinations(compared, 2))


def num_orders(study: Study) -> int:
    """Orders that are balanced: 4 of ABX, 2 of pairs; sounds of MUSHRA are shuffled instead."""
    return {"abx": 4, "ab": 2, "human": 2}.get(study.design, 1)


def trial_lists(study: Study, items: Sequence[str]) -> list[list[Trial]]:
    """The trials of every place for a listener, training first, as a function of study and items.

    Raises:
        ValueError: more trials a listener than there are comparisons.
    """
    compared = cells(study)
    if not compared:
        raise ValueError(
            "there is no pair of systems to compare; the reference is not compared with others"
        )
    pairs = [(cell, item) for item in items for cell in compared]
    if study.trials > len(pairs):
        raise ValueError(
            f"trials={study.trials}, but there are {len(pairs)} comparisons ({len(compared)} of "
            f"systems, {len(items)} items): set trials to {len(pairs)} or fewer, or more items"
        )
    used: Counter[Place] = Counter()
    return [_one_list(study, items, pairs, slot, used) for slot in range(study.listeners)]


def _one_list(
    study: Study,
    items: Sequence[str],
    pairs: Sequence[tuple[tuple[str, ...], str]],
    slot: int,
    used: Counter[Place],
) -> list[Trial]:
    rng = np.random.default_rng(seed_of(study.seed, "listener", slot))
    chosen = _choose(pairs, study.trials, used, rng)
    orders = _deal_orders(chosen, num_orders(study), used, rng)
    main = [
        build(study, MAIN, cell, item, order, items, rng)
        for (cell, item), order in zip(chosen, orders, strict=True)
    ]
    main = [main[i] for i in rng.permutation(len(main))]
    for number in range(study.catch.trials):
        place = int(rng.integers(1, len(main) + 1))  # never first
        main.insert(place, catch_trial(study, items, number, rng))
    first = rng.permutation(len(pairs))[: study.training]
    orders = [int(rng.integers(num_orders(study))) for _ in first]
    training = [
        build(study, TRAINING, pairs[i][0], pairs[i][1], order, items, rng)
        for i, order in zip(first, orders, strict=True)
    ]
    return [*training, *main]


def _choose(
    pairs: Sequence[tuple[tuple[str, ...], str]],
    count: int,
    used: Counter[Place],
    rng: np.random.Generator,
) -> list[tuple[tuple[str, ...], str]]:
    """The comparisons least used so far; within a listener each cell and item equally often."""
    own: Counter[Place] = Counter()
    free = [pairs[i] for i in rng.permutation(len(pairs))]
    chosen = []
    for _ in range(count):
        best = min(free, key=lambda pair: _use(pair, own, used))
        free.remove(best)
        chosen.append(best)
        own.update(best)
        used.update([best, ("cell", best[0]), ("item", best[1])])
    return chosen


def _use(
    pair: tuple[tuple[str, ...], str], own: Counter[Place], used: Counter[Place]
) -> tuple[int, ...]:
    cell, item = pair
    return own[cell], used["cell", cell], own[item], used[pair], used["item", item]


def _deal_orders(
    chosen: Sequence[tuple[tuple[str, ...], str]],
    orders: int,
    used: Counter[Place],
    rng: np.random.Generator,
) -> list[int]:
    """An order for every comparison: all orders equally often, the least used ones once more."""
    whole, rest = divmod(len(chosen), orders)
    tie = rng.random(orders)
    extra = sorted(range(orders), key=lambda o: (used["order", o], tie[o]))[:rest]
    dealt = [o for o in range(orders) for _ in range(whole)] + extra
    result = [dealt[i] for i in rng.permutation(len(dealt))]
    counts = Counter(used)
    for pair, order in zip(chosen, result, strict=True):
        counts.update(_counted(pair, order))
    improves = True
    while improves:
        improves = False
        for i, j in combinations(range(len(chosen)), 2):
            if _swap(chosen[i], chosen[j], result[i], result[j], counts):
                result[i], result[j] = result[j], result[i]
                improves = True
    for pair, order in zip(chosen, result, strict=True):
        used.update([("order", order), *_counted(pair, order)])
    return result


def _counted(pair: tuple[tuple[str, ...], str], order: int) -> list[Place]:
    return [("item-order", pair, order), ("cell-order", pair[0], order)]


def _unevenness(counts: Counter[Place], places: set[Place]) -> int:
    return sum(
        (CELL_WEIGHT if place[0] == "cell-order" else 1) * counts[place] ** 2 for place in places
    )


def _swap(
    one: tuple[tuple[str, ...], str],
    other: tuple[tuple[str, ...], str],
    first: int,
    second: int,
    counts: Counter[Place],
) -> bool:
    """Exchange the orders of two trials where that makes the sum of squared counts smaller."""
    if first == second:
        return False
    old = _counted(one, first) + _counted(other, second)
    new = _counted(one, second) + _counted(other, first)
    places = set(old) | set(new)
    before = _unevenness(counts, places)
    counts.subtract(old)
    counts.update(new)
    if _unevenness(counts, places) < before:
        return True
    counts.subtract(new)
    counts.update(old)
    return False


def build(
    study: Study,
    kind: str,
    cell: tuple[str, ...],
    item: str,
    order: int,
    items: Sequence[str],
    rng: np.random.Generator,
) -> Trial:
    """One trial of the study's design."""
    if study.design == "ratings":
        return Trial(kind, cell, item, 0, (("a", key_of(cell[0], item)),))
    if study.design == "mushra":
        shown = [cell[i] for i in rng.permutation(len(cell))]
        hidden = tuple((f"s{n}", key_of(system, item, 1)) for n, system in enumerate(shown))
        return Trial(kind, cell, item, 0, (("ref", key_of(study.reference, item)), *hidden))
    if study.design == "abx":
        return _abx(study, kind, cell, item, order, items)
    first, second = cell if order == 0 else cell[::-1]
    sounds: tuple[tuple[str, str], ...] = (("a", key_of(first, item)), ("b", key_of(second, item)))
    if study.design == "ab" and study.reference:
        sounds = (("ref", key_of(study.reference, item)), *sounds)
    expected = ("a" if order == 0 else "b") if study.design == "human" else ""
    return Trial(kind, cell, item, order, sounds, expected)


def _abx(
    study: Study, kind: str, cell: tuple[str, ...], item: str, order: int, items: Sequence[str]
) -> Trial:
    letters = ABX_ORDERS[order]
    system = dict(zip("AB", cell, strict=True))
    first, second, source = (system[letter] for letter in letters)
    other = items[(list(items).index(item) + 1) % len(items)] if study.form == "class" else item
    sounds = (
        ("a", key_of(first, item)),
        ("b", key_of(second, item)),
        ("x", key_of(source, other, 1)),
    )
    return Trial(kind, cell, item, order, sounds, "a" if source == first else "b")


def catch_trial(study: Study, items: Sequence[str], number: int, rng: np.random.Generator) -> Trial:
    """A trial with a scrambled excerpt, whose answer is clear to whoever listens."""
    item, clean = items[number % min(len(items), max(1, study.catch.trials))], catch_system(study)
    good, bad = key_of(clean, item), key_of(SCRAMBLED, item)
    cell, order = (clean, SCRAMBLED), int(rng.integers(num_orders(study)))
    if study.design == "ratings":
        return Trial(CATCH, (SCRAMBLED,), item, 0, (("a", bad),), "low")
    if study.design == "mushra":
        keys = [key_of(clean, item, 1), bad, key_of(ANCHOR, item, 1)]
        shown = [keys[i] for i in rng.permutation(len(keys))]
        hidden = tuple((f"s{n}", key) for n, key in enumerate(shown))
        role = next(role for role, key in hidden if key == bad)
        return Trial(CATCH, (*cell, ANCHOR), item, 0, (("ref", good), *hidden), role)
    if study.design == "abx":
        letters = ABX_ORDERS[order]
        keys_of = dict(zip("AB", ((clean, item), (SCRAMBLED, item)), strict=True))
        a, b = (key_of(*keys_of[letter]) for letter in letters[:2])
        x = key_of(*keys_of[letters[2]], 1)
        expected = "a" if letters[0] == letters[2] else "b"
        return Trial(CATCH, cell, item, order, (("a", a), ("b", b), ("x", x)), expected)
    shown_ab = [good, bad] if order == 0 else [bad, good]
    sounds = tuple(zip("ab", shown_ab, strict=True))
    if study.design == "ab" and study.reference:
        sounds = (("ref", key_of(study.reference, item, 1)), *sounds)
    return Trial(CATCH, cell, item, order, sounds, "a" if order == 0 else "b")


def keys_used(lists: Sequence[Sequence[Trial]]) -> Iterator[str]:
    """The stimuli that the trials need."""
    yield from {key for trials in lists for trial in trials for _, key in trial.sounds}

"""Rows whose bar lines are drawn before their voices, for models that are told all bar lines."""

import numpy as np
import torch

from ostinato.models.layers.bar_lines import BarLines
from ostinato.representations.protocol import Grammar, Tokens

REST = 0
ONE = np.ones(1, dtype=bool)


def blank_rows(
    prompt: Tokens, bar_lines: BarLines | None, grammar: Grammar, random: np.random.Generator
) -> tuple[Tokens, bool]:
    """The rows of a prompt and resting ones after them, and whether they end by themselves.

    grammar: of one sequence, which begins with the prompt. Without bar lines there are as many rows
    as it allows.
    """
    if bar_lines is None:
        assert grammar.most is not None
        rows = np.full((grammar.most, prompt.shape[1]), REST, np.int32)
        rows[: len(prompt)] = prompt
        return rows, False
    column = prompt[:, 0].tolist()
    while not grammar.finished()[0]:
        column.append(_next_symbol(column, bar_lines, grammar, random))
        grammar.advance(np.array(column[-1:]), ONE, 0)
        for voice in range(1, prompt.shape[1]):
            grammar.advance(np.array([REST]), ONE, voice)
    rows = np.full((len(column), prompt.shape[1]), REST, np.int32)
    rows[: len(prompt)] = prompt
    rows[:, 0] = column
    return rows, bool(grammar.ended()[0])


@torch.inference_mode()
def _next_symbol(
    column: list[int], bar_lines: BarLines, grammar: Grammar, random: np.random.Generator
) -> int:
    device = bar_lines.symbols_K.device
    column_1T = torch.tensor([column], dtype=torch.long, device=device)
    logits_K = bar_lines.logits(column_1T)[0, -1].double().cpu().numpy()
    symbols_K = bar_lines.symbols_K.cpu().numpy()
    allowed = grammar.allowed(0)
    weights_K = np.exp(logits_K - logits_K.max())
    if allowed is not None:
        weights_K = weights_K * allowed[0, symbols_K]
    total_K = weights_K.cumsum()
    return int(symbols_K[np.searchsorted(total_K, random.random() * total_K[-1], side="right")])

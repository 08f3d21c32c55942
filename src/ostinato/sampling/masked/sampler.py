"""The sampler of masked families: fills the free cells of pieces, in any order."""

# B batch, T positions, W columns, M hidden cells, S symbols

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ostinato.models.masked.absorbing import Model
from ostinato.models.spec import PAD, Given, Voices
from ostinato.representations.protocol import Tokens
from ostinato.sampling.grids.opening import Canvas, Random
from ostinato.sampling.grids.whole import Batch, Whole, stacked, trimmed
from ostinato.sampling.masked.canvas import canvas_of
from ostinato.sampling.masked.decoding import TASKS, Decoding
from ostinato.sampling.masked.mending import Note, avoided, notes_to_mend, sounding
from ostinato.sampling.sampler import Job

NOTE_SHARE = 0.5  # of a voice's notes that are drawn again at once
Flags = npt.NDArray[np.bool_]
Cells = npt.NDArray[np.int64]
Chances = npt.NDArray[np.float64]


class Sampler(Whole[Decoding]):
    """Keeps any cells, and fills all others: from nothing, after a prompt, in gaps."""

    tasks = TASKS
    session_error = "masked families fill whole pieces, not bar by bar: sample them"
    decoding = Decoding

    def _plan(self, job: Job, random: Random) -> Canvas:
        return canvas_of(job, self.model, self.representation, random)

    def _draw(self, batch: Batch, decoding: Decoding) -> list[Tokens]:
        given = self._given(batch.jobs)
        return fill(self.model, batch.plans, batch.randoms, decoding, given)


@torch.inference_mode()
def fill(
    model: Model,
    canvases: Sequence[Canvas],
    randoms: Sequence[Random],
    decoding: Decoding,
    given: Given | None = None,
) -> list[Tokens]:
    """The rows of every canvas with its free cells filled; all others stay as they are."""
    model.eval()
    rows_BTW = stacked([canvas.rows for canvas in canvases], PAD)
    free_BTW = stacked([canvas.free for canvas in canvases], 0).astype(bool)
    painter = _Painter(model, rows_BTW, randoms, decoding.temperature, given)
    again = [random.spawn(1)[0] for random in randoms]  # a longer piece reveals for longer
    _reveal(painter, free_BTW, decoding)
    painter.randoms = again
    for number in range(decoding.gibbs):
        if number == decoding.gibbs // 2:
            _mend(painter, free_BTW, decoding.mend)
        share = decoding.gibbs_share * (1 - number / decoding.gibbs)
        again_BTW = free_BTW & (painter.lots() < share)
        painter.reveal(again_BTW, again_BTW, decoding.turns, number)
    for number in range(decoding.notes):
        again_BTW = free_BTW & painter.whole_notes(number, NOTE_SHARE)
        painter.reveal(again_BTW, again_BTW, decoding.turns, number)
    _mend(painter, free_BTW, decoding.mend)
    return trimmed(painter.rows_BTW, [canvas.rows for canvas in canvases])


def _mend(painter: "_Painter", free_BTW: Flags, passes: int) -> None:
    """At most so many passes, with random numbers of their own: how many of them a piece beside it
    needs changes nothing for a piece.
    """
    kept = painter.randoms
    painter.randoms = [random.spawn(1)[0] for random in kept]
    for _ in range(passes):
        if not painter.mend(free_BTW):
            break
    painter.randoms = kept


def _reveal(painter: "_Painter", free_BTW: Flags, decoding: Decoding) -> None:
    """Fill all free cells in as many passes as asked for."""
    hidden_BTW, batch = free_BTW.copy(), len(free_BTW)
    order_BTW = painter.lots()
    cells_B = free_BTW.sum(axis=(1, 2))
    passes_B = np.minimum(decoding.steps, cells_B).clip(min=1) if decoding.steps else cells_B
    for number in range(1, int(passes_B.max(initial=0)) + 1):
        if not hidden_BTW.any():
            return
        wanted_B = np.minimum(number, cells_B)
        if decoding.steps:
            share_B = np.minimum(number / passes_B, 1) ** decoding.pace
            wanted_B = np.ceil(cells_B * share_B - 1e-9).astype(np.int64)
        scores = order_BTW
        if decoding.order == "confident":
            values, scores = painter.draw(hidden_BTW)
        counts_B = wanted_B - (cells_B - hidden_BTW.sum(axis=(1, 2)))
        ranked = np.where(hidden_BTW, scores, -np.inf).reshape(batch, -1)
        ranks = np.argsort(np.argsort(-ranked, axis=1, kind="stable"), axis=1, kind="stable")
        now_BTW = (ranks < counts_B[:, None]).reshape(free_BTW.shape) & hidden_BTW
        if decoding.order == "confident":
            painter.take(now_BTW, values)
        else:
            painter.reveal(hidden_BTW, now_BTW, decoding.turns, number)
        hidden_BTW &= ~now_BTW


class _Painter:
    """Rows that are being filled, with a stream of random numbers for each piece."""

    def __init__(
        self,
        model: Model,
        rows_BTW: npt.NDArray[np.int64],
        randoms: Sequence[Random],
        temperature: float = 1.0,
        given: Given | None = None,
    ) -> None:
        self.model, self.rows_BTW, self.given = model, rows_BTW, given
        self.randoms, self._temperature = randoms, temperature
        self._lengths = (rows_BTW[..., 0] != PAD).sum(axis=1).tolist()
        self._columns = model.columns_V.cpu().numpy()

    def lots(self) -> npt.NDArray[np.float64]:
        """A number in [0, 1) for each cell; a piece's do not depend on the others' lengths."""
        out = np.ones(self.rows_BTW.shape)
        for number, (random, length) in enumerate(zip(self.randoms, self._lengths, strict=True)):
            out[number, :length] = random.random((length, self.rows_BTW.shape[-1]))
        return out

    def whole_notes(self, number: int, share: float) -> Flags:
        """About this share of the notes and rests of one voice, whole; voices take turns."""
        rows_BTW = self.rows_BTW
        begins_BTW = np.ones(rows_BTW.shape, dtype=bool)
        begins_BTW[:, 1:] = rows_BTW[:, 1:] != rows_BTW[:, :-1]
        steps_T1 = np.arange(rows_BTW.shape[1])[:, None]
        first_BTW = np.maximum.accumulate(np.where(begins_BTW, steps_T1, 0), axis=1)
        chosen_BTW = np.take_along_axis(self.lots(), first_BTW, axis=1) < share
        voice_W = np.arange(rows_BTW.shape[2]) == self._columns[number % len(self._columns)]
        chosen: Flags = chosen_BTW & voice_W
        return chosen

    def mend(self, free_BTW: Flags) -> bool:
        """Give notes that make parallels another pitch; whether there are any.

        Of the notes of a parallel that one changes whose likeliest other pitch is likeliest beside
        its own. A pitch is as likely as the mean of what the note's cells say, all hidden.
        """
        voices, columns = self.model.shape.voices, self._columns
        if voices is None:
            return False
        cells_BTV, free_BTV = self.rows_BTW[..., columns], free_BTW[..., columns]
        heard = [
            sounding(cells[:length], voices)
            for cells, length in zip(cells_BTV, self._lengths, strict=True)
        ]
        chosen = [
            notes_to_mend(*found, free_TV[: len(found[0])], random)
            for found, free_TV, random in zip(heard, free_BTV, self.randoms, strict=True)
        ]
        most = max((len(notes) for groups in chosen for notes in groups), default=0)
        if not most:
            return False
        best: dict[tuple[int, int], tuple[float, Note, Tensor]] = {}
        for turn in range(most):
            turns = [[g[turn] if turn < len(g) else None for g in groups] for groups in chosen]
            said = self._said(turns, voices)
            for (number, place), logs_P in said.items():
                note = turns[number][place]
                assert note is not None
                pitch_TV = heard[number][0]
                own = float(logs_P[pitch_TV[note.start, note.voice]])
                mask = torch.from_numpy(avoided(pitch_TV, note, voices.pitches))
                logs_P = logs_P.masked_fill(mask, -torch.inf)
                gain = float(logs_P.max()) - own
                if (number, place) not in best or gain > best[number, place][0]:
                    best[number, place] = gain, note, logs_P
        lots = self.lots()
        for (number, _), (_, note, logs_P) in best.items():
            probs_1P = torch.softmax(logs_P / self._temperature, dim=0)[None]
            lot = torch.from_numpy(lots[number, note.start : note.start + 1, note.voice])
            mine = np.s_[number, note.start : _carries(note, voices), note.voice]
            cells_BTV[mine] = int(_inverted(probs_1P, lot)) + voices.lowest
        self.rows_BTW[..., columns] = cells_BTV
        return True

    def _said(
        self, notes: Sequence[Sequence[Note | None]], voices: Voices
    ) -> dict[tuple[int, int], Tensor]:
        """What the cells of notes say on average, all of them hidden: by number of the piece and of
        the note the log-probabilities of pitches, (P,).
        """
        hidden_BTV = np.zeros((*self.rows_BTW.shape[:2], len(self._columns)), dtype=bool)
        spans = {
            (number, place): np.s_[number, note.start : _carries(note, voices), note.voice]
            for number, of_piece in enumerate(notes)
            for place, note in enumerate(of_piece)
            if note is not None
        }
        for span in spans.values():
            hidden_BTV[span] = True
        row_BTV = np.cumsum(hidden_BTV).reshape(hidden_BTV.shape) - 1
        logs_MS = self._logs(hidden_BTV)
        block = slice(voices.lowest, voices.lowest + voices.pitches)
        return {key: logs_MS[row_BTV[span], block].mean(dim=0) for key, span in spans.items()}

    def _logs(self, hidden_BTV: Flags) -> Tensor:
        """Log-probabilities of the hidden cells, (M, S), given all others."""
        device = self.model.columns_V.device
        start_B = torch.zeros(len(hidden_BTV), dtype=torch.long, device=device)
        rows, hidden = (torch.from_numpy(x).to(device) for x in (self.rows_BTW, hidden_BTV))
        return self.model.logits(rows, hidden, start_B, self.given).double().cpu().log_softmax(1)

    def draw(self, hidden_BTW: Flags) -> tuple[Cells, Chances]:
        """Values of the hidden cells, given all others, and their probabilities; (B, T, W)."""
        values, chances = self.rows_BTW.copy(), np.zeros(self.rows_BTW.shape)
        self._fill(values, chances, hidden_BTW, [hidden_BTW])
        return values, chances

    def reveal(self, hidden_BTW: Flags, now_BTW: Flags, turns: int, number: int) -> None:
        """Draw some of the hidden cells and keep them, in turns, see Decoding.

        number: of the pass; decides the order of the turns.
        """
        if turns < 1:
            self._fill(self.rows_BTW, None, hidden_BTW, [now_BTW])
            return
        order, count = np.random.default_rng(number), len(self._columns)
        shifts_W = np.zeros(self.rows_BTW.shape[2], np.int64)
        shifts_W[self._columns] = order.permutation(count) * turns // count
        turn_TW = (np.arange(self.rows_BTW.shape[1])[:, None] + shifts_W) % turns
        parts = [now_BTW & (turn_TW == turn) for turn in order.permutation(turns).tolist()]
        self._fill(self.rows_BTW, None, hidden_BTW, parts)

    def _fill(
        self, values: Cells, chances: Chances | None, hidden_BTW: Flags, parts: Sequence[Flags]
    ) -> None:
        """Draw parts of the hidden cells one after the other into `values`."""
        lots, device = self.lots(), self.model.columns_V.device
        parts = [part for part in parts if part.any()]
        if not parts:
            return
        start_B = torch.zeros(len(values), dtype=torch.long, device=device)
        rows = torch.from_numpy(self.rows_BTW).to(device)
        hidden = torch.from_numpy(hidden_BTW[..., self._columns]).to(device)
        seen = self.model.seen(rows, hidden)
        y_BTWH = self.model.trunk_out(rows, seen, start_B, self.given)
        for number, part in enumerate(parts):
            if number:
                rows = torch.from_numpy(values).to(device)
                seen = self.model.seen(rows, hidden)
            chosen = torch.from_numpy(part[..., self._columns]).to(device)
            logits_MS = self.model.cell_logits(y_BTWH, seen, chosen)
            probs_MS = torch.softmax(logits_MS.double().cpu() / self._temperature, dim=1)
            chosen_M = _inverted(probs_MS, torch.from_numpy(lots[part]))
            values[part] = chosen_M.numpy()
            hidden = hidden & ~chosen
            if chances is not None:
                chances[part] = probs_MS.gather(1, chosen_M[:, None])[:, 0].numpy()

    def take(self, cells_BTW: Flags, values: npt.NDArray[np.int64]) -> None:
        """Keep the values of these cells."""
        self.rows_BTW[cells_BTW] = values[cells_BTW]


def _carries(note: Note, voices: Voices) -> int:
    """The end of the cells that say a note's pitch: with holds only the first does."""
    return note.end if voices.hold < 0 else note.start + 1


def _inverted(probs_MS: Tensor, lots_M: Tensor) -> Tensor:
    """The symbols at which cumulative distributions pass numbers in [0, 1)."""
    cumulative_MS = probs_MS.cumsum(dim=1)
    points_M1 = (lots_M * cumulative_MS[:, -1])[:, None]
    return torch.searchsorted(cumulative_MS, points_M1, right=True)[:, 0].clamp(
        max=probs_MS.shape[1] - 1
    )

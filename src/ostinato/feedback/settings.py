"""The settings of a study: a file of conf/feedback."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ostinato.feedback.statistics import STATISTICS
from ostinato.settings import checked

GUARDED = 2  # clips of each prompt of the guards
KINDS = ("simulated", "corpus", "answers")


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """What is judged: for each of `prompts` training pieces, `each` continuations of its first
    `prompt_bars` bars by `bars` bars, drawn from the base model as it is (temperature 1).

    guard: prompts of the split `valid`, with two clips each, to measure tuned models. top_p, split,
    motion: how clips are drawn, see docs/sampling.md; as given here, from the model as it is.
    """

    prompts: int = 64
    each: int = 8
    prompt_bars: int = 1
    bars: int = 4
    guard: int = 48
    top_p: float = 1.0
    split: float = 0.0
    motion: float = 1.0

    def __post_init__(self) -> None:
        if self.prompts < 4 or self.each < 2 or self.guard < 2:
            raise ValueError(
                f"clips.prompts={self.prompts} must be at least 4, each={self.each} and "
                f"guard={self.guard} at least 2: without two clips of one prompt there is no choice"
            )
        if self.prompt_bars < 1 or self.bars < 1:
            raise ValueError("clips.prompt_bars and clips.bars must be at least 1")


@dataclass(frozen=True, kw_only=True)
class ListenerSettings:
    """Simulated listeners: each makes `choices` between two clips of one prompt.

    spread: standard deviation of a listener's weight of each statistic, as a share of the stated
    one. lapse: share of guesses.
    """

    count: int = 24
    choices: int = 60
    spread: float = 0.3
    lapse: float = 0.05

    def __post_init__(self) -> None:
        if self.count < 4 or self.choices < 1:
            raise ValueError(
                f"listeners.count={self.count} must be at least 4 and choices={self.choices} at "
                "least 1: a reward model needs listeners that it was not trained on"
            )


@dataclass(frozen=True, kw_only=True)
class RewardSettings:
    """Both ensembles: `members` linear heads, at most `steps` of L-BFGS, `penalty` on squares.

    held_out: share of the listeners, and of the prompts, that no head is trained on.
    """

    members: int = 4
    steps: int = 60
    penalty: float = 0.01
    held_out: float = 0.25

    def __post_init__(self) -> None:
        if self.members < 3:
            raise ValueError(f"reward.members={self.members} must be at least 3")
        if self.steps < 1 or self.penalty < 0:
            raise ValueError(
                f"reward.steps={self.steps} must be at least 1, penalty={self.penalty} not negative"
            )
        if not 0 < self.held_out < 1:
            raise ValueError(f"reward.held_out={self.held_out} must lie in (0, 1)")


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """kind: where preferences come from.

    simulated: listeners whose utility is the weighted sum of `weights`, statistics of a clip in
    standard deviations among clips, in logits. corpus: of two clips, the one whose statistics
    (`weights`) are nearer to those of the corpus. answers: a CSV export of a listening test.

    second: statistics of the second reward of a corpus study, which is never trained against.
    answers, digest: the CSV, and the SHA-256 of it and of the samples that it names. samples: the
    folder of the samples that were heard.
    """

    kind: str
    weights: Mapping[str, float] = field(default_factory=dict)
    second: tuple[str, ...] = ()
    clips: ClipSettings = field(default_factory=ClipSettings)
    listeners: ListenerSettings = field(default_factory=ListenerSettings)
    reward: RewardSettings = field(default_factory=RewardSettings)
    answers: str = ""
    digest: str = ""
    samples: str = "samples"
    seed: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"feedback.kind={self.kind!r} is none of {', '.join(KINDS)}")
        unknown = sorted({*self.weights, *self.second} - set(STATISTICS))
        if unknown:
            raise ValueError(
                f"feedback.weights or second names {', '.join(unknown)}; statistics are "
                f"{', '.join(STATISTICS)}"
            )
        if (self.kind == "answers") == bool(self.weights):
            raise ValueError(
                f"feedback.kind={self.kind} {'has no weights' if self.weights else 'needs weights'}"
            )
        if self.kind == "answers" and not self.answers:
            raise ValueError(
                "feedback.kind=answers needs answers, the file answers.csv that "
                "python pipelines/listen.py mode=export writes"
            )
        if self.kind == "corpus" and not self.second:
            raise ValueError("feedback.kind=corpus needs second, statistics to be guarded")


def study_settings(values: Mapping[str, Any]) -> StudySettings:
    """Settings of a plain mapping.

    Raises:
        ValueError: an unknown setting, or settings that contradict each other.
    """
    parts: dict[str, Any] = {
        "clips": ClipSettings,
        "listeners": ListenerSettings,
        "reward": RewardSettings,
    }
    built: dict[str, Any] = {
        name: checked(cls, f"feedback.{name}", values.get(name) or {})
        for name, cls in parts.items()
    }
    return checked(StudySettings, "feedback", {**values, **built})

"""Stage: score one system on the official split, after seeing that its likelihood is exact."""

from protocol import protocol_of

from ostinato.reproduction.score_stage import score_stage

if __name__ == "__main__":
    score_stage(protocol_of)

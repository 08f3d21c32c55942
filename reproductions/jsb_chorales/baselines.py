"""Stage: what needs no network, under the same protocol."""

from protocol import protocol_of

from ostinato.reproduction.baselines_stage import baselines_stage

if __name__ == "__main__":
    baselines_stage(protocol_of)

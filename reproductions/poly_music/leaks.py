"""Stage: held-out pieces that are also in train, and likelihoods of these beside the others."""

from ostinato.reproduction.leaks_stage import leaks_stage

if __name__ == "__main__":
    leaks_stage("frame")

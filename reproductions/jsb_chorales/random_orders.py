"""Stage: a masked system over random orderings, frame-wise and cell-wise, as Coconet was scored."""

from ostinato.reproduction.orderings_stage import orderings_stage

if __name__ == "__main__":
    orderings_stage()

"""From files to a corpus: reading behind a guard, copies, groups, splits, shards."""

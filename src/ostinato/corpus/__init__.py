"""The corpus on disk: Parquet shards of pieces, read one by one."""

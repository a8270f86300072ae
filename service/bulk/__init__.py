"""Files of texts to files of vectors, on every device of a machine. Knows no HTTP; only ``parquet`` imports pyarrow."""

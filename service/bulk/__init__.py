"""Files of texts to files of vectors, on every device of a machine or a cluster.

Knows no HTTP; only ``parquet`` imports pyarrow, only ``head``, ``cluster`` and ``member`` Ray.
"""

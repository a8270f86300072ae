"""The benchmark: this service beside what people would pick instead, on one machine, interleaved. ``make bench``."""

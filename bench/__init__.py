"""The benchmark: this service and the common alternatives on one machine, in alternating runs. ``make bench``."""

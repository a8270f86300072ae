"""The wire: one blueprint per dialect; routes are written here, in ``web`` and nowhere else."""

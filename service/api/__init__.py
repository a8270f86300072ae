"""The wire: one blueprint per dialect; nothing outside this package and ``app`` knows HTTP."""

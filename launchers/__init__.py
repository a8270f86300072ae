"""The laboratory: the notes' app and this service under every launcher, to see who breaks. ``make launchers``."""

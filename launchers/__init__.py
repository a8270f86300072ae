"""The notes' app and this service under every launcher, to see which combinations break. ``make launchers``."""

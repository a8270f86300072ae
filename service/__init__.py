"""Text embeddings over HTTP. ``service.app`` builds the application; importing any module starts nothing."""

#: As in pyproject.toml.
__version__ = "0.2.0"

"""Text embeddings over HTTP. Importing this touches no model, no torch and no thread."""

from service.app import create_app

__all__ = ["create_app"]

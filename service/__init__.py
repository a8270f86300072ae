"""Text embeddings over HTTP. ``service.app`` builds the application; importing any module starts nothing."""

"""Text to token ids to vectors: the only place that knows torch and OpenVINO.

Of the engine it knows ``engine.model`` alone.
"""

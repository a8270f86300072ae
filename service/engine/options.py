"""What a request asks of its vectors."""

from typing import NamedTuple

import numpy as np

from service.engine.model import Reading, Vectors


class Options(NamedTuple):
    """What a request asks for.

    Args:
        reading: how its texts are read.
        dimensions: keep this many leading components and scale to length 1; None or 0 keeps all.
        normalize: whether to scale the vectors to length 1; None does as the model does.
        refuse_long: refuse texts that are longer than the model reads instead of cutting them.
    """

    reading: Reading = Reading()
    dimensions: int | None = None
    normalize: bool | None = None
    refuse_long: bool = False

    def finish(self, vectors: Vectors, *, normalizes: bool) -> Vectors:
        """Keep the leading components, and scale each row to length 1, as Matryoshka models are used."""
        cuts = bool(self.dimensions) and self.dimensions != vectors.shape[1]
        if cuts:
            vectors = vectors[:, : self.dimensions].copy()
        scales = normalizes if self.normalize is None else self.normalize
        if scales or (cuts and self.normalize is None):
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return vectors

"""Vectors as points of a plane: their two principal components."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.engine.model import Vectors


class Map(NamedTuple):
    """Points of a plane.

    Args:
        points: float64 of shape (n, 2), in the order of the vectors.
        explained: which share of the variance each axis shows, from 0 to 1; float64 of shape (2,).
    """

    points: npt.NDArray[np.float64]
    explained: npt.NDArray[np.float64]


def project(vectors: Vectors) -> Map:
    """Return the first two principal components of float32 of shape (n, dimensions), n >= 1.

    They are computed exactly, from the products of the n vectors. The sign of an axis means nothing: the point farthest
    from the middle is put on its positive side, so that equal vectors give equal maps.
    """
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    variances, axes = np.linalg.eigh(centred @ centred.T)
    largest = np.maximum(variances[:-3:-1], 0)
    points = axes[:, :-3:-1] * np.sqrt(largest)
    points *= np.sign(points[np.abs(points).argmax(axis=0), range(len(largest))])
    explained = largest / (np.square(centred).sum() or 1)
    missing = 2 - len(largest)
    return Map(np.pad(points, ((0, 0), (0, missing))), np.pad(explained, (0, missing)))

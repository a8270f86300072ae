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
    centred = vectors.astype(np.float64)
    centred -= centred.mean(axis=0)
    variances, axes = np.linalg.eigh(centred @ centred.T)
    variances, axes = np.maximum(variances[::-1], 0), axes[:, ::-1]
    points = np.zeros((len(vectors), 2))
    for axis in range(min(2, len(vectors))):
        column = axes[:, axis] * np.sqrt(variances[axis])
        points[:, axis] = column * np.sign(column[np.abs(column).argmax()])
    explained = np.zeros(2)
    if total := variances.sum():
        explained[: len(variances[:2])] = variances[:2] / total
    return Map(points, explained)

import numpy as np

from service.web.map import project

VECTORS = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)


def test_the_points_are_the_principal_components():
    centred = VECTORS - VECTORS.mean(axis=0)
    _, values, axes = np.linalg.svd(centred)
    found = project(VECTORS)

    assert np.allclose(np.abs(found.points), np.abs(centred @ axes[:2].T), atol=1e-5)
    assert np.allclose(found.explained, values[:2] ** 2 / (values**2).sum())


def test_equal_vectors_give_equal_maps():
    assert (project(VECTORS).points == project(VECTORS.copy()).points).all()


def test_the_farthest_point_of_an_axis_is_on_its_positive_side():
    points = project(VECTORS).points

    assert (points.max(axis=0) == np.abs(points).max(axis=0)).all()


def test_one_vector_and_vectors_that_are_alike_have_a_map_too():
    for vectors in (VECTORS[:1], np.ones((3, 2), np.float32), VECTORS[:2]):
        found = project(vectors)

        assert found.points.shape == (len(vectors), 2)
        assert np.isfinite(found.points).all()
        assert 0 <= found.explained.sum() <= 1 + 1e-9

from base64 import b64decode

import numpy as np
import pytest

from service.api.outputs import DEVIATIONS, encode, quantize

VECTORS = np.random.default_rng(1).normal(size=(2000, 64)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)
LIMIT = np.full(64, DEVIATIONS / 8, np.float32)


@pytest.mark.parametrize("kind", ["int8", "uint8", "binary", "ubinary"])
def test_numbers_are_those_of_sentence_transformers(kind):
    from sentence_transformers.util import quantize_embeddings

    scaled = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    expected = quantize_embeddings(scaled, kind, ranges=np.stack([-LIMIT, LIMIT]))

    assert np.array_equal(quantize(VECTORS, kind), expected)
    assert quantize(VECTORS, kind).dtype == expected.dtype


def test_the_same_vector_gives_the_same_numbers_in_every_request():
    assert np.array_equal(quantize(VECTORS, "int8")[3:4], quantize(VECTORS[3:4], "int8"))


def test_a_vector_of_any_length_keeps_its_direction():
    assert np.array_equal(quantize(7 * VECTORS, "int8"), quantize(VECTORS, "int8"))


@pytest.mark.parametrize(("half", "dtype", "tolerance"), [(False, "<f4", 0), (True, "<f2", 1e-3)])
def test_base64_holds_little_endian_floats(half, dtype, tolerance):
    (row,) = encode(VECTORS[:1], "float", base64=True, half=half)

    assert np.abs(np.frombuffer(b64decode(row), dtype) - VECTORS[0]).max() <= tolerance


def test_base64_holds_bytes_of_packed_bits():
    (row,) = encode(VECTORS[:1], "ubinary", base64=True)

    assert b64decode(row) == np.packbits(VECTORS[0] > 0).tobytes()

"""Values in items of uWSGI's cache, which a dictionary stands for."""

import pytest

from service.hosting.shared_cache import BLOCK_BYTES, SharedCache


class Items(dict):
    """Keeps what uWSGI keeps: keys of at most 64 bytes, values of 1 to BLOCK_BYTES."""

    def read(self, key, name):
        assert name == "embeddings"
        return self.get(key)

    def write(self, key, value, name):
        assert name == "embeddings"
        assert len(key) <= 64
        assert 0 < len(value) <= BLOCK_BYTES
        self[key] = value


@pytest.fixture
def items():
    return Items()


@pytest.fixture
def cache(items):
    return SharedCache("1", items.read, items.write)


@pytest.mark.parametrize("size", [1, 1581, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES, 16_429])
def test_a_value_of_any_size_comes_back(cache, size):
    value = bytes(number % 251 for number in range(size))
    cache.put(b"k" * 32, value)

    assert cache.get(b"k" * 32) == value
    assert cache.get(b"j" * 32) is None


def test_a_value_that_lost_an_item_comes_back_shorter(cache, items):
    cache.put(b"k", bytes(3 * BLOCK_BYTES))
    del items[sorted(items)[1]]

    assert len(cache.get(b"k")) < 3 * BLOCK_BYTES


def test_another_release_finds_nothing(cache, items):
    cache.put(b"k", b"value")

    assert SharedCache("2", items.read, items.write).get(b"k") is None

from service.models.batches import Layout


def as_lists(arrays):
    return [array.tolist() for array in arrays]


def test_padding_is_on_the_models_side():
    left, right = Layout("padded", 9, "left"), Layout("padded", 0, "right")

    assert as_lists(left.arrays([(1, 2, 3), (4,)])) == [[[1, 2, 3], [9, 9, 4]], [[1, 1, 1], [0, 0, 1]]]
    assert as_lists(right.arrays([(1, 2), (4,)])) == [[[1, 2], [4, 0]], [[1, 1], [1, 0]]]


def test_a_text_without_tokens_is_padding():
    assert as_lists(Layout("padded", 9).arrays([()])) == [[[9]], [[0]]]


def test_flat_marks_where_each_text_and_one_more_begins():
    assert as_lists(Layout("flat").arrays([(1, 2), (), (3,)])) == [[1, 2, 3, 0], [0, 2, 2, 3]]

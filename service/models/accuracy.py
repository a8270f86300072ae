"""Texts on which a model must give the reference's vectors before it is trusted, and how near it comes."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from service.engine.model import TokenIds, Vectors

#: Prose, Chinese, code, accents and symbols: what a tokenizer or a mask may trip over.
PASSAGE = (
    "The harbour was quiet when the survey ship came in, three days late and short of diesel. 今天的会议改到下午三点,"
    "请大家准备好上个季度的报告。for (int i = 0; i < n; ++i) { sum += a[i] * 0.5f; } Der Fluß führt nach dem Regen "
    "viel Wasser; les élèves étaient déjà partis. E = mc² – ½ of 1,024 items cost €3.75 😀 and nobody asked why. "
)

#: How many of them decide whether OpenVINO's vectors are right.
COUNT = 32

#: Longer texts prove nothing further, and the reference's attention grows with their square.
LONGEST = 2048


#: A standard deviation of scores that a model gives to all texts alike.
LEAST_SPREAD = 1e-3

#: Of a text, characters that are more than one token in every language.
CHARACTERS_PER_TOKEN = 6


def texts(max_length: int | None, count: int) -> list[str]:
    """Return ``count`` texts from the empty one to one that a model of ``max_length`` tokens has to cut."""
    longest = CHARACTERS_PER_TOKEN * min(max_length or LONGEST, LONGEST)
    lengths = [0, *np.geomspace(1, longest, count - 1).round().astype(int)]
    return [_passage(37 * i, length) for i, length in enumerate(lengths)]


def long_text(max_length: int | None) -> str:
    """Return a text that a model of ``max_length`` tokens has to cut, however long that is."""
    return _passage(0, CHARACTERS_PER_TOKEN * (max_length or LONGEST))


def _passage(start: int, length: int) -> str:
    return (PASSAGE * (2 + length // len(PASSAGE)))[start % len(PASSAGE) :][:length]


def least_cosine(
    embed: Callable[[Sequence[TokenIds]], Vectors],
    tokens: Sequence[TokenIds],
    expected: Vectors,
    *,
    rows: Sequence[int] = (1, 3, 8),
    equal_lengths: bool = False,
) -> float:
    """Compute the probes in batches of many shapes and return the smallest cosine to the reference's vectors.

    It is NaN if a vector is not finite.

    Args:
        embed: what is to be judged; like ``Model.embed``.
        tokens: the token ids of n probes.
        expected: the reference's vectors, float32 of shape (n, dimension).
        rows: the numbers of texts in a batch, each of which all probes are computed with.
        equal_lengths: whether only texts of one length may share a batch.
    """
    batches = _batches(len(tokens), rows, equal_lengths=equal_lengths)
    try:
        found = [cosines(embed([tokens[index] for index in batch]), expected[batch]) for batch in batches]
    except FloatingPointError:
        return float("nan")
    return float(np.concatenate(found).min())


def largest_difference(
    embed: Callable[[Sequence[TokenIds]], Vectors],
    tokens: Sequence[TokenIds],
    expected: Vectors,
    *,
    rows: Sequence[int] = (1, 3, 8),
    equal_lengths: bool = False,
) -> float:
    """Do the same with a model whose vectors are scores; return how far one is off, in their standard deviations.

    How large scores are is up to a model; to rank, they must be off by less than the scores of two documents differ. It
    is NaN if a score is not finite.
    """
    batches = _batches(len(tokens), rows, equal_lengths=equal_lengths)
    try:
        found = [np.abs(embed([tokens[index] for index in batch]) - expected[batch]).max() for batch in batches]
    except FloatingPointError:
        return float("nan")
    return float(max(found) / max(expected.std(), LEAST_SPREAD))


def _batches(count: int, rows: Sequence[int], *, equal_lengths: bool) -> list[list[int]]:
    indices = range(count)
    if equal_lengths:
        return [[index] * row for row in rows for index in indices]
    return [list(indices[start : start + row]) for row in rows for start in indices[::row]]


def check_finite(vectors: Vectors) -> Vectors:
    """Return ``vectors``.

    Raises:
        FloatingPointError: one of them holds NaN or infinity, which JSON cannot tell and nobody can search for.
    """
    if not np.isfinite(vectors).all():
        raise FloatingPointError("the model gave NaN or infinity")
    return vectors


def normalize(vectors: Vectors) -> Vectors:
    """Return the rows scaled to length 1; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = vectors.copy()
    scaled /= np.where(lengths, lengths, 1)
    return scaled


def cosines(ours: Vectors, expected: Vectors) -> npt.NDArray[np.float64]:
    """Return the cosine of each pair of rows, 1 where both are zero; float64 of shape (n,)."""
    a, b = ours.astype(np.float64), expected.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)
    result: npt.NDArray[np.float64] = np.where(both_zero, 1.0, (a * b).sum(axis=1) / np.where(lengths, lengths, 1.0))
    return result

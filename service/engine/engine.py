"""Texts to vectors: tokenise in the request's thread, compute in the batcher's."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from service.engine.admission import Admission
from service.engine.batcher import Batcher
from service.engine.lane import Lane
from service.engine.limits import Limits
from service.engine.meter import Meter
from service.engine.model import Embeddings, Input, Model, Pair, Reading, Timings, Tokenized, Vectors
from service.engine.request import Request
from service.errors import ClientGone, DeadlinePassed, InvalidInput, TooLong

#: How often a waiting request looks at its client. Each look needs the GIL, and under overload many requests wait.
POLL_SECONDS = 0.5

#: Bytes of UTF-8 to a token, for an estimate before tokenising: English has 4 to 5, Chinese 3.
BYTES_PER_TOKEN = 4

#: Characters that are tokenised between two looks at the client and the deadline. A token takes about 150 bytes of the
#: tokenizer's memory until its text is done.
SLICE_CHARACTERS = 100_000


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


class Engine:
    """A model behind admission and the batcher, which the engines of a process share.

    Args:
        lane: where what waits for the model is; it has the model.
        batcher: runs it.
        admission: decides who may wait.
        limits: how much time a request has.
        meter: told of what happens.
    """

    def __init__(self, lane: Lane, batcher: Batcher, admission: Admission, limits: Limits, meter: Meter) -> None:
        self.model: Model = lane.model
        self.limits = limits
        self._lane = lane
        self._batcher = batcher
        self._admission = admission
        self._meter = meter

    def calibrate(self) -> None:
        """Compute the longest text that fits a batch: it tells the rate, and how long a batch may take."""
        most = self._lane.max_batch_tokens
        words = min(self.model.max_length or most, most)
        [token_ids] = self.model.tokenize(["a " * words]).ids
        for _ in range(2):  # the first of a shape takes longer
            request = Request([token_ids[:words]], self.model.dimension)
            self._batcher.submit(self._lane, request)
            request.wait(-1)
            request.raise_error()
        self._lane.calibrate()

    def embed(
        self,
        inputs: Sequence[Input],
        options: Options = Options(),  # noqa: B008  # immutable
        is_gone: Callable[[], bool] = lambda: False,
        deadline: float = float("inf"),
        *,
        bulk: bool = False,
    ) -> Embeddings:
        """Embed ``inputs``, blocking until every vector is there.

        Args:
            inputs: any number.
            options: what is asked for.
            is_gone: polled while waiting; once it returns True, the request is cancelled.
            deadline: the ``time.monotonic()`` after which the answer is useless; the request timeout may be sooner.
            bulk: let all other requests overtake this one.

        Raises:
            InvalidInput: ``dimensions`` is not between 0 and the model's dimension, or an input cannot be read.
            TooLong: an input is longer than the model reads, and ``options`` forbids to cut it.
            ClientGone: ``is_gone()`` returned True.
            DeadlinePassed: the deadline passed.
            Overloaded: the request would wait too long.
            ModelFailed: the model raised on one of the texts.
        """
        self._check(options.dimensions)
        began = time.monotonic()
        deadline = min(deadline, began + self.limits.request_timeout)
        tokens = self._estimate(inputs)
        small = tokens <= self._lane.max_batch_tokens and not bulk
        with self._admission.preparing(self._lane, tokens, deadline, small=small):
            token_ids, cut = self._tokenize(inputs, options, is_gone, deadline)
            request = Request(token_ids, self.model.dimension, deadline, bulk=bulk)
            self._batcher.submit(self._lane, request)
        self._wait(request, is_gone)
        started = min(request.started, time.monotonic())
        timings = Timings(request.arrived - began, started - request.arrived, time.monotonic() - started)
        vectors = _finish(request.vectors, options, normalizes=self.model.normalizes)
        return Embeddings(vectors, [len(ids) for ids in request.token_ids], cut, timings)

    def _check(self, dimensions: int | None) -> None:
        full = self.model.dimension
        if dimensions is not None and not 0 <= dimensions <= full:
            raise InvalidInput(f"dimensions must be between 1 and {full} for {self.model.name}", "dimensions")

    def _estimate(self, inputs: Sequence[Input]) -> int:
        most = self.model.max_length or float("inf")
        return int(sum(min(_guess_tokens(each), most) for each in inputs))

    def _tokenize(
        self, inputs: Sequence[Input], options: Options, is_gone: Callable[[], bool], deadline: float
    ) -> Tokenized:
        whole = Tokenized([], [])
        for first, part in _slices(inputs):
            self._check_waiting(is_gone, deadline)
            try:
                ids, cut = self.model.tokenize(part, options.reading)
            except InvalidInput as error:
                raise _name(error, first) from None
            if cut and options.refuse_long:
                index, most = first + cut[0], self.model.max_length
                raise TooLong(
                    f"input[{index}] is longer than this model's maximum context length of {most} tokens; "
                    "send a shorter text, or let it be cut",
                    "input",
                    index,
                )
            whole.ids.extend(ids)
            whole.cut.extend(first + index for index in cut)
        return whole

    def _wait(self, request: Request, is_gone: Callable[[], bool]) -> None:
        while not request.wait(min(POLL_SECONDS, max(0.0, request.deadline - time.monotonic()) + 0.001)):
            try:
                self._check_waiting(is_gone, request.deadline)
            except (ClientGone, DeadlinePassed):
                self._batcher.cancel(self._lane, request)
                raise
        request.raise_error()

    def _check_waiting(self, is_gone: Callable[[], bool], deadline: float) -> None:
        if is_gone():
            self._meter.count_refusal("client_gone")
            raise ClientGone("the client closed the connection")
        if time.monotonic() > deadline:
            self._meter.count_refusal("deadline")
            raise DeadlinePassed("not answered before its deadline; send fewer texts at a time")


def _guess_tokens(each: Input | Pair) -> float:
    if isinstance(each, Pair):
        return sum(map(_guess_tokens, each))
    if not isinstance(each, str):
        return len(each)
    size = len(each) if each.isascii() else len(each.encode(errors="surrogatepass"))
    return size / BYTES_PER_TOKEN + 2


def _slices(inputs: Sequence[Input]) -> Iterator[tuple[int, Sequence[Input]]]:
    """Divide inputs into runs of at most ``SLICE_CHARACTERS``, or of one input, each with the index of its first."""
    first = characters = 0
    for index, each in enumerate(inputs):
        size = sum(map(len, each)) if isinstance(each, Pair) else len(each)
        if characters and characters + size > SLICE_CHARACTERS:
            yield first, inputs[first:index]
            first, characters = index, 0
        characters += size
    if first < len(inputs):
        yield first, inputs[first:]


def _name(error: InvalidInput, first: int) -> InvalidInput:
    """Name the item in the whole list, of which a slice begins at ``first``."""
    if error.index is None:
        return error
    index = first + error.index
    return InvalidInput(f"input[{index}]: {error}", "input", index)


def _finish(vectors: Vectors, options: Options, *, normalizes: bool) -> Vectors:
    """Keep the leading components, and scale each row to length 1, as Matryoshka models are used."""
    cuts = bool(options.dimensions) and options.dimensions != vectors.shape[1]
    if cuts:
        vectors = vectors[:, : options.dimensions].copy()
    scales = normalizes if options.normalize is None else options.normalize
    if scales or (cuts and options.normalize is None):
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return vectors

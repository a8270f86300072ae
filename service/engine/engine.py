"""Texts to vectors: tokenise in the request's thread, compute in the batcher's."""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from service.engine.admission import Admission
from service.engine.batcher import Batcher
from service.engine.distinct import Distinct
from service.engine.lane import Lane
from service.engine.limits import Limits
from service.engine.meter import Meter
from service.engine.model import Embeddings, Input, Model, Timings, TokenIds, Tokenized, Vectors
from service.engine.options import Options
from service.engine.request import Request
from service.engine.results import Result, Results
from service.errors import ClientGone, DeadlinePassed, InvalidInput, TooLong

#: How often a waiting request looks at its client. Each look needs the GIL, and under overload many requests wait.
POLL_SECONDS = 0.5

#: Characters that are tokenised between two looks at the client and the deadline. A token takes about 150 bytes of the
#: tokenizer's memory until its text is done.
SLICE_CHARACTERS = 100_000


class Engine:
    """A model behind admission and the batcher, which the engines of a process share.

    Args:
        lane: where what waits for the model is; it has the model.
        batcher: runs it.
        admission: decides who may wait.
        limits: how much time a request has.
        meter: told of what happens.
        results: what it computed before; None computes everything.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # parts, put together in one place
        self,
        lane: Lane,
        batcher: Batcher,
        admission: Admission,
        limits: Limits,
        meter: Meter,
        results: Results | None = None,
    ) -> None:
        self.model: Model = lane.model
        self.limits = limits
        self._lane = lane
        self._batcher = batcher
        self._admission = admission
        self._meter = meter
        self._results = results

    @property
    def max_batch_tokens(self) -> int:
        """Tokens of a batch, padding included."""
        return self._lane.max_batch_tokens

    def calibrate(self) -> None:
        """Compute the longest text that fits a batch: it tells the rate, and how long a batch may take."""
        most = self.max_batch_tokens
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
        check_dimensions(self.model, options.dimensions)
        began = time.monotonic()
        texts = Distinct.of(inputs)
        keys, known = self._recall(texts, options)
        hits = sum(row in known for row in texts.rows) if known else 0
        timings = Timings(time.monotonic() - began, 0.0, 0.0)
        missing = [row for row in range(len(texts.inputs)) if row not in known]
        if missing:
            request, cut = self._compute(texts.only(missing), options, is_gone, deadline, bulk=bulk)
            timings = _timings(request, began)
            known |= zip(missing, _results(request, cut), strict=True)
            self._keep(keys, known, missing)
        return self._answer([known[row] for row in texts.rows], options, timings, hits)

    def _recall(self, texts: Distinct, options: Options) -> tuple[list[bytes], dict[int, Result]]:
        """Return what each text is kept under, and what is known of them."""
        if self._results is None:
            return [], {}
        keys = self._results.keys(texts.inputs, options.reading)
        known = {row: result for row, key in enumerate(keys) if (result := self._results.get(key))}
        if options.refuse_long:
            for row, result in known.items():
                if result.is_cut:
                    raise too_long(self.model, texts.places[row])
        return keys, known

    def _keep(self, keys: list[bytes], known: dict[int, Result], rows: list[int]) -> None:
        if self._results:
            for row in rows:
                self._results.put(keys[row], known[row])

    def _answer(self, results: Sequence[Result], options: Options, timings: Timings, hits: int) -> Embeddings:
        if self._results:
            self._meter.count_lookups(self.model.name, hits, len(results) - hits)
        raw = np.array([each.vector for each in results], np.float32).reshape(-1, self.model.dimension)
        vectors = options.finish(raw, normalizes=self.model.normalizes)
        cut = [index for index, each in enumerate(results) if each.is_cut]
        return Embeddings(vectors, [each.tokens for each in results], cut, timings, hits)

    def _compute(
        self, texts: Distinct, options: Options, is_gone: Callable[[], bool], deadline: float, *, bulk: bool
    ) -> tuple[Request, list[int]]:
        """Compute each text; return the finished request, and which of them were cut."""
        deadline = min(deadline, time.monotonic() + self.limits.request_timeout)
        tokens = texts.guess_tokens(self.model.max_length)
        small = tokens <= self.max_batch_tokens and not bulk
        with self._admission.preparing(self._lane, tokens, deadline, small=small):
            token_ids, cut = self._tokenize(texts, options, is_gone, deadline)
            request = Request(token_ids, self.model.dimension, deadline, bulk=bulk)
            self._batcher.submit(self._lane, request)
        self._wait(request, is_gone)
        return request, cut

    def submit(self, token_ids: Sequence[TokenIds]) -> Request:
        """Queue texts that are tokenised, as a bulk request without a deadline that admission does not count.

        For a process without clients, which keeps a second request waiting while the first is computed.
        """
        request = Request(token_ids, self.model.dimension, bulk=True)
        self._batcher.submit(self._lane, request)
        return request

    def collect(self, request: Request, options: Options = Options()) -> Vectors:  # noqa: B008  # immutable
        """Wait for what was submitted; return float32 of shape (texts, dimensions).

        Raises:
            InvalidInput: ``dimensions`` is not between 0 and the model's dimension.
            ModelFailed: the model raised on one of the texts.
        """
        check_dimensions(self.model, options.dimensions)
        request.wait(-1)
        request.raise_error()
        return options.finish(request.vectors, normalizes=self.model.normalizes)

    def _tokenize(self, texts: Distinct, options: Options, is_gone: Callable[[], bool], deadline: float) -> Tokenized:
        whole = Tokenized([], [])
        for first, part in texts.slices(SLICE_CHARACTERS):
            self._check_waiting(is_gone, deadline)
            try:
                ids, cut = self.model.tokenize(part, options.reading)
            except InvalidInput as error:
                raise _name(error, texts.places[first:]) from None
            if cut and options.refuse_long:
                raise too_long(self.model, texts.places[first + cut[0]])
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


def check_dimensions(model: Model, dimensions: int | None) -> None:
    """Check how many components are asked for.

    Raises:
        InvalidInput: the model has fewer.
    """
    if dimensions is not None and not 0 <= dimensions <= model.dimension:
        raise InvalidInput(f"dimensions must be between 1 and {model.dimension} for {model.name}", "dimensions")


def too_long(model: Model, index: int) -> TooLong:
    """Return the error of a text that must not be cut; ``index`` is its place in the request."""
    return TooLong(
        f"input[{index}] is longer than this model's maximum context length of {model.max_length} tokens; "
        "send a shorter text, or let it be cut",
        "input",
        index,
    )


def _name(error: InvalidInput, places: Sequence[int]) -> InvalidInput:
    """Name the item in the whole list, where ``places`` says that those of a slice are."""
    if error.index is None:
        return error
    index = places[error.index]
    return InvalidInput(f"input[{index}]: {error}", "input", index)


def _timings(request: Request, began: float) -> Timings:
    now = time.monotonic()
    started = min(request.started, now)
    return Timings(request.arrived - began, started - request.arrived, now - started)


def _results(request: Request, cut: Sequence[int]) -> Iterator[Result]:
    """Yield what a finished request has of each text."""
    too_long = set(cut)
    for index, (vector, ids) in enumerate(zip(request.vectors, request.token_ids, strict=True)):
        yield Result(vector, len(ids), index in too_long)

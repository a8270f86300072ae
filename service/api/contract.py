"""What a view takes and gives, said beside it; ``openapi.py`` makes the document of that."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from flask import Blueprint, Flask
from flask.sansio.app import App

from service.errors import BodyLate, ForkedAfterLoad, InvalidInput, Malformed, Overloaded, RequestError

#: What a view may raise that reads a body and embeds nothing, beside what its own members are wrong in.
READING = (InvalidInput, Malformed, BodyLate, Overloaded, ForkedAfterLoad)

View = TypeVar("View", bound=Callable[..., Any])
Status = Mapping[type[Any], int]


class Errors(NamedTuple):
    """The errors of a dialect: the status of each, and the shape of their bodies."""

    status: Status
    body: Any


class Contract(NamedTuple):
    """What ``view`` was told."""

    body: Any
    answer: Any
    examples: Mapping[str, Any]
    path: Mapping[str, str]
    raises: frozenset[type[RequestError]] | None
    media: str
    others: Sequence[Errors]
    takes: str
    query: Any


def view(  # noqa: PLR0913  # each names one thing, once a view
    *,
    answer: Any,
    body: Any = None,
    examples: Mapping[str, Any] | None = None,
    path: Mapping[str, str] | None = None,
    raises: Iterable[type[RequestError]] | None = None,
    media: str = "application/json",
    others: Sequence[Errors] = (),
    takes: str = "application/json",
    query: Any = None,
) -> Callable[[View], View]:
    """Describe a view. Its docstring's first line is the summary; its rules give the paths and the methods.

    Args:
        answer: the body of a 200, as a type that msgspec makes a schema of, or a union of several; None for a 204;
            NoReturn if there is only a refusal.
        body: the same for the request; None if the view takes none.
        examples: request bodies by their names in the documentation. Each must be answered with 200.
        path: an example of each part of the path that varies.
        raises: the errors of the view; None means every one of the dialect's table if it takes a body, else none.
            Those of API keys come of themselves.
        media: the Content-Type of a 200.
        others: the errors of more dialects, if the view speaks several.
        takes: the Content-Type of the request's body.
        query: a struct of the parameters in the query string.
    """
    raised = frozenset(() if raises is None else raises)
    told = None if raises is None and body else raised
    contract = Contract(body, answer, examples or {}, path or {}, told, media, others, takes, query)

    def attach(view: View) -> View:
        view.__dict__["contract"] = contract  # where functools.wraps takes it along
        return view

    return attach


def errors(of: Blueprint | App, status: Status, body: Any) -> Errors:
    """State the errors of a blueprint, or of every blueprint without ones of its own; return them for ``others``."""
    stated = Errors(status, body)
    if isinstance(of, App):
        _tables(of)[""] = stated
    else:
        of.record(lambda state: _tables(state.app).update({of.name: stated}))
    return stated


def find(app: Flask, endpoint: str) -> Contract | None:
    """Return the contract of the view of an endpoint; None if it has none."""
    found: Contract | None = getattr(app.view_functions[endpoint], "contract", None)
    return found


def find_errors(app: Flask, blueprint: str) -> tuple[str, Errors]:
    """Return the errors of a blueprint, and the name of the one that they were stated for: "" is the app."""
    name = blueprint if blueprint in _tables(app) else ""
    return name, _tables(app)[name]


def _tables(app: App) -> dict[str, Errors]:
    tables: dict[str, Errors] = app.extensions.setdefault("errors", {})
    return tables

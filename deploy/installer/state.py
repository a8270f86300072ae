"""PREFIX/state.json: what the next run has to know."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from .machine import Refused


@dataclass(frozen=True)
class State:
    """What was installed.

    Args:
        previous: the release before the current one.
        nginx: whether the site is installed.
        files: the SHA-256 of each file in /etc as it was installed.
    """

    previous: str | None = None
    nginx: bool = True
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file, if there is one.

        Raises:
            Refused: it is damaged.
        """
        if not path.exists():
            return cls()
        try:
            return cls._decode(json.loads(path.read_bytes()))
        except (ValueError, TypeError) as error:
            raise Refused(
                f"{path} is damaged ({error}); remove it, and the next install keeps every file in /etc that differs "
                "and puts the new one beside it as FILE.new"
            ) from None

    def encode(self) -> bytes:
        """Return the content of the file."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"

    @classmethod
    def _decode(cls, stored: Any) -> Self:
        if not isinstance(stored, dict):
            raise TypeError("no object")
        state = cls(stored.get("previous"), stored.get("nginx", True), stored.get("files", {}))
        if not isinstance(state.previous, str | None) or not isinstance(state.nginx, bool):
            raise TypeError("previous must be a name or null, nginx true or false")
        if not isinstance(state.files, dict) or not all(isinstance(each, str) for each in state.files.values()):
            raise TypeError("files must be an object of digests")
        return state

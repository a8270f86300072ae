"""Builds the stages of the Dockerfile in directories: it needs root, but no container engine."""

import ast
import json
import os
import re
import shlex
import string
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from tests.programs import program

#: The PATH that an engine sets in every container.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Mounts the file systems of a container into "$root", in a namespace that ends with the command: no mount stays.
ENTER = """
root=$1 user=$2 directory=$3 read_only=$4 tmpfs=$5 binds=$6; shift 6
mount --bind "$root" "$root"
for path in $binds; do
    [ -d "$path" ] && mkdir -p "$root$path" || mkdir -p "$root${path%/*}"
    [ -e "$root$path" ] || : > "$root$path"
    mount --rbind "$path" "$root$path"
done
[ -z "$read_only" ] || mount -o remount,ro,bind "$root"
for path in $tmpfs; do mount -t tmpfs -o "mode=$(stat -c %a "$root$path")" tmpfs "$root$path"; done
for path in /dev /sys; do mount --rbind "$path" "$root$path"; done
mount -t proc proc "$root/proc"
exec chroot --userspec="$user" "$root" sh -c 'cd "$0" && exec "$@"' "$directory" "$@"
"""


class Instruction(NamedTuple):
    word: str
    flags: dict[str, str]
    value: str


@dataclass
class Stage:
    parent: str
    instructions: list[Instruction] = field(default_factory=list)


@dataclass
class Image:
    """A built stage: its root directory and how a container of it starts."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    arguments: dict[str, str] = field(default_factory=dict)
    directory: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    stop_signal: str = "SIGTERM"
    ports: list[int] = field(default_factory=list)

    def enter(
        self,
        *command: str,
        env: Mapping[str, str] | None = None,
        read_only: bool = False,
        tmpfs: Iterable[str] = (),
        binds: Iterable[str] = (),
    ) -> list[str]:
        """Return the command line that runs ``command`` in a container, as process 1."""
        return [
            *(program("env"), "-i", *(f"{name}={value}" for name, value in (self.env | dict(env or {})).items())),
            *(program("unshare"), "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", ENTER, "sh"),
            *(str(self.root), self.user, self.directory, "yes" if read_only else "", " ".join(tmpfs), " ".join(binds)),
            *command,
        ]


def read(path: Path) -> dict[str, Stage]:
    """Return the stages of a Dockerfile by name."""
    lines = (line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
    stages: dict[str, Stage] = {}
    for line in filter(str.strip, "\n".join(lines).replace("\\\n", "").splitlines()):
        word, rest = line.split(maxsplit=1)
        found = re.fullmatch(r"((?:--\S+\s+)*)(.*)", rest)
        assert found, line
        flags, value = found.groups()
        if word == "FROM":
            parent, name = value.split(" AS ")
            stages[name] = Stage(parent)
        else:
            pairs = (flag.removeprefix("--").partition("=") for flag in flags.split())
            options = {key: option for key, _, option in pairs}
            stages[name].instructions.append(Instruction(word, options, value))
    return stages


class Builder:
    """Builds each stage once; ``base`` replaces the image of the first FROM, ``env`` has variables for RUN by stage."""

    def __init__(
        self, dockerfile: Path, context: Path, base: Path, scratch: Path, env: Mapping[str, Mapping[str, str]]
    ) -> None:
        self.stages = read(dockerfile)
        self.context, self.scratch, self.env = context, scratch, env
        self.images = {stage.parent: Image(base) for stage in self.stages.values() if stage.parent not in self.stages}

    def build(self, name: str) -> Image:
        if name not in self.images:
            stage = self.stages[name]
            parent = self.build(stage.parent)
            image = replace(parent, root=self.scratch / name, env=dict(parent.env), arguments=dict(parent.arguments))
            subprocess.run([program("cp"), "-a", parent.root, image.root], check=True)
            for instruction in stage.instructions:
                getattr(self, f"_{instruction.word.lower()}")(image, instruction)
            self.images[name] = image
        return self.images[name]

    def _run(self, image: Image, instruction: Instruction) -> None:
        env, paths = read_pip_settings()
        command = image.enter(
            *("sh", "-c", instruction.value),
            env=image.arguments | env | dict(self.env.get(image.root.name, {})),
            binds=["/etc/resolv.conf", *paths],
        )
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, f"RUN {instruction.value}\n{done.stdout[-5000:]}"

    def _copy(self, image: Image, instruction: Instruction) -> None:
        origin = self.build(instruction.flags["from"]).root if "from" in instruction.flags else self.context
        *sources, goal = expand(instruction.value, image).split()
        owner, group = instruction.flags.get("chown", "0:0").split(":")
        for source in sources:
            path = origin / source.lstrip("/")
            target = image.root / image.directory.lstrip("/") / goal if goal[0] != "/" else image.root / goal[1:]
            target.mkdir(parents=True, exist_ok=True)
            files = ["-C", str(path), "."] if path.is_dir() else ["-C", str(path.parent), path.name]
            # As in a layer, which is a tar archive: times in whole seconds, and the given owner.
            pack = [program("tar"), "-c", "--format=gnu", f"--owner={owner}", f"--group={group}"]
            ignored = [] if "from" in instruction.flags else ["--exclude=__pycache__"]
            with subprocess.Popen([*pack, "--numeric-owner", *ignored, *files], stdout=subprocess.PIPE) as packing:
                subprocess.run(
                    [program("tar"), "-xp", "--numeric-owner", "-C", target], stdin=packing.stdout, check=True
                )
            assert packing.returncode == 0

    def _env(self, image: Image, instruction: Instruction) -> None:
        pairs = [pair.partition("=") for pair in shlex.split(instruction.value)]
        image.env |= {name: expand(value, image) for name, _, value in pairs}

    def _arg(self, image: Image, instruction: Instruction) -> None:
        name, given, default = instruction.value.partition("=")
        if given:
            image.arguments[name] = default

    def _workdir(self, image: Image, instruction: Instruction) -> None:
        image.directory = instruction.value
        (image.root / instruction.value[1:]).mkdir(parents=True, exist_ok=True)

    def _user(self, image: Image, instruction: Instruction) -> None:
        image.user = instruction.value

    def _expose(self, image: Image, instruction: Instruction) -> None:
        image.ports = [int(port) for port in instruction.value.split()]

    def _stopsignal(self, image: Image, instruction: Instruction) -> None:
        image.stop_signal = instruction.value

    def _healthcheck(self, image: Image, instruction: Instruction) -> None:
        image.healthcheck = json.loads(instruction.value.strip().removeprefix("CMD"))

    def _entrypoint(self, image: Image, instruction: Instruction) -> None:
        image.entrypoint, image.command = json.loads(instruction.value), []

    def _cmd(self, image: Image, instruction: Instruction) -> None:
        image.command = json.loads(instruction.value)


def expand(text: str, image: Image) -> str:
    return string.Template(text).substitute(image.arguments | image.env)


def read_pip_settings() -> tuple[dict[str, str], list[str]]:
    """Return pip's settings on this machine as variables, and the files that they name."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    lines = sorted(listed.stdout.splitlines(), key=lambda line: line.startswith(":env:"))  # variables override files
    env = {}
    for line in lines:
        key, value = line.split("=", 1)
        env[f"PIP_{key.rpartition('.')[2].replace('-', '_').upper()}"] = ast.literal_eval(value)
    env |= {
        key: value for key, value in os.environ.items() if key.lower().endswith(("_proxy", "_ca_bundle", "_cert_file"))
    }
    words = {word for value in env.values() for word in value.split()}
    # An index on disk links to files beside it.
    paths = {str(Path(word).parent) for word in (each.removeprefix("file://") for each in words if "file://" in each)}
    paths |= {word for word in words if word.startswith("/")}
    return env, sorted(path for path in paths if Path(path).exists())

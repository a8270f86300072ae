"""docs/corpora.md says what the command does."""

import argparse
import re
from pathlib import Path

import pytest

from service.bulk import cluster, command, pool, shards, watch

MANUAL = (Path(__file__).parents[2] / "docs/corpora.md").read_text()


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    return parser


def test_the_manual_has_every_option_with_its_default(parser):
    shown = dict(re.findall(r"^\| `(--[a-z-]+)` \| (?:`?([^`|]*?)`?)? ?\|", MANUAL, re.MULTILINE))
    actions = {action.option_strings[-1]: action.default for action in parser._actions if action.option_strings}
    del actions["--help"]

    assert list(shown) == list(actions)
    assert {name: shown[name] for name, default in actions.items() if default} == {
        name: str(default) for name, default in actions.items() if default
    }


def test_the_manuals_commands_can_be_parsed(parser):
    commands = re.findall(r"^python -m service bulk (.*)$", MANUAL, re.MULTILINE)

    assert len(commands) == 3
    for each in commands:
        parser.parse_args(each.replace("'", "").split())


def test_the_manuals_limits_are_those_of_the_code():
    assert f"{shards.MAX_SHARD_CHARACTERS:,} characters" in MANUAL
    assert f"{shards.WINDOW_ROWS} rows or {shards.MAX_WINDOW_CHARACTERS:,} characters" in MANUAL
    assert f"After {pool.MAX_DEATHS} deaths" in MANUAL
    assert (pool.MAX_FAILED_STARTS, "Three processes of a device" in MANUAL) == (3, True)
    assert f"after {cluster.STRAY_SECONDS:.0f} seconds" in MANUAL
    assert f"does not answer for {watch.LOST_PROBES * watch.PROBE_SECONDS:.0f} seconds" in MANUAL
    statuses = [command.ALL, command.SOME, command.NOTHING, command.INTERRUPTED]
    assert [int(each) for each in re.findall(r"^\| (\d+) \|", MANUAL, re.MULTILINE)] == statuses

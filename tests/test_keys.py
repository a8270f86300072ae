"""The file of API keys: read, watched, appended to."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

from service import __main__, keys
from service.errors import BadSetting, CommandFailed
from service.keys import Allowance, Key, Keyring


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def file(tmp_path):
    """A function that writes the lines of the file, and returns its path."""

    def write(*lines):
        (tmp_path / "keys").write_text("\n".join(lines))
        return str(tmp_path / "keys")

    return write


def test_a_line_has_a_name_a_digest_and_perhaps_a_limit(file):
    path = file("# ours", "", f"search {digest('a')}", f"  batch-1\t{digest('b').upper()}   5000  ")

    assert keys.read(path) == (Key("search", digest("a")), Key("batch-1", digest("b"), 5000))


@pytest.mark.parametrize(
    "line",
    [
        "emb_a-key-by-mistake",
        f"{digest('a')}",
        f"search {digest('a')[1:]}",
        f"search {digest('a')} 0",
        f"search {digest('a')} -5",
        f"search {digest('a')} 5 more",
        f"a/b {digest('a')}",
        f"{'a' * 65} {digest('a')}",
    ],
)
def test_a_broken_line_is_named_by_its_number_and_not_shown(file, line):
    with pytest.raises(BadSetting) as refused:
        keys.read(file("# one", line))

    assert str(refused.value) == f"EMBED_API_KEYS_FILE: line 2 is not {keys.EXPECTED}"


def test_a_file_that_is_not_there_says_how_to_make_it(tmp_path):
    with pytest.raises(BadSetting, match="no such file; `python -m service keys new NAME` creates it"):
        Keyring(str(tmp_path / "keys"))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "keys").write_bytes(b"\xff\xfe")

    with pytest.raises(BadSetting, match="UTF-8"):
        keys.read(str(tmp_path / "keys"))


def test_a_key_is_found_by_its_digest(file):
    keyring = Keyring(file(f"first {digest('a')}", f"second {digest('b')} 7"))

    assert keyring.find("b") == Key("second", digest("b"), 7)
    assert keyring.find("a").name == "first"
    assert keyring.find("c") is None
    assert keyring.find(digest("a")) is None
    assert keyring.find("\xff\udc80") is None


def test_every_line_is_compared_whichever_fits(file, monkeypatch):
    compared = []
    monkeypatch.setattr(keys.hmac, "compare_digest", lambda *pair: compared.append(pair) or pair[0] == pair[1])
    Keyring(file(*(f"{name} {digest(name)}" for name in "abc"))).find("a")

    assert len(compared) == 3


def test_a_changed_file_is_read_within_a_second(file, clock):
    keyring = Keyring(file(f"old {digest('a')}"), clock)
    file(f"new {digest('b')} 5")

    assert keyring.find("b") is None
    clock.now += keys.CHECK_SECONDS
    assert keyring.find("b").name == "new"
    assert keyring.find("a") is None


def test_a_replaced_file_of_equal_size_and_time_is_read(file, clock, tmp_path):
    path = file(f"old {digest('a')}")
    keyring, times = Keyring(path, clock), Path(path).stat()
    (tmp_path / "next").write_text(f"old {digest('b')}")
    os.utime(tmp_path / "next", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "next").rename(path)
    clock.now += 1

    assert keyring.find("b")


@pytest.mark.parametrize("content", [None, "nonsense"])
def test_a_broken_file_keeps_the_keys_and_is_logged_once(file, clock, tmp_path, caplog, content):
    keyring = Keyring(file(f"old {digest('a')}"), clock)
    (tmp_path / "keys").write_text(content) if content else (tmp_path / "keys").unlink()
    for _ in range(3):
        clock.now += 1
        assert keyring.find("a").name == "old"

    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "EMBED_API_KEYS_FILE: " in record.getMessage()
    assert ("line 1" in record.getMessage()) == bool(content)


def test_a_mended_file_counts_again(file, clock):
    keyring = Keyring(file(f"old {digest('a')}"), clock)
    for lines in (["nonsense"], [f"new {digest('b')}"]):
        file(*lines)
        clock.now += 1
        keyring.find("")

    assert keyring.find("b")


def test_a_key_without_a_limit_never_waits(clock):
    allowance = Allowance(clock=clock)
    allowance.spend(Key("a", "x"), 10**9)

    assert allowance.wait(Key("a", "x")) == 0


def test_a_key_may_use_a_minutes_tokens_and_then_waits(clock):
    allowance, key = Allowance(clock=clock), Key("a", "x", 600)
    allowance.spend(key, 599)
    assert allowance.wait(key) == 0
    allowance.spend(key, 101)

    assert allowance.wait(key) == pytest.approx(10)
    clock.now += 10
    assert allowance.wait(key) == 0


def test_what_a_key_saves_is_limited_to_a_minute(clock):
    allowance, key = Allowance(clock=clock), Key("a", "x", 60)
    allowance.spend(key, 1)
    clock.now += 3600
    allowance.spend(key, 61)

    assert allowance.wait(key) == pytest.approx(1)


def test_workers_share_a_limit_evenly_and_keys_not_at_all(clock):
    allowance, key = Allowance(4, clock), Key("a", "x", 240)
    allowance.spend(key, 61)

    assert allowance.wait(key) == pytest.approx(1)
    assert allowance.wait(Key("b", "y", 1)) == 0


def test_a_new_key_is_printed_and_only_its_digest_stored(tmp_path, capsys):
    path = tmp_path / "keys"
    assert __main__.main(["keys", "new", "search", "--file", str(path)]) == 0
    assert __main__.main(["keys", "new", "batch", "--file", str(path), "--tokens-per-minute", "5"]) == 0
    first, second = capsys.readouterr().out.split()

    assert path.read_text() == f"search {digest(first)}\nbatch {digest(second)} 5\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first) > 40
    assert first != second


def test_a_new_key_goes_on_a_line_of_its_own(file):
    path = file(f"old {digest('a')}")
    key = keys.create(path, "new", None)

    assert [line.name for line in keys.read(path)] == ["old", "new"]
    assert Keyring(path).find(key).name == "new"


def test_keys_are_listed_by_name(file, capsys, monkeypatch):
    monkeypatch.setenv("EMBED_API_KEYS_FILE", file(f"old {digest('a')}", f"new {digest('b')} 5"))
    assert __main__.main(["keys", "list"]) == 0

    assert capsys.readouterr().out == "old\tno limit\nnew\t5 tokens a minute\n"


def test_a_name_that_would_break_the_file_is_refused(tmp_path):
    with pytest.raises(CommandFailed, match="the name of a key has 1 to 64 letters"):
        keys.create(str(tmp_path / "keys"), "a b", None)


def test_no_key_is_added_to_a_broken_file(file):
    path = file("nonsense")

    with pytest.raises(BadSetting, match="line 1"):
        keys.create(path, "new", None)


def test_without_a_file_the_commands_say_which_setting_is_missing(caplog, monkeypatch):
    monkeypatch.delenv("EMBED_API_KEYS_FILE", raising=False)

    assert __main__.main(["keys", "list"]) == 1
    assert "EMBED_API_KEYS_FILE is not set; set it, or name the file with --file" in caplog.text

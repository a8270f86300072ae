"""docs/operations.md says what the code and deploy/ do; its commands run in tests/deploy/test_systemd.py."""

import ast
import re
from pathlib import Path

from tests.series import SERIES

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs/operations.md").read_text()
TREES = {path: ast.parse(path.read_text()) for path in (ROOT / "service").rglob("*.py")}

#: Lines of other programs in the table of log lines begin so.
OTHERS = (
    "DAMN",
    "ERROR: you",
    "max vec",
    "Respawned",
    "chain",
    "graceful",
    "Gracefully",
    "invalid HTTP request",
    "[WARNING]",
    "your server",
    "!!!",
)


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)[1]


def rows():
    """Return what each row of the log's table says of a line of ours: the words that do not change."""
    cells = re.findall(r"^\| (`.*?`) \|", section("What the log says"), re.MULTILINE)
    lines = [line for cell in cells for line in re.findall("`(.*?)`", cell)]
    cut = {line: re.split(r"MODEL|\bN\b|384|POST|\.\.\.", line) for line in lines if not line.startswith(OTHERS)}
    return [[part.strip(" :,") for part in parts if len(part.strip(" :,")) > 3] for parts in cut.values()]


def texts(tree):
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def written():
    """Yield each line of ``service.bulk``, and each warning or error of the rest, that has words of its own."""
    for path, tree in TREES.items():
        levels = "warning|error|exception|critical" + ("|info" if path.parent.name == "bulk" else "")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and re.fullmatch(rf"log\.({levels})", ast.unparse(node.func)):
                yield from (text for text in texts(node.args[0]) if text != "%s")


def test_the_services_own_log_lines_are_those_that_it_writes():
    sources = "\n".join(text for tree in TREES.values() for text in texts(tree))

    assert len(rows()) > 8
    for row in rows():
        assert row
        assert all(part in sources for part in row), row


def test_every_warning_has_a_row_in_the_logs_table():
    missing = [line for line in written() if not any(all(part in line for part in row) for row in rows())]

    assert missing == []


def test_the_table_of_metrics_has_every_metric():
    cells = re.findall(r"^\| (`[^|]*) \|", section("Watch"), re.MULTILINE)
    listed = {name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell.partition(" by ")[0])}
    histogram = re.compile("_(bucket|sum|count)$")

    assert {f"embeddings_{name}" for name in listed} == {histogram.sub("", name) for name in SERIES}


def test_the_files_that_it_names_exist():
    named = set(re.findall(r"`(deploy/[\w./-]+|docs/[\w./-]+)`|\]\(([\w.]+\.md)\)", DOCUMENT))

    assert len(named) > 6
    for path, link in named:
        assert (ROOT / path if path else ROOT / "docs" / link).exists(), path or link


def test_the_size_table_has_the_figures_of_the_configuration():
    unit = (ROOT / "deploy/systemd/embeddings.service").read_text()
    socket = (ROOT / "deploy/systemd/embeddings.socket").read_text()
    site = (ROOT / "deploy/nginx/snippets/embeddings.conf").read_text()
    passing = (ROOT / "deploy/nginx/pass/uwsgi.conf").read_text()
    size = section("Size")

    for figure, source in [
        (r"`Backlog=` in `embeddings.socket`: (\d+)", re.search(r"^Backlog=(\d+)", socket, re.MULTILINE)),
        (r"`LimitNOFILE=(\d+)`", re.search(r"LimitNOFILE=(\d+)", unit)),
        (r"`uwsgi_read_timeout` (\d+) s", re.search(r"uwsgi_read_timeout +(\d+)s", passing)),
        (r"`TimeoutStopSec` (\d+) s", re.search(r"TimeoutStopSec=(\d+)s", unit)),
        (
            r"`limit_conn` in `snippets/embeddings.conf`: (\d+)",
            re.search(r"limit_conn embeddings_requests (\d+)", site),
        ),
        (r"`client_max_body_size`: (\d+) MiB", re.search(r"client_max_body_size +(\d+)m", site)),
    ]:
        assert re.search(figure, size)[1] == source[1]

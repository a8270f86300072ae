"""The folder listing is the architecture: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SERVICE = Path(__file__).parent.parent / "service"
MODULES = sorted(path for path in SERVICE.rglob("*.py"))

#: What each part of the service may import of the others. A part is a folder, or a module beside them.
ALLOWED = {
    "errors": set(),
    "cpu": set(),
    "settings": {"errors"},
    "engine": {"engine", "errors", "hosting"},
    "models": {"models", "engine", "errors", "settings", "cpu", "hosting"},
    "hosting": {"hosting", "errors", "settings", "models"},
    "api": {"api", "engine", "errors", "hosting"},
}


def part(module: str) -> str:
    return module.removeprefix("service").lstrip(".").partition(".")[0]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SERVICE.parent).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """The modules that a file imports, those inside functions included; names of ``service`` as ``service.name``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "service":
            found |= {f"service.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_part_imports_only_what_it_may(path):
    ours = {part(name) for name in imports(path) if name.startswith("service.")}

    assert ours <= ALLOWED.get(part(name_of(path)), ours)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_wire_knows_flask(path):
    if part(name_of(path)) in {"engine", "models", "hosting", "errors", "settings", "cpu"}:
        assert not {name for name in imports(path) if name.partition(".")[0] in {"flask", "werkzeug"}}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_models_knows_torch_and_openvino(path):
    if not name_of(path).startswith("service.models"):
        backends = {"torch", "sentence_transformers", "openvino"}
        assert not {name for name in imports(path) if name.partition(".")[0] in backends}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_has_at_most_250_lines_and_a_function_40(path):
    source = path.read_text()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]

    assert len(source.splitlines()) <= 250
    assert [node.name for node in functions if node.end_lineno - node.lineno >= 40] == []


def test_importing_the_service_loads_no_torch_and_starts_no_thread():
    program = (
        "import sys, threading, service; heavy = {'torch', 'transformers', 'tokenizers', 'openvino'};"
        "print(sorted(heavy & set(sys.modules)), threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[] 1\n"

"""The folder listing is the architecture: who may import whom."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SERVICE = Path(__file__).parent.parent / "service"
MODULES = sorted(path for path in SERVICE.rglob("*.py"))
TESTS = Path(__file__).parent.rglob("test_*.py")

#: These may import everything.
ROOTS = {"", "app", "embedder", "__main__"}

#: What the API knows of files and batches: how they are kept, not who runs them.
RECORDS = {"batches.store", "batches.records", "batches.files", "batches.batch"}

#: What files of answers have in common with the answers of routes.
ANSWERS = {"api.choices", "api.outputs", "api.envelope"}

#: What each other part of the service may import. A part is a folder, or a module beside the folders.
ALLOWED = {
    "errors": set(),
    "cpu": set(),
    "logs": set(),
    "variables": {"errors"},
    "keys": {"errors"},
    "aliases": {"errors"},
    "settings": {"errors", "variables"},
    "metrics": {"engine.meter"},
    "engine": {"engine", "errors"},
    "models": {"models", "engine.model", "errors", "settings", "aliases", "cpu"},
    "hosting": {"hosting", "errors", "logs", "metrics", "variables", "cpu", "batches.batch"},
    "bulk": {"bulk", "engine", "errors", "settings", "logs", "cpu", *ANSWERS, "hosting.malloc"},
    "batches": {"batches", "bulk", "errors", "logs", "settings"},
    "api": {"api", "engine", "errors", "keys", "metrics", *RECORDS},
    "web": {"web", "api.choices", "api.envelope", "api.faults", "api.wire", "engine.engine", "engine.model", "errors"},
}

#: Packages of others, and the parts that may import them.
ONLY = {
    "flask": {"api", "app", "web"},
    "werkzeug": {"api", "app"},
    "torch": {"models"},
    "transformers": {"models"},
    "sentence_transformers": {"models"},
    "openvino": {"models"},
    "tokenizers": {"models"},
    "huggingface_hub": {"models"},
    "prometheus_client": {"metrics", "hosting.scrape", "hosting.roster"},
    "opentelemetry": {"hosting.spans"},
    "pyarrow": {"bulk.parquet"},
    "ray": {"bulk.head", "bulk.cluster", "bulk.member"},
    "uwsgi": {"hosting.uwsgi"},
}


def covers(allowed: set[str], module: str) -> bool:
    """Tell whether a module, named without ``service.``, is one of ``allowed`` or inside one."""
    return any(module == each or module.startswith(f"{each}.") for each in allowed)


def inner(name: str) -> str:
    return name.removeprefix("service").lstrip(".")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SERVICE.parent).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """The modules that a file imports, those inside functions included; names of ``service`` as ``service.name``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module.count(".") < 2 and node.module.startswith("service"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_part_imports_only_what_it_may(path):
    module = inner(name_of(path))
    ours = {inner(name) for name in imports(path) if name.startswith("service.")}
    if module not in ROOTS:
        (allowed,) = (allowed for part, allowed in ALLOWED.items() if covers({part}, module))

        assert [name for name in ours if not covers(allowed, name)] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_package_of_others_is_imported_only_where_it_belongs(path):
    others = {name.partition(".")[0] for name in imports(path)} & set(ONLY)

    assert [name for name in others if not covers(ONLY[name], inner(name_of(path)))] == []


@pytest.mark.parametrize("path", sorted(SERVICE.glob("*/__init__.py")), ids=name_of)
def test_a_folder_states_its_rule_and_holds_no_code(path):
    (statement,) = ast.parse(path.read_text()).body

    assert ast.get_docstring(ast.Module([statement], []))


def test_a_test_has_a_name_of_at_most_60_characters():
    names = re.findall(r"^ *def test_(\w+)", "\n".join(path.read_text() for path in TESTS), re.MULTILINE)

    assert [name for name in names if len(name) > 60] == []


def test_importing_any_module_starts_and_ends_nothing():
    program = (
        "import importlib, sys, threading; heavy = {'torch', 'transformers', 'tokenizers', 'openvino'};"
        "[importlib.import_module(name) for name in sys.argv[1:]];"
        "print(sorted(heavy & set(sys.modules)), threading.active_count())"
    )
    modules = [name_of(path) for path in MODULES if path.name != "__main__.py"]
    done = subprocess.run([sys.executable, "-c", program, *modules], capture_output=True, text=True, check=True)

    assert done.stdout == "[] 1\n"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_has_at_most_250_lines_and_a_function_40(path):
    source = path.read_text()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]

    assert len(source.splitlines()) <= 250
    assert [node.name for node in functions if node.end_lineno - node.lineno >= 40] == []

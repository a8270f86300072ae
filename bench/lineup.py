"""The contenders that are compared, each at its best setting, and how each is started."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.contenders import Contender, InProcess
from launchers.process import BIN, ROOT, free_port
from service.models import sources

#: This service as deploy/ runs it.
BEHIND_NGINX = "this service, nginx and socket"

INFINITY = ROOT / ".venv-infinity" / "bin"
SIE = ROOT / ".venv-sie" / "bin"

#: The only name by which SIE serves MiniLM, and the revision that it pins.
SIE_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
SIE_REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"

#: Peers send nothing to their makers and fetch nothing.
QUIET = {
    "DO_NOT_TRACK": "1",
    "INFINITY_ANONYMOUS_USAGE_STATS": "0",
    "SIE_TELEMETRY_DISABLED": "1",
    "HF_HUB_OFFLINE": "1",
}

NGINX = """
daemon off; pid {run}/nginx.pid; error_log {run}/nginx.log; worker_processes 1; events {{ worker_connections 2048; }}
http {{
    access_log off; keepalive_requests 1000000000; client_max_body_size 64m; client_body_buffer_size 1m;
    client_body_temp_path {run}/body; uwsgi_temp_path {run}/uwsgi; proxy_temp_path {run}/proxy;
    fastcgi_temp_path {run}/fastcgi; scgi_temp_path {run}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            include /etc/nginx/uwsgi_params; uwsgi_pass unix:{run}/socket;
            uwsgi_buffers 64 16k; uwsgi_read_timeout 300s;
        }}
    }}
}}
"""


def start(name: str, model: str, run: Path, **env: str) -> Contender | InProcess:
    """Start one of ``NAMES``.

    Args:
        name: of the contender.
        model: the directory of the model.
        run: a directory to make for its files.
        env: settings of this service.

    Raises:
        FileNotFoundError: the contender is not installed.
    """
    run.mkdir(parents=True)
    run.chmod(0o755)
    return START[name](name, Path(model), run, env)


def _start_behind_nginx(name: str, model: Path, run: Path, env: dict[str, str]) -> Contender:
    port = free_port()
    (run / "nginx.conf").write_text(NGINX.format(run=run, port=port))
    commands = [_uwsgi("--ini", str(ROOT / "uwsgi.ini")), ["nginx", "-c", str(run / "nginx.conf")]]
    ours = _ours(model, run) | {"EMBED_SOCKET": str(run / "socket")} | env
    return Contender(name, commands, port, run, env=ours, base64=True)


def _start_http(name: str, model: Path, run: Path, env: dict[str, str]) -> Contender:
    port = free_port()
    ours = _ours(model, run) | {"EMBED_HTTP": f"127.0.0.1:{port}"} | env
    return Contender(name, [_uwsgi("--ini", str(ROOT / "uwsgi.ini"))], port, run, env=ours, base64=True)


def _ours(model: Path, run: Path) -> dict[str, str]:
    return {"EMBED_RUN_DIR": str(run / "run"), "EMBED_MODEL": str(model), "EMBED_CACHE_ITEMS": "0"}


def _uwsgi(*arguments: str) -> list[str]:
    return [str(BIN / "uwsgi"), *arguments]


def _start_gunicorn(name: str, model: Path, run: Path, _: dict[str, str]) -> Contender:
    port = free_port()
    command = [str(BIN / "gunicorn"), "-w", "1", "-t", "120", "-b", f"127.0.0.1:{port}", "bench.notes_app:app"]
    return Contender(name, [command], port, run, path="/embed", env=_notes(model, "flask"))


def _start_plain_uwsgi(name: str, model: Path, run: Path, _: dict[str, str]) -> Contender:
    port = free_port()
    command = _uwsgi("--http", f"127.0.0.1:{port}", "-p", "1", "-w", "bench.notes_app:app", "--enable-threads", "-L")
    return Contender(name, [command], port, run, path="/embed", env=_notes(model, "flask"), close=True)


def _start_uvicorn(name: str, model: Path, run: Path, _: dict[str, str]) -> Contender:
    port = free_port()
    command = [str(BIN / "uvicorn"), "--workers", "2", "--port", str(port), "--no-access-log", "bench.notes_app:app"]
    return Contender(name, [command], port, run, path="/embed", env=_notes(model, "fastapi"))


def _notes(model: Path, framework: str) -> dict[str, str]:
    return {"BENCH_MODEL": str(model), "BENCH_FRAMEWORK": framework}


def _start_infinity_torch(name: str, model: Path, run: Path, _: dict[str, str]) -> Contender:
    return _start_infinity(name, model, run, "--engine", "torch", "--dtype", name.rsplit(maxsplit=1)[-1])


def _start_infinity_onnx(name: str, model: Path, run: Path, _: dict[str, str]) -> Contender:
    """Export the model first.

    Infinity takes a file of a local model only by a path from the working directory, so it runs in the model's.
    """
    exported = run / "onnx"
    command = [_require(INFINITY / "python"), ROOT / "bench" / "onnx_model.py", model, exported]
    subprocess.run(command, env=os.environ | QUIET, check=True, stdout=subprocess.DEVNULL)
    return _start_infinity(name, Path(), run, "--engine", "optimum", cwd=exported)


def _start_infinity(name: str, model: Path, run: Path, *options: str, cwd: Path = ROOT) -> Contender:
    port = free_port()
    address = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--served-model-name", "m"]
    command = [str(_require(INFINITY / "infinity_emb")), "v2", "--model-id", str(model), *address, *options]
    env = QUIET | {"HF_HOME": str(run / "cache")}  # an optimised ONNX file of another model would be taken from there
    return Contender(name, [command], port, run, path="/embeddings", env=env, cwd=cwd, base64=True)


def _start_sie(name: str, model: Path, run: Path, _: dict[str, str]) -> Contender:
    """Put the model where SIE looks for the one that it knows; on a CPU it computes in float32."""
    command = [str(_require(SIE / "sie-server")), "serve", "--host", "127.0.0.1", "--device", "cpu"]
    if model != sources.find(SIE_MODEL.rpartition("/")[2]).directory:
        raise FileNotFoundError(f"SIE serves only models of its list, and {model.name} is none")
    repository = run / "cache" / "hub" / f"models--{SIE_MODEL.replace('/', '--')}"
    shutil.copytree(model, repository / "snapshots" / SIE_REVISION)
    port = free_port()
    command += ["--port", str(port), "--models", SIE_MODEL, "--preload", SIE_MODEL, "--log-level", "warning"]
    env = QUIET | {"HF_HOME": str(run / "cache"), "SIE_DATA_DIR": str(run)}
    return Contender(name, [command], port, run, model=SIE_MODEL, env=env, base64=True)


def _require(program: Path) -> Path:
    if not program.exists():
        raise FileNotFoundError(f"{program} does not exist")
    return program


def _start_encode(name: str, model: Path, run: Path, env: dict[str, str]) -> InProcess:
    del run, env
    return InProcess(name, "encode", BENCH_MODEL=str(model))


def _start_engine(name: str, model: Path, run: Path, env: dict[str, str]) -> InProcess:
    del run, env
    return InProcess(name, "engine", EMBED_MODEL=str(model))


START: dict[str, Callable[[str, Path, Path, dict[str, str]], Contender | InProcess]] = {
    BEHIND_NGINX: _start_behind_nginx,
    "this service, http": _start_http,
    "notes' app, gunicorn -w 1": _start_gunicorn,
    "notes' app, uwsgi -p 1": _start_plain_uwsgi,
    "FastAPI twin, uvicorn --workers 2": _start_uvicorn,
    "Infinity torch float32": _start_infinity_torch,
    "Infinity torch bfloat16": _start_infinity_torch,
    "Infinity ONNX Runtime float32": _start_infinity_onnx,
    "SIE": _start_sie,
    "encode loop, no HTTP": _start_encode,
    "this engine, no HTTP": _start_engine,
}
NAMES = list(START)

"""Processes that have torch loaded already: forked from one that does nothing but fork.

A new interpreter takes seconds to load torch and what training needs; a child of the server, which
has loaded them and never computed anything, takes none of them. Otherwise it is what
`subprocess.Popen` makes: a process of its own, with its own arguments, environment, folder, files,
random numbers and end. What a process loads when it starts is tested with `subprocess`.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["KEPT", "Child", "Server"]

LOADED = ("torch._dynamo", "lightning_fabric", "sklearn.datasets", "matplotlib.pyplot", "pandas")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Bytes that the C library keeps for the next tensor, as `mallopt(3)` has it.
KEPT = {"MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 28)}
ERROR = ("error", None, Warning, None, 0)


class Child:
    """The part of `subprocess.Popen` that tests need; all that it prints is text."""

    def __init__(self, server: Server, pid: int, stdout: int, stderr: Any) -> None:
        self.pid = pid
        self.stdout = os.fdopen(stdout, encoding="utf-8")
        self.returncode: int | None = None
        self._server, self._stderr = server, stderr

    def send_signal(self, number: int) -> None:
        """To the process, unless it has been waited for."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Without notice."""
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """How the process ended, if it has."""
        if self.returncode is None:
            self.returncode = self._server.ask({"pid": self.pid, "flags": os.WNOHANG})
        return self.returncode

    def wait(self) -> int:
        """How the process ended, when it has."""
        if self.returncode is None:
            self.returncode = self._server.ask({"pid": self.pid, "flags": 0})
        assert self.returncode is not None
        return self.returncode

    def communicate(self) -> tuple[str, str]:
        """All that it printed, and what on the other channel, when it has ended."""
        with self.stdout, self._stderr:
            out = self.stdout.read()
            self.wait()
            self._stderr.seek(0)
            return out, self._stderr.read()


class Server:
    """A process that forks others from itself."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **ONE_THREAD, **KEPT, "MPLBACKEND": "agg"},
            )

    def ask(self, request: Mapping[str, Any], files: Sequence[int] = ()) -> int | None:
        """The server's answer to a request, which files go with."""
        socket.send_fds(self._socket, [json.dumps(request).encode()], list(files))
        return json.loads(self._socket.recv(100))

    def start(
        self,
        *words: object,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Child:
        """Begin `python *words`, words as in `script.py ...`, `-m module ...`, `-c code ...`."""
        reads, writes = os.pipe()
        stderr = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - the child closes it
        request = {
            "argv": [str(word) for word in words],
            "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
        }
        pid = self.ask(request, (writes, stderr.fileno()))
        os.close(writes)
        assert pid is not None
        return Child(self, pid, reads, stderr)

    def run(self, *words: object, **settings: Any) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run(..., capture_output=True, text=True)`."""
        child = self.start(*words, **settings)
        out, err = child.communicate()
        return subprocess.CompletedProcess(words, child.wait(), out, err)

    def close(self) -> None:
        """Ends when nobody can ask any more."""
        self._socket.close()
        self._process.wait()


def _load() -> None:
    """What children would load, out of sight of their garbage collector."""
    gc.disable()
    for name in LOADED:
        importlib.import_module(name)
    import pushforward

    for module in pkgutil.walk_packages(pushforward.__path__, "pushforward."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()
    gc.enable()


def _ended(pid: int, flags: int) -> int | None:
    found, status = os.waitpid(pid, flags)
    return os.waitstatus_to_exitcode(status) if found else None


def _serve(asked: socket.socket) -> dict[str, Any] | None:
    """In the server nothing, when it is no longer needed; in each child what it is to do."""
    while True:
        message, files, *_ = socket.recv_fds(asked, 1 << 20, 2)
        if not message:
            return None
        request = json.loads(message)
        if "pid" in request:
            answer = _ended(**request)
        else:
            answer = os.fork()
            if not answer:
                asked.close()
                for ours, theirs in zip(files, (1, 2), strict=True):
                    os.dup2(ours, theirs)
                    os.close(ours)
                return request
            for file in files:
                os.close(file)
        asked.send(json.dumps(answer).encode())


def _warn_as(option: str | None) -> None:
    """Warnings as `PYTHONWARNINGS` and, without it, Python would have them."""
    if option == "error":
        return
    warnings.filters.remove(ERROR)
    if option:
        warnings.simplefilter(option, append=True)
        return
    warnings.filterwarnings("default", "", DeprecationWarning, "__main__", append=True)
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category, append=True)


def _become(argv: list[str], cwd: str, env: dict[str, str]) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    _warn_as(env.get("PYTHONWARNINGS"))
    first, *rest = argv
    if first == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        sys.argv, sys.path[0] = rest, cwd
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = argv, str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


def _exit(code: int) -> None:
    """End as Python does, but for taking all that was loaded apart, which takes a second or two."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 0xFF)


if __name__ == "__main__":
    channel = socket.socket(fileno=int(sys.argv[1]))
    _load()
    if (task := _serve(channel)) is not None:
        code = None
        try:
            _become(**task)
        except SystemExit as end:
            code = end.code
        if code is not None and not isinstance(code, int):
            # What is not a number is printed by Python itself.
            sys.exit(code)
        _exit(code or 0)

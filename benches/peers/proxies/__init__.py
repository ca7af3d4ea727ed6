"""The proxies that are compared: a module each, and a line in PROXIES. Another is added by one of both.

A module has
- `VERSION`: the command that prints its version,
- `command(place)`: writes its configuration into the place's folder, returns what runs it in the foreground,
- `ROUTES_MAX`: how many routes it can be given and still find its way (a list that is searched from its top takes few),
- optionally `env(place)`.

All are set up as their own documentation tells a careful operator: access log to a file, timeouts, limits, connections
kept alive to targets, active health checks where there are some, streaming of bodies; and no more than that.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import machine

from . import caddy, envoy, haproxy, nginx, plimsoll

PROXIES = {
    "plimsoll": plimsoll,
    "nginx": nginx,
    "haproxy": haproxy,
    "envoy": envoy,
    "caddy": caddy,
}
"""The first is compared with the others."""

PEERS = ["nginx", "haproxy"]
"""Whom the promise names: ratios of CPU are to the better one of these."""

ORIGIN_PORT = 9000
FIRST_PORT = 8001


@dataclass(frozen=True)
class Setup:
    """What a workload wants of every proxy."""

    name: str = "plain"
    workers: int = 1
    cores: str = "0"
    targets: tuple[int, ...] = (ORIGIN_PORT,)
    least_connections: bool = False
    routes: tuple[tuple[str, str], ...] = ()
    """(host, path prefix); an empty host is any. None at all: everything goes to the origin."""


@dataclass(frozen=True)
class Place:
    """Where one proxy runs under one setup."""

    name: str
    setup: Setup
    folder: Path
    http: int
    https: int

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.access.log"

    def write(self, suffix: str, text: str) -> str:
        path = self.folder / f"{self.name}.{suffix}"
        path.write_text(text)
        return str(path)

    def pem(self, name: str) -> str:
        return (self.folder / name).read_text()


@dataclass
class Proxy:
    """One that runs."""

    place: Place
    process: subprocess.Popen = field(repr=False)

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def pid(self) -> int:
        return self.process.pid

    def forget_log(self) -> None:
        """Logs of tens of millions of requests would fill the disk. All append, so cutting is harmless."""
        for path in self.place.folder.glob(f"{self.name}.access.log*"):
            path.write_bytes(b"")


def able(names: list[str], setup: Setup) -> list[str]:
    return [name for name in names if len(setup.routes) <= PROXIES[name].ROUTES_MAX]


def start(name: str, setup: Setup, folder: Path, second: bool = False) -> Proxy:
    """`second`: beside one of the same name, in a folder of its own."""
    module = PROXIES[name]
    port = FIRST_PORT + 10 * list(PROXIES).index(name) + (2 if second else 0)
    place = Place(name, setup, folder, port, port + 1)
    env = module.env(place) if hasattr(module, "env") else None
    errors = folder / f"{name}.stderr"
    with open(errors, "ab") as stderr:
        # HAProxy's log is its stdout; the others write nothing there.
        process = machine.launch(setup.cores, module.command(place), env=env, output=place.log, stderr=stderr)
    for port in (place.http, place.https):
        machine.await_port(port, process, errors)
    return Proxy(place, process)


def version(name: str) -> str | None:
    """`None`: there is no binary of it here, or none that runs."""
    try:
        done = subprocess.run(PROXIES[name].VERSION, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return (done.stdout + done.stderr).strip().splitlines()[0]

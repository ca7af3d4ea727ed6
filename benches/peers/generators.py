"""What makes requests: wrk and h2load for all that a proxy can do, our own (`load/`) for a rate and where they cannot.

Each returns how many requests were answered; one that failed ends the run, since what it then measures is something else
(at a given rate, failures may happen: they count as infinitely slow).
"""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import machine

LOAD = Path(sys.argv[0]).resolve().parents[2] / "target/release/plimsoll-bench-load"
LOAD_CORES = "1"


def wrk(url: str, connections: int, seconds: float, *more: str, cores: str = LOAD_CORES) -> dict:
    text = output(cores, ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", *more, url])
    if re.search(r"Non-2xx|Socket errors: .*(connect [1-9]|read [1-9]|write [1-9]|timeout [1-9])", text):
        sys.exit(f"wrk {url} had failures:\n{text}")
    return {"answered": int(re.search(r"(\d+) requests in", text).group(1))}


def h2load(url: str, connections: int, streams: int, seconds: float) -> dict:
    text = output(LOAD_CORES, ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds:g}", url])
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", text)
    if not counts or int(counts.group(2)) or int(counts.group(3)):
        sys.exit(f"h2load {url} had failures:\n{text}")
    return {"answered": int(counts.group(1))}


def load(port: int, seconds: float, *, rate: float = 0, cores: str = LOAD_CORES, may_fail: bool = False, **options) -> dict:
    """Our own. A rate of 0: as much as the connections carry. `options` are its options."""
    command = [str(LOAD), "load", "--port", str(port), "--seconds", f"{seconds:g}", "--rate", f"{rate:.3f}", *flags(options)]
    result = {key: math.inf if value is None else value for key, value in json.loads(output(cores, command)).items()}
    if result["failed"] and not may_fail:
        sys.exit(f"{' '.join(command)} had failures: {result}")
    return result


class Idle:
    """Connections that are open and do nothing, as long as the block lasts."""

    def __init__(self, port: int, connections: int, **options):
        command = [str(LOAD), "idle", "--port", str(port), "--connections", str(connections), *flags(options)]
        self.process = machine.launch(LOAD_CORES, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> "Idle":
        line = self.process.stdout.readline()
        if not line or json.loads(line)["failed"]:
            sys.exit(f"connections could not be opened: {line!r}")
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        machine.end([self.process])


def flags(options: dict) -> list[str]:
    said = {name: "yes" if value is True else str(value) for name, value in options.items() if value is not False}
    return [part for name, value in said.items() for part in (f"--{name}", value)]


def output(cores: str, command: list[str]) -> str:
    done = subprocess.run(["taskset", "-c", cores, *command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout

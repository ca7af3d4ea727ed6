#!/usr/bin/env python3
"""How long other clients wait while one floods the gateway: p99 with each flood ÷ p99 without, and memory.

README.md says how. Wants root, for a network namespace of its own; nothing leaves its loopback.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "peers"))

import generators  # noqa: E402
import machine  # noqa: E402
import origin  # noqa: E402
from cells import milliseconds, number, ratio, table  # noqa: E402
from floods import FLOODS  # noqa: E402
from proxies import Setup, plimsoll, start  # noqa: E402
from ratios import median, paired, summary  # noqa: E402

PAIRS, SECONDS = 6, 1.0
RATE, CONNECTIONS = 1000, 32
"""What the others ask: far below what the gateway can, so that whoever waits waits for the flood."""
BEGUN_SECONDS, OVER_SECONDS = 0.4, 0.3
"""A flood runs so long before anything is measured; and so long after it nothing is."""
LONGEST_SECONDS = 230
"""Of a run: what is left is shared by the floods that are left, and cuts their pairs short."""
PAIRS_MIN = 2
PROMISED = 2.0
LEVEL_MIB = 8
"""Memory after the last turn of a flood may be so much above that after its first."""
FLOODED_PORT = 9100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="\n".join(f"  {name:<14}{flood.what}" for name, flood in FLOODS.items()))
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/plimsoll")
    parser.add_argument("--floods", default=",".join(FLOODS), help="which, with commas between them")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"of with and without; default {PAIRS}")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of each measurement; default {SECONDS:g}")
    parser.add_argument("--json", type=Path, help="write every single figure here")
    given = parser.parse_args()
    given.binary, given.json = given.binary.resolve(), given.json and given.json.resolve()
    for path in (given.binary, generators.LOAD):
        if not path.exists():
            sys.exit(f"{path} is not there: cargo build --release --package plimsoll --package plimsoll-bench-load")
    if machine.INSIDE not in os.environ:
        machine.enter_namespace()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    machine.prepare_namespace()
    os.nice(-10)
    plimsoll.use(given.binary)
    plimsoll.document = with_another_service(plimsoll.document)
    with tempfile.TemporaryDirectory() as name:
        found = measure(given, Path(name))
    print(report(found))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


def with_another_service(document):
    """The gateway's document, and a service that the floods ask for: what they make its target do is not measured."""
    def both(place, generation: int = 0) -> dict:
        found = document(place, generation)
        route = {"name": "flooded", "hosts": ["flood.test"], "paths": ["/"], "strip_path": False, "preserve_host": True}
        found["services"].append({"name": "flooded", "host": "flooded", "routes": [route]})
        found["upstreams"].append({"name": "flooded", "targets": [{"target": f"127.0.0.1:{FLOODED_PORT}"}]})
        return found
    return both


def start_flooded_origin(folder: Path) -> subprocess.Popen:
    """Of the scheduler's lowest class, as the flood is: nobody who is measured waits for it."""
    own = folder / "flooded"
    own.mkdir()
    own.chmod(0o755)
    (own / "files").symlink_to(folder / "files")
    (own / "origin.conf").write_text(
        origin.NGINX.format(folder=own, port=FLOODED_PORT, small=origin.SMALL, workers=1))
    process = machine.launch(generators.LOAD_CORES, ["chrt", "--idle", "0", "nginx", "-c", str(own / "origin.conf")])
    machine.await_port(FLOODED_PORT, process)
    return process


def measure(given: argparse.Namespace, folder: Path) -> dict:
    origin.prepare(folder)
    os.chdir(folder)
    behind = [origin.start(Setup(), folder), start_flooded_origin(folder)]
    found, names, end = {}, given.floods.split(","), time.monotonic() + LONGEST_SECONDS
    try:
        for place, name in enumerate(names):
            until = time.monotonic() + (end - time.monotonic()) / (len(names) - place)
            # Each in a gateway of its own: what one flood left behind is not the next one's.
            proxy = start("plimsoll", Setup(), folder)
            try:
                ask(proxy, 1)
                found[name] = turns(name, proxy, given, until)
            finally:
                machine.end([proxy.process])
                proxy.forget_log()
            print(f"{name}: done", file=sys.stderr)
    finally:
        machine.end(behind)
        os.chdir("/")
    return found


def turns(name: str, proxy, given: argparse.Namespace, until: float) -> dict:
    before, rounds = machine.memory_kib(proxy.pid), []
    machine.forget_peak(proxy.pid)
    for place in range(given.pairs):
        if place >= PAIRS_MIN and time.monotonic() > until:
            break
        one = {}
        for which in ["without", "with"][::1 if place % 2 == 0 else -1]:
            one[which] = ask(proxy, given.seconds) if which == "without" else flooded(name, proxy, given.seconds)
            time.sleep(OVER_SECONDS)
        one["with"]["memory_kib"] = machine.memory_kib(proxy.pid)
        rounds.append(one)
    return {"rounds": rounds, "before_kib": before, "peak_kib": machine.peak_kib(proxy.pid)}


def ask(proxy, seconds: float) -> dict:
    return generators.load(proxy.place.http, seconds, rate=RATE, may_fail=True, path="/small", connections=CONNECTIONS)


def flooded(name: str, proxy, seconds: float) -> dict:
    command = [sys.executable, str(HERE / "floods.py"), name, str(proxy.place.http)]
    flood = machine.launch(generators.LOAD_CORES, command, stdout=subprocess.PIPE)
    if not flood.stdout.readline():
        sys.exit(f"{name} did not begin")
    time.sleep(BEGUN_SECONDS)
    cpu, begin = machine.cpu(proxy.pid), time.monotonic()
    try:
        result = ask(proxy, seconds)
        busy = machine.cpu(proxy.pid).since(cpu).total / (time.monotonic() - begin)
    finally:
        flood.terminate()
        said = flood.communicate()[0]
        machine.end([flood])
    return result | {"busy": busy, "flood": json.loads(said)}


def report(found: dict) -> str:
    rows, worst = [], []
    for name, one in found.items():
        rounds, with_it = one["rounds"], [turn["with"] for turn in one["rounds"]]
        compared = summary(paired(rounds, "with", "without", "p99_us"))
        sent = [turn["flood"] for turn in with_it]
        seconds = sum(each["seconds"] for each in sent)
        memory = [turn["memory_kib"] / 1024 for turn in with_it]
        grown = memory[-1] - memory[0]
        if compared["ratio"] > PROMISED or grown > LEVEL_MIB:
            worst.append(name)
        rows.append([
            f"{name}: {FLOODS[name].what}", milliseconds(median(rounds, "without", "p99_us")),
            milliseconds(median(rounds, "with", "p99_us")), f"{ratio(compared)} of {compared['pairs']}",
            f"{sum(turn['failed'] for turn in with_it)} of {sum(turn['failed'] + turn['answered'] for turn in with_it):,}",
            f"{sum(each['bytes'] for each in sent) / seconds / 1e6:.1f} · "
            f"{sum(each['connections'] for each in sent) / seconds:,.0f}", number(median(rounds, "with", "busy")),
            f"{one['before_kib'] / 1024:.0f} · {memory[0]:.0f} · {memory[-1]:.0f} · {one['peak_kib'] / 1024:.0f}"])
    head = ["flood", "p99 without, ms", "with, ms", "ratio, of pairs", "failed", "MB · connections a second",
            "gateway busy", "MiB before · after the first · after the last · most"]
    verdict = (f"Beyond the promise (p99 within {PROMISED:g} times, memory level): {', '.join(worst)}.\n" if worst else
               f"All keep the promise: p99 within {PROMISED:g} times, memory level.\n")
    return f"{table(head, rows)}\n{verdict}"


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Plimsoll beside nginx, HAProxy, Envoy and Caddy: CPU per request, latency at a given rate, memory, system calls.

README.md says what is measured and how to read it. Without options this is the full comparison, which writes
docs/benchmarks.md and docs/benchmarks.svg; it installs what it needs and wants to be root.
"""

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

import install
import machine
import origin
import plot
import report
import rounds
from proxies import PROXIES, plimsoll, version
from workloads import WORKLOADS

ROOT = Path(sys.argv[0]).resolve().parents[2]
FULL_ROUNDS, FULL_SECONDS = 20, 3
QUICK_ROUNDS, QUICK_SECONDS = 3, 1


def options() -> argparse.Namespace:
    workloads = "\n".join(f"  {key:<11}{workload.title}" for key, workload in WORKLOADS.items())
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"workloads (w2*: all that begin so):\n{workloads}\n\nproxies: {', '.join(PROXIES)}")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/plimsoll", help="Plimsoll's")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), metavar="W,W", help="which; default: all")
    parser.add_argument("--proxies", default=",".join(PROXIES), metavar="P,P", help="which; default: all")
    parser.add_argument("--rounds", type=int, help=f"of A B B A; default {FULL_ROUNDS}")
    parser.add_argument("--seconds", type=float, help=f"of each single measurement; default {FULL_SECONDS}")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK_ROUNDS} rounds of {QUICK_SECONDS} s, and no files: shows that it works")
    parser.add_argument("--no-latency", action="store_true", help="leave the open-loop measurements out")
    parser.add_argument("--nice", type=int, default=-10, metavar="N",
                        help="priority of all that is measured, so that what else runs stays out of it; default -10")
    parser.add_argument("--no-install", action="store_true", help="install nothing; fail where something is missing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single figure here, after each workload")
    parser.add_argument("--from-json", type=Path, action="append", metavar="FILE",
                        help="measure nothing: report on what --json wrote, in an earlier run or several")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="default: docs/benchmarks.md of a full run")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="default: docs/benchmarks.svg of a full run")
    given = parser.parse_args()
    given.workloads = chosen(given.workloads, WORKLOADS)
    given.proxies = chosen(given.proxies, PROXIES)
    is_part = given.workloads != list(WORKLOADS) or given.proxies != list(PROXIES) or given.rounds or given.seconds
    if not (given.quick or given.from_json or is_part):
        given.markdown = given.markdown or ROOT / "docs/benchmarks.md"
        given.plot = given.plot or ROOT / "docs/benchmarks.svg"
    given.rounds = given.rounds or (QUICK_ROUNDS if given.quick else FULL_ROUNDS)
    given.seconds = given.seconds or (QUICK_SECONDS if given.quick else FULL_SECONDS)
    return given


def chosen(text: str, table: dict) -> list[str]:
    names = []
    for word in text.split(","):
        found = [name for name in table if name == word or (word.endswith("*") and name.startswith(word[:-1]))]
        if not found:
            sys.exit(f"{word}: not one of {', '.join(table)}")
        names += found
    return [name for name in table if name in names]


def main() -> None:
    given = options()
    if given.from_json:
        data = json.loads(given.from_json[0].read_text())
        for more in given.from_json[1:]:
            data["results"] |= json.loads(more.read_text())["results"]
    else:
        data = measure(given)
    text = report.markdown(data, given.plot)
    print(text)
    if given.markdown:
        given.markdown.write_text(text)
    if given.plot:
        given.plot.write_text(plot.svg(data))


def measure(given: argparse.Namespace) -> dict:
    given.binary = given.binary.resolve()
    if not given.binary.exists():
        sys.exit(f"{given.binary} is not there: cargo build --release")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("it takes two cores: one for the proxies, one for who asks them")
    plimsoll.use(given.binary)
    if machine.INSIDE not in os.environ:
        if not given.no_install:
            install.install(given.proxies, ROOT)
        machine.enter_namespace()
    # So that what was started is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    os.nice(given.nice)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    control = machine.prepare_namespace()
    data = {"machine": machine.description() | {"congestion control": control},
            "versions": {name: version(name) for name in given.proxies},
            "rounds": given.rounds, "seconds": given.seconds, "results": {}}
    begin = os.getcwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        origin.prepare(folder)
        if given.json:
            given.json = given.json.resolve()
        os.chdir(folder)
        plan = rounds.Plan(given.proxies, given.rounds, given.seconds, folder, not given.no_latency)
        for key in given.workloads:
            started = time.monotonic()
            data["results"][key] = rounds.measure(key, plan)
            print(f"{key}: {time.monotonic() - started:.0f} s", file=sys.stderr)
            if given.json:
                given.json.write_text(json.dumps(data, indent=1))
        os.chdir(begin)
    return data


if __name__ == "__main__":
    main()

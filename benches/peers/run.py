#!/usr/bin/env python3
"""Plimsoll beside nginx, HAProxy, Envoy and Caddy: CPU per request, latency at a given rate, memory, system calls.

README.md says what is measured and how to read it. Without options this is the full comparison, which writes
docs/benchmarks.md, docs/benchmarks.svg and a file in benches/peers/results; it installs and builds what it needs and wants
to be root.
"""

import argparse
import hashlib
import json
import lzma
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
# Enough for 10,000 reloads at 20 a second, and some more where they come slower: churn ends once it has all of them.
CHURN_SECONDS, QUICK_CHURN_SECONDS = 900, 5
BINARY = ROOT / "target/pgo/plimsoll"


def options() -> argparse.Namespace:
    workloads = "\n".join(f"  {key:<11}{workload.title}" for key, workload in WORKLOADS.items())
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"workloads (w2*: all that begin so):\n{workloads}\n\nproxies: {', '.join(PROXIES)}")
    parser.add_argument("--binary", type=Path, default=BINARY,
                        help="Plimsoll's; default: target/pgo/plimsoll, which release/build.py builds first")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), metavar="W,W", help="which; default: all")
    parser.add_argument("--proxies", default=",".join(PROXIES), metavar="P,P", help="which; default: all")
    parser.add_argument("--rounds", type=int, help=f"of A B B A; default {FULL_ROUNDS}")
    parser.add_argument("--seconds", type=float, help=f"of each single measurement; default {FULL_SECONDS}")
    parser.add_argument("--churn-seconds", type=float, metavar="S", help="at most so long for the workload churn, whatever "
                        f"the rounds of the others; default {CHURN_SECONDS}")
    parser.add_argument("--quick", action="store_true",
                        help=f"{QUICK_ROUNDS} rounds of {QUICK_SECONDS} s, and no files: shows that it works")
    parser.add_argument("--no-latency", action="store_true", help="leave the open-loop measurements out")
    parser.add_argument("--nice", type=int, default=-10, metavar="N",
                        help="priority of all that is measured, so that what else runs stays out of it; default -10")
    parser.add_argument("--no-install", action="store_true", help="install nothing; fail where something is missing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single figure here, after each workload; "
                        "a name that ends in .xz: compressed. Default: a new file in benches/peers/results, of a full run")
    parser.add_argument("--from-json", type=Path, action="append", metavar="FILE",
                        help="measure nothing: report on what --json wrote, in an earlier run or several")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="default: docs/benchmarks.md of a full run")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="default: docs/benchmarks.svg of a full run")
    given = parser.parse_args()
    given.workloads = chosen(given.workloads, WORKLOADS)
    given.proxies = chosen(given.proxies, PROXIES)
    is_part = given.workloads != list(WORKLOADS) or given.proxies != list(PROXIES) or given.rounds or given.seconds
    if not (given.quick or given.from_json or is_part):
        given.json = given.json or fresh_file()
        given.markdown = given.markdown or ROOT / "docs/benchmarks.md"
        given.plot = given.plot or ROOT / "docs/benchmarks.svg"
    given.rounds = given.rounds or (QUICK_ROUNDS if given.quick else FULL_ROUNDS)
    given.seconds = given.seconds or (QUICK_SECONDS if given.quick else FULL_SECONDS)
    given.churn_seconds = given.churn_seconds or (QUICK_CHURN_SECONDS if given.quick else CHURN_SECONDS)
    return given


def fresh_file() -> Path:
    """Named by the day; a second run of a day does not overwrite the first."""
    folder, day = Path(__file__).resolve().parent / "results", time.strftime("%Y-%m-%d", time.gmtime())
    names = (f"{day}{'' if number == 1 else f'-{number}'}.json.xz" for number in range(1, 1000))
    return next(folder / name for name in names if not (folder / name).exists())


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
        data = merged([read(path) for path in given.from_json])
        if given.json:
            write(given.json, data)
    else:
        data = measure(given)
    text = report.markdown(data, given.plot)
    print(text)
    if given.markdown:
        given.markdown.write_text(text)
    if given.plot:
        given.plot.write_text(plot.svg(data))


def read(path: Path) -> dict:
    """A file that was written before workloads said themselves how they were made says it at its head."""
    data = json.loads(lzma.open(path).read() if path.suffix == ".xz" else path.read_bytes())
    head = {"build": data["versions"].get("plimsoll", ""), "date": data["machine"]["date"], "rounds": data["rounds"],
            "seconds": data["seconds"], "processor": data["machine"]["processor"]}
    for result in data["results"].values():
        result.setdefault("made", head)
    return data


def write(path: Path, data: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data, indent=1).encode()
    path.write_bytes(lzma.compress(text) if path.suffix == ".xz" else text)


def merged(files: list[dict]) -> dict:
    """Workloads of later files replace those of earlier ones. What stands at the head is the last one's."""
    data = dict(files[-1])
    data["results"] = {key: result for one in files for key, result in one["results"].items()}
    data["results"] = {key: data["results"][key] for key in [*WORKLOADS, *data["results"]] if key in data["results"]}
    data["versions"] = {name: text for one in files for name, text in one["versions"].items()}
    data["left_out"] = {name: why for one in files for name, why in one.get("left_out", {}).items()
                        if name not in data["versions"]}
    return data


def present(given: argparse.Namespace) -> tuple[dict, dict]:
    """The versions of those that are here; and why the others take no part."""
    versions = {name: version(name) for name in given.proxies}
    left_out = {name: "no binary here" for name, found in versions.items() if not found}
    for name, why in left_out.items():
        print(f"{name} is left out: {why}", file=sys.stderr)
    left_out |= {name: "not asked for" for name in PROXIES if name not in given.proxies}
    return {name: found for name, found in versions.items() if found}, left_out


def measure(given: argparse.Namespace) -> dict:
    is_own = given.binary == BINARY
    given.binary = given.binary.resolve()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("it takes two cores: one for the proxies, one for who asks them")
    plimsoll.use(given.binary)
    if machine.INSIDE not in os.environ:
        if not given.no_install:
            install.install(given.proxies, ROOT, is_own)
        machine.enter_namespace()
    if not given.binary.exists():
        sys.exit(f"{given.binary} is not there: python3 release/build.py")
    # So that what was started is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    os.nice(given.nice)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    control = machine.prepare_namespace()
    versions, left_out = present(given)
    data = {"machine": machine.description() | {"congestion control": control}, "versions": versions, "left_out": left_out,
            "rounds": given.rounds, "seconds": given.seconds, "results": {}}
    digest = hashlib.sha256(given.binary.read_bytes()).hexdigest()[:12]
    begin = os.getcwd()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        origin.prepare(folder)
        if given.json:
            given.json = given.json.resolve()
        os.chdir(folder)
        plan = rounds.Plan(list(versions), given.rounds, given.seconds, folder, not given.no_latency, given.churn_seconds,
                           f"{versions.get('plimsoll', 'none')}, sha256 {digest}")
        for key in given.workloads:
            started = time.monotonic()
            data["results"][key] = rounds.measure(key, plan)
            print(f"{key}: {time.monotonic() - started:.0f} s", file=sys.stderr)
            if given.json:
                write(given.json, data)
        os.chdir(begin)
    return data


if __name__ == "__main__":
    main()

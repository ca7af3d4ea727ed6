#!/usr/bin/env python3
"""CPU per request of Plimsoll beside nginx and HAProxy. README.md says what is measured and how to read it."""

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from proxies import Proxy, start

NEEDED = ["nginx", "haproxy", "wrk", "h2load", "openssl", "taskset", "unshare", "ip"]
INSIDE = "PLIMSOLL_PEERS_INSIDE"


def wrk(url: str, connections: int, seconds: float, *more: str) -> int:
    """Requests that were answered 2xx; anything else ends the run."""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *more, url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if re.search(r"Non-2xx|Socket errors: .*(connect [1-9]|read [1-9]|write [1-9]|timeout [1-9])", text):
        sys.exit(f"{' '.join(command)} had failures:\n{text}")
    return int(re.search(r"(\d+) requests in", text).group(1))


def h2load(url: str, seconds: float) -> int:
    command = ["taskset", "-c", "1", "h2load", "-t1", "-c16", "-m16", f"-D{seconds}", url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", text)
    if not counts or int(counts.group(2)) or int(counts.group(3)):
        sys.exit(f"{' '.join(command)} had failures:\n{text}")
    return int(counts.group(1))


WORKLOADS = {
    "w1": lambda proxy, s: wrk(f"http://127.0.0.1:{proxy.http}/small", 32, s),
    "w2": lambda proxy, s: wrk(f"http://127.0.0.1:{proxy.http}/big", 8, s),
    "w3": lambda proxy, s: wrk(f"https://127.0.0.1:{proxy.https}/small", 32, s),
    "w4": lambda proxy, s: h2load(f"https://127.0.0.1:{proxy.https}/small", s),
    "w5": lambda proxy, s: wrk(f"http://127.0.0.1:{proxy.http}/small", 32, s, "-H", "Connection: close"),
}


def measure(proxy: Proxy, workload: str, seconds: float) -> dict:
    """One run: microseconds of CPU a request, and how busy the proxy's core was."""
    before, begin = proxy.cpu_seconds(), time.monotonic()
    requests = WORKLOADS[workload](proxy, seconds)
    cpu, wall = proxy.cpu_seconds() - before, time.monotonic() - begin
    return {"us": cpu / requests * 1e6, "busy": cpu / wall, "rate": requests / wall}


def ready(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def enter_namespace() -> None:
    """Starts over in a network namespace that ends with this process."""
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")
    if os.geteuid() != 0:
        sys.exit("a network namespace needs root")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def prepare_namespace() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    settings = Path("/proc/sys/net/ipv4")
    (settings / "ip_local_port_range").write_text("1024 65535")
    (settings / "tcp_tw_reuse").write_text("1")
    for control in ["cubic", "reno"]:
        try:
            (settings / "tcp_congestion_control").write_text(control)
        except OSError:  # Not every kernel lets a namespace have it.
            continue
        print(f"congestion control: {control}", file=sys.stderr)
        return


def table(results: dict, names: list[str]) -> str:
    lines = ["| µs of CPU a request | " + " | ".join(names) + " | ratio to the better peer | spread | busy |",
             "|---|" + "---|" * (len(names) + 3)]
    for workload, rounds in results.items():
        medians = [statistics.median(one[name]["us"] for one in rounds) for name in names]
        ratios = sorted(one[names[0]]["us"] / min(one[name]["us"] for name in names[1:]) for one in rounds)
        busy = statistics.median(one[names[0]]["busy"] for one in rounds)
        cells = [f"{value:.1f}" for value in medians]
        cells += [f"**{statistics.median(ratios):.2f}**", f"{ratios[0]:.2f} – {ratios[-1]:.2f}", f"{busy:.2f}"]
        lines.append(f"| {workload} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, default=Path("target/release/plimsoll"))
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="which, with commas between them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each single run")
    parser.add_argument("--json", type=Path, help="also write every single figure here")
    options = parser.parse_args()
    if not options.binary.exists():
        sys.exit(f"{options.binary} is not there: cargo build --release")
    if INSIDE not in os.environ:
        enter_namespace()
    prepare_namespace()
    with tempfile.TemporaryDirectory() as folder:
        proxies, origin = start(Path(folder), options.binary.resolve())
        try:
            for proxy in proxies:
                ready(proxy.http)
                ready(proxy.https)
            results = {}
            for workload in options.workloads.split(","):
                for proxy in proxies:
                    measure(proxy, workload, 1)
                results[workload] = [
                    {proxy.name: measure(proxy, workload, options.seconds) for proxy in proxies}
                    for _ in range(options.rounds)
                ]
                print(f"{workload} done", file=sys.stderr)
        finally:
            for process in [*(proxy.process for proxy in proxies), origin]:
                process.terminate()
            for process in [*(proxy.process for proxy in proxies), origin]:
                process.wait(timeout=15)
    print(table(results, [proxy.name for proxy in proxies]))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

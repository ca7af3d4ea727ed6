#!/usr/bin/env python3
"""The real binary under valgrind's memcheck: no error while everything is asked of it that reaches its `unsafe` calls.

What they are is listed in SECURITY.md. Each must have been seen: `getsockopt` and `clock_gettime` among the system calls, and
`mi_collect` in that memory ran short.

What memcheck sees: the stack, statics, what C libraries have of libc's allocator, and every pointer that goes to the kernel.
What mimalloc hides: it takes pages from the kernel and cuts them up itself, so that inside them memcheck cannot tell what is in
use, and takes all for initialised. (It knows valgrind when it is built with MI_TRACK_VALGRIND, which the crate cannot do.) The
fuzz targets, which run under AddressSanitizer with the system's allocator, look there.
"""

import argparse
import json
import multiprocessing
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from clients import whole
from lab import certificate, connect, document, free_port, origin, request, start

ERRORS = 9
# No check for leaks: what lives as long as the process is left to the kernel. `fair-sched`: the worker must not starve others.
VALGRIND = ["valgrind", "--tool=memcheck", f"--error-exitcode={ERRORS}", "--leak-check=no", "--num-callers=30", "--fair-sched=try",
            "--trace-syscalls=yes"]
# The kernel's names for what is called, as the trace has them: TCP_INFO is option 11 of level 6.
CALLED = {"getsockopt of TCP_INFO": rb"sys_getsockopt \( \d+, 6, 11,", "clock_gettime": rb"sys_clock_gettime"}
# Keep-alive connections at once, what each asks, and connections for one request.
CONNECTIONS, TIMES, ALONE = 8, 10, 40
# How often the target dies, and under how many POSTs.
DEATHS, HELD = 3, 6
NO_LIMIT = 1 << 60
# For what valgrind slows down.
PATIENCE = 60
POST = request("POST", "/small", "Content-Length: 100\r\n", "z" * 100)


def ask(client: socket.socket, what: bytes, status: int) -> None:
    client.sendall(what)
    seen = whole(client)
    if not seen.startswith(b"HTTP/1.1 %d" % status):
        sys.exit(f"not {status}: {seen[:300]!r}")


def mixed(ports: dict) -> None:
    """GET and POST, plain and over TLS, on connections that stay and on new ones."""
    kinds = [request("GET", "/small"), request("GET", "/page"), POST, request("GET", "/chunked")]
    for tls in [False, True]:
        clients = [connect(ports, tls) for _ in range(CONNECTIONS)]
        for turn in range(TIMES):
            for client in clients:
                ask(client, kinds[turn % len(kinds)], 200)
        for client in clients:
            client.close()
        for turn in range(ALONE):
            with connect(ports, tls) as client:
                ask(client, kinds[turn % len(kinds)], 200)


def hold(port: int, told) -> None:
    """A target that reads whole requests, says so, and never answers."""
    listener = socket.create_server(("127.0.0.1", port))

    def read(connection: socket.socket) -> None:
        seen = b""
        while not seen.endswith(b"z" * 100):
            seen += connection.recv(65536)
        told.send_bytes(b"read")
        threading.Event().wait()

    told.send_bytes(b"listening")
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=read, args=[connection], daemon=True).start()


def deaths(ports: dict) -> None:
    """A target is killed with POSTs on it: whether they may be repeated is asked of the kernel. They may not: it read them."""
    spawn = multiprocessing.get_context("spawn")
    for _ in range(DEATHS):
        heard, told = spawn.Pipe(duplex=False)
        target = spawn.Process(target=hold, args=[ports["victim"], told], daemon=True)
        target.start()
        heard.recv_bytes()
        clients = [connect(ports, tls=False) for _ in range(HELD)]
        for client in clients:
            client.sendall(POST.replace(b"shop.example", b"victim.example"))
            # One after the other, so that what is told is never written by two at once.
            heard.recv_bytes()
        target.kill()
        for client in clients:
            seen = whole(client)
            if not seen.startswith(b"HTTP/1.1 502"):
                sys.exit(f"a POST whose target died: {seen[:300]!r}")
            client.close()
        target.join()


def until(status: int, ports: dict) -> None:
    deadline = time.monotonic() + PATIENCE
    seen = b""
    while time.monotonic() < deadline:
        with connect(ports, tls=False) as client:
            client.sendall(request("GET", "/small"))
            seen = whole(client)
        if seen.startswith(b"HTTP/1.1 %d" % status):
            return
    sys.exit(f"never {status}: {seen[:300]!r}")


def short(ports: dict, limit: Path) -> None:
    """Memory runs short, and is there again."""
    limit.write_text("4096\n")
    until(503, ports)
    # Looked at ten times a second; what is kept is given back once a second.
    time.sleep(2)
    limit.write_text(f"{NO_LIMIT}\n")
    until(200, ports)


def kernels_limit() -> Path | None:
    """Where the kernel says how much memory this process's group may have."""
    groups = [line.rstrip("\n").split(":", 2) for line in Path("/proc/self/cgroup").open()]
    root = Path("/sys/fs/cgroup")
    for _, controllers, path in groups:
        for folder, file in [(root / "memory", "memory.limit_in_bytes"), (root, "memory.max")]:
            if controllers not in ("memory", ""):
                continue
            for found in [folder / path.lstrip("/") / file, folder / file]:
                if found.exists():
                    return found
    return None


def own_limit(folder: Path) -> tuple[list, Path | None]:
    """What to start the gateway with, so that it reads a file of ours for its group's limit. Nothing of the group is changed:
    the file is put over the kernel's in a mount namespace that only the gateway lives in."""
    theirs, ours = kernels_limit(), folder / "limit"
    if theirs is None or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        return [], None
    ours.write_text(f"{NO_LIMIT}\n")
    return ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh", str(ours), str(theirs)], ours


def with_victim(text: str, port: int) -> str:
    whole = json.loads(text)
    whole["services"].append({"name": "victim", "host": "victim", "routes": [{"name": "victim", "hosts": ["victim.example"]}]})
    whole["upstreams"].append({"name": "victim", "targets": [{"target": f"127.0.0.1:{port}"}]})
    return json.dumps(whole)


def errors(log: bytes) -> str:
    """What valgrind says, without the trace."""
    return "\n".join(line for line in log.decode(errors="replace").splitlines() if line.startswith("=="))


def run(binary: Path, folder: Path) -> None:
    certificate(folder)
    names = ["http", "https", "admin", "victim"]
    ports = {name: free_port() for name in names} | {"origins": [origin() for _ in range(3)]}
    text = folder / "document.json"
    text.write_text(with_victim(document(ports, folder), ports["victim"]))
    prefix, limit = own_limit(folder)
    log = folder / "valgrind.log"
    gateway = start([*prefix, *VALGRIND, f"--log-file={log}"], binary, text)
    try:
        mixed(ports)
        deaths(ports)
        if limit:
            short(ports, limit)
        gateway.terminate()
        code = gateway.wait(timeout=PATIENCE)
    finally:
        if gateway.poll() is None:
            gateway.kill()
            gateway.wait()
    written = log.read_bytes()
    if code:
        sys.exit(f"{errors(written)}\n{''.join(gateway.said)}\nthe gateway under memcheck ended with {code}")
    for what, trace in CALLED.items():
        print(f"{what}: {len(re.findall(trace, written))} times")
        if not re.search(trace, written):
            sys.exit(f"{what} was never called: this run says nothing about it")
    if limit is None:
        print("mi_collect: not called, since memory cannot be made short here (no root, or no cgroup)")
    elif not any("memory is nearly used up" in line for line in gateway.said):
        sys.exit("memory did not run short: this run says nothing about mi_collect")
    print(re.findall(r"ERROR SUMMARY.*", errors(written))[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=Path("target/ci/plimsoll"))
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not installed")
    with tempfile.TemporaryDirectory() as name:
        run(options.binary, Path(name))


if __name__ == "__main__":
    main()

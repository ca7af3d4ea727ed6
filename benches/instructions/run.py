#!/usr/bin/env python3
"""Instructions that a request takes in user space, counted by callgrind, against the counts that are kept.

A timing differs from run to run by more than most changes do; a count of instructions does not. The real binary runs
under valgrind with one worker and everything on, over loopback. README.md says more.
"""

import argparse
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab import certificate, connect, document, free_port, origin, request, start

HERE = Path(__file__).parent
KEPT = HERE / "counts.json"
# Above so many per cent more than what is kept, a change has to say why (and keep the new counts).
ALLOWED = 3.0
WARM, COUNTED = 20, 150
# Connections that ask at once: a loaded worker finds several requests each time it looks.
CONNECTIONS = 16

BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: http://shop.example/cart?item=17\r\nConnection: keep-alive\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nPriority: u=0, i\r\n"
)

# What is asked, over TLS or not, and how its answer ends.
KINDS = {
    "small": (False, request("GET", "/small"), b"hello"),
    "browser": (False, request("GET", "/page?item=17", BROWSER), b"x" * 64),
    "post": (False, request("POST", "/small", "Content-Length: 100\r\n", "z" * 100), b"hello"),
    "chunked": (False, request("GET", "/chunked"), b"\r\n0\r\n\r\n"),
    "no_route": (False, request("GET", "/small").replace(b"shop.example", b"elsewhere.example"), b"}"),
    "tls": (True, request("GET", "/small"), b"hello"),
}


def ask(clients: list[socket.socket], request: bytes, end: bytes, times: int) -> None:
    status = b"HTTP/1.1 404" if end == b"}" else b"HTTP/1.1 200"
    for _ in range(times):
        for client in clients:
            client.sendall(request)
        for client in clients:
            answer = b""
            while not answer.endswith(end) or (end[:1] == b"x" and len(answer) < 10240):
                data = client.recv(65536)
                if not data:
                    sys.exit(f"the gateway closed the connection after {answer[:200]!r}")
                answer += data
                if not answer.startswith(status):
                    sys.exit(f"an answer that was not expected: {answer[:300]!r}")


def control(pid: int, what: str) -> None:
    subprocess.run(["callgrind_control", what, str(pid)], check=True, capture_output=True)


def dumped(folder: Path, seen: set) -> int:
    """The total of the dump that was not there before."""
    for _ in range(100):
        new = [path for path in folder.glob("callgrind.out.*") if path not in seen and path.stat().st_size]
        totals = [re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.M) for path in new]
        if totals and totals[0]:
            seen.update(new)
            return int(totals[0].group(1))
        time.sleep(0.1)
    sys.exit("callgrind wrote no dump")


def count(binary: Path, kinds: list[str], keep: Path | None) -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate(folder)
        ports = {name: free_port() for name in ["http", "https", "admin"]} | {"origins": [origin() for _ in range(3)]}
        (folder / "document.json").write_text(document(ports, folder))
        gateway = start(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/callgrind.out.%p"], binary, folder / "document.json")
        try:
            counts, seen = {}, set()
            for kind in kinds:
                tls, asked, end = KINDS[kind]
                clients = [connect(ports, tls) for _ in range(CONNECTIONS)]
                ask(clients, asked, end, WARM)
                control(gateway.pid, "--zero")
                ask(clients, asked, end, COUNTED)
                control(gateway.pid, f"--dump={kind}")
                counts[kind] = round(dumped(folder, seen) / (COUNTED * CONNECTIONS))
                for client in clients:
                    client.close()
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
                for path in seen:
                    shutil.copy(path, keep)
            return counts
        finally:
            gateway.terminate()
            gateway.wait(timeout=60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=Path("target/release/plimsoll"))
    parser.add_argument("--kinds", default=",".join(KINDS), help="which, with commas between them")
    parser.add_argument("--bless", action="store_true", help="keep what was counted")
    parser.add_argument("--profiles", type=Path, help="copy callgrind's files here, for callgrind_annotate")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not installed")
    counts = count(options.binary, options.kinds.split(","), options.profiles)
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    print(f"{'instructions a request':24} {'kept':>8} {'now':>8} {'change':>8}")
    grown = []
    for kind, now in counts.items():
        before = kept.get(kind)
        change = (now / before - 1) * 100 if before else 0.0
        print(f"{kind:24} {before or '–':>8} {now:>8} {change:>+7.1f}%")
        if change > ALLOWED:
            grown.append(kind)
    if options.bless:
        KEPT.write_text(json.dumps(kept | counts, indent=1) + "\n")
    elif grown:
        sys.exit(f"more than {ALLOWED:g} % above what is kept: {', '.join(grown)}. Find out why, or --bless it and say why.")


if __name__ == "__main__":
    main()

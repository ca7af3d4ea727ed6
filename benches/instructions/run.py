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
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lab import certificate, document, free_port, origin, request, start

HERE = Path(__file__).parent
KEPT = HERE / "counts.json"
# Beyond so many per cent above what is kept, a change has to say why (and keep the new counts). So far below, it is told to
# keep them: a gain that is not kept is room in which the next change can lose it unnoticed.
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

class Kept:
    """A connection that stays. `end` is how the answer ends."""

    tls = False

    def __init__(self, ports: dict, asked: bytes, end: bytes):
        self.ports, self.asked, self.end = ports, asked, end
        self.status = b"HTTP/1.1 404" if end == b"}" else b"HTTP/1.1 200"
        self.open()

    def open(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.ports["https" if self.tls else "http"]), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = self.secure(plain) if self.tls else plain

    def secure(self, plain: socket.socket, protocol: str = "http/1.1") -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([protocol])
        return context.wrap_socket(plain, server_hostname="shop.example")

    def send(self) -> None:
        self.socket.sendall(self.asked)

    def receive(self) -> None:
        answer = b""
        while not answer.endswith(self.end) or (self.end[:1] == b"x" and len(answer) < 10240):
            answer += self.more(answer)
            if not answer.startswith(self.status):
                sys.exit(f"an answer that was not expected: {answer[:300]!r}")

    def more(self, before: bytes) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            sys.exit(f"the gateway closed the connection after {before[:200]!r}")
        return data

    def close(self) -> None:
        self.socket.close()


class Secure(Kept):
    tls = True


class Fresh(Kept):
    """A connection a request."""

    def open(self) -> None:
        self.socket = None

    def send(self) -> None:
        super().open()
        super().send()

    def receive(self) -> None:
        super().receive()
        if self.socket.recv(1):
            sys.exit("a connection that should end goes on")
        self.socket.close()

    def close(self) -> None:
        pass


class Http2(Kept):
    """A connection that stays, a stream a request. Header tables are switched off, so that a block begins with the byte
    that says 200."""

    tls = True
    PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000006 04 00 00000000 0001 00000000")
    ACKNOWLEDGED = bytes.fromhex("000000 04 01 00000000")
    HEADERS, DATA, SETTINGS, END_STREAM = 1, 0, 4, 1

    def open(self) -> None:
        super().open()
        self.socket.sendall(self.PREFACE)
        self.stream, self.seen = -1, b""

    def secure(self, plain: socket.socket, protocol: str = "h2") -> ssl.SSLSocket:
        return super().secure(plain, protocol)

    def send(self) -> None:
        self.stream += 2
        self.socket.sendall(len(self.asked).to_bytes(3, "big") + b"\x01\x05" + self.stream.to_bytes(4, "big") + self.asked)

    def receive(self) -> None:
        while True:
            while len(self.seen) < 9 or len(self.seen) < 9 + int.from_bytes(self.seen[:3], "big"):
                self.seen += self.more(self.seen)
            length, kind, flags = int.from_bytes(self.seen[:3], "big"), self.seen[3], self.seen[4]
            payload, self.seen = self.seen[9:9 + length], self.seen[9 + length:]
            if kind == self.SETTINGS and not flags:
                self.socket.sendall(self.ACKNOWLEDGED)
            elif kind == self.HEADERS and payload.lstrip(b"\x20")[:1] != b"\x88" or kind not in (0, 1, 4, 8):
                sys.exit(f"a frame that was not expected: kind {kind}, {payload[:300]!r}")
            elif kind in (self.HEADERS, self.DATA) and flags & self.END_STREAM:
                return


def literal(index: int, value: str) -> bytes:
    """HPACK: a name of the static table, a value that is never indexed."""
    return bytes([index, len(value)]) + value.encode()


# What is asked, on which connections, and how its answer ends.
KINDS = {
    "small": (Kept, request("GET", "/small"), b"hello"),
    "browser": (Kept, request("GET", "/page?item=17", BROWSER), b"x" * 64),
    "post": (Kept, request("POST", "/small", "Content-Length: 100\r\n", "z" * 100), b"hello"),
    "chunked": (Kept, request("GET", "/chunked"), b"\r\n0\r\n\r\n"),
    "no_route": (Kept, request("GET", "/small").replace(b"shop.example", b"elsewhere.example"), b"}"),
    "tls": (Secure, request("GET", "/small"), b"hello"),
    "h2": (Http2, b"\x82\x87" + literal(4, "/small") + literal(1, "shop.example"), b""),
    "fresh": (Fresh, request("GET", "/small", "Connection: close\r\n"), b"hello"),
}


def ask(clients: list[Kept], times: int) -> None:
    for _ in range(times):
        for client in clients:
            client.send()
        for client in clients:
            client.receive()


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
                connection, asked, end = KINDS[kind]
                clients = [connection(ports, asked, end) for _ in range(CONNECTIONS)]
                ask(clients, WARM)
                control(gateway.pid, "--zero")
                ask(clients, COUNTED)
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
    parser.add_argument("--profile", choices=["release", "ci"], default="release", help="whose counts are kept apart")
    parser.add_argument("--binary", type=Path, help="default: target/PROFILE/plimsoll")
    parser.add_argument("--kinds", default=",".join(KINDS), help="which, with commas between them")
    parser.add_argument("--bless", action="store_true", help="keep what was counted")
    parser.add_argument("--profiles", type=Path, help="copy callgrind's files here, for callgrind_annotate")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not installed")
    binary = options.binary or Path("target", options.profile, "plimsoll")
    counts = count(binary, options.kinds.split(","), options.profiles)
    all_kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept = all_kept.get(options.profile, {})
    print(f"{'instructions a request':24} {'kept':>8} {'now':>8} {'change':>8}")
    grown, fallen = [], []
    for kind, now in counts.items():
        before = kept.get(kind)
        change = (now / before - 1) * 100 if before else 0.0
        print(f"{kind:24} {before or '–':>8} {now:>8} {change:>+7.1f}%")
        if change > ALLOWED:
            grown.append(kind)
        elif change < -ALLOWED:
            fallen.append(kind)
    if options.bless:
        KEPT.write_text(json.dumps(all_kept | {options.profile: kept | counts}, indent=1) + "\n")
        return
    if fallen:
        print(f"more than {ALLOWED:g} % below what is kept: {', '.join(fallen)}. --bless it, so that it stays.", file=sys.stderr)
    if grown:
        sys.exit(f"more than {ALLOWED:g} % above what is kept: {', '.join(grown)}. Find out why, or --bless it and say why.")


if __name__ == "__main__":
    main()

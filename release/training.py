#!/usr/bin/env python3
"""What a release is optimised for: asks the gateway for everything that a busy one does, and wants the right answers.

`build.py` runs it against a binary that counts which of its code runs how often. What is never asked here, the compiler takes
for rare, and makes it small rather than fast: whatever is added to the data path is asked here, too.
"""

import argparse
import http.client
import json
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benches/instructions"))
from clients import BROWSER, KINDS, Fresh, Http2, Kept, ask, literal, whole  # noqa: E402
from lab import LARGE, certificate, connect, document, free_port, origin, request, start  # noqa: E402

CONNECTIONS = 16
# Requests of each connection, one after the other.
TIMES = 600
BODY = "z" * len(LARGE)
HANDSHAKES = 200
RELOADS, ROUTES = 20, 1000
SCRAPES = 50
MESSAGES = 2000
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class Long(Kept):
    """A connection that stays, answers by their length."""

    def receive(self) -> None:
        seen = whole(self.socket)
        if not seen.startswith(self.status):
            sys.exit(f"an answer that was not expected: {seen[:300]!r}")


class SecureLong(Long):
    tls = True


def outer(ports: dict, folder: Path) -> dict:
    """The document of the counted instructions, and what else there is to do for a request."""
    says = json.loads(document(ports, folder))
    web = says["upstreams"][0]
    pools = {
        "turns": {"algorithm": "round-robin"},
        "two": {"algorithm": "power-of-two"},
        "slots": {"algorithm": "least-connections", "max_concurrency": 2},
        # One target of these is not there.
        "frail": {"algorithm": "round-robin", "outlier": {}, "retry_budget": {}},
    }
    for name, more in pools.items():
        targets = web["targets"] + ([{"target": f"127.0.0.1:{free_port()}"}] if name == "frail" else [])
        says["upstreams"].append({"name": name, **more, "targets": targets})
        says["services"].append({
            "name": name, "host": name, "path": "/small",
            "routes": [{"name": name, "hosts": [f"*.{name}.example"], "paths": [f"~/api/(?<item>\\d+)/{name}", "/"],
                        "methods": ["GET", "POST"]}],
        })
    # A gateway behind this one, spoken to over TLS by HTTP/1 and by HTTP/2.
    says["upstreams"].append({
        "name": "again", "host_header": "shop.example", "targets": [{"target": f"127.0.0.1:{ports['inner']['https']}"}]})
    says["services"] += [
        {"name": "again", "protocol": "https", "host": "again", "tls_verify": False, "routes": [{
            "name": "again", "hosts": ["again.example"], "headers": {"x-shop": ["one", "two"]}, "strip_path": False}]},
        {"name": "calls", "protocol": "grpcs", "host": "again", "tls_verify": False, "routes": [{
            "name": "calls", "hosts": ["shop.example"], "paths": ["/shop.Calls"], "protocols": ["grpcs"]}]},
    ]
    return says


def kinds() -> dict:
    upload = f"Content-Length: {len(BODY)}\r\n"
    chunks = "Transfer-Encoding: chunked\r\n"
    ok = b"hello"

    def to(host: str, method: str = "GET", path: str = "/small", more: str = "", body: str = "") -> bytes:
        return request(method, path, more, body).replace(b"shop.example", host.encode())

    return {
        **KINDS,
        "download": (Long, to("shop.example", path="/large"), b""),
        "upload": (Long, to("shop.example", "POST", "/large", upload, BODY), b""),
        "download over TLS": (SecureLong, to("shop.example", path="/large"), b""),
        "upload over TLS": (SecureLong, to("shop.example", "POST", "/large", upload, BODY), b""),
        "chunked upload": (Kept, to("shop.example", "POST", "/small", chunks, f"1000\r\n{'z' * 4096}\r\n0\r\n\r\n"), ok),
        "browser over TLS": (SecureLong, request("GET", "/page?item=17", BROWSER), b""),
        "page over HTTP/2": (Http2, b"\x82\x87" + literal(4, "/page?item=17") + literal(1, "shop.example"), b""),
        "in turns": (Kept, to("a.turns.example", path="/api/17/turns"), ok),
        "the better of two": (Kept, to("a.two.example", path="/item"), ok),
        "waiting for a slot": (Kept, to("a.slots.example", path="/item"), ok),
        "a target is missing": (Kept, to("a.frail.example", path="/item"), ok),
        "HTTP/2 to the target": (Http2, b"\x83\x87" + literal(4, "/shop.Calls/Find") + literal(1, "shop.example")
                                 + b"\x0f\x10\x10application/grpc" + b"\x00\x02te\x08trailers", b""),
        "over TLS to the target": (Kept, to("again.example", more="X-Shop: two\r\n"), ok),
        "a connection a request, by POST": (Fresh, request("POST", "/small", "Connection: close\r\nContent-Length: 5\r\n", "hello"), ok),
    }


def shakes_hands(ports: dict, folder: Path) -> None:
    """Full and resumed handshakes, a request each."""
    context = ssl.create_default_context(cafile=folder / "cert.pem")
    session = None
    for turn in range(HANDSHAKES):
        if turn % 4 == 0:
            session = None
        with socket.create_connection(("127.0.0.1", ports["https"]), timeout=60) as plain:
            with context.wrap_socket(plain, server_hostname="shop.example", session=session) as client:
                client.sendall(request("GET", "/small", "Connection: close\r\n"))
                while client.recv(65536):
                    pass
                session = client.session


def reloads(ports: dict, says: dict) -> None:
    """Documents by JSON and by YAML, each with other routes."""
    entities = {key: value for key, value in says.items() if key != "gateway"}
    for turn in range(RELOADS):
        more = [{"name": f"more{turn}-{n}", "hosts": [f"h{n}.more.example"], "paths": [f"/m{n}/{turn}"]} for n in range(ROUTES)]
        services = [*entities["services"], {"name": f"more{turn}", "host": "web", "routes": more}]
        text = json.dumps(entities | {"services": services})
        # JSON is YAML, too.
        kind = "application/yaml" if turn % 4 == 0 else "application/json"
        answered("POST", "/config", ports, 201, text, {"Content-Type": kind})


def answered(method: str, path: str, ports: dict, status: int, body: str | None = None, headers: dict | None = None) -> None:
    admin = http.client.HTTPConnection("127.0.0.1", ports["admin"], timeout=60)
    admin.request(method, path, body, headers or {})
    answer = admin.getresponse()
    text = answer.read()
    admin.close()
    if answer.status != status:
        sys.exit(f"{method} {path} is answered {answer.status}: {text[:500]!r}")


def talks(ports: dict) -> None:
    """Over a connection that was upgraded."""
    with connect(ports, tls=False) as client:
        client.sendall(request("GET", "/socket", UPGRADE))
        seen = b""
        while not seen.endswith(b"\r\n\r\n"):
            seen += client.recv(65536) or sys.exit("the gateway closed a connection that asked for an upgrade")
        if not seen.startswith(b"HTTP/1.1 101 "):
            sys.exit(f"no upgrade: {seen[:300]!r}")
        for turn in range(MESSAGES):
            message = b"m" * (1 + turn % 4000)
            client.sendall(message)
            left = len(message)
            while left:
                left -= len(client.recv(left)) or sys.exit("the gateway closed an upgraded connection")


def ended(gateway: subprocess.Popen) -> int:
    try:
        return gateway.wait(timeout=60)
    except subprocess.TimeoutExpired:
        gateway.kill()
        return gateway.wait()


def went_wrong(line: dict) -> bool:
    """A gRPC answer says so in a field, with 200."""
    return line["error"] != ("no_route" if line["host"] == "elsewhere.example" else None)


def train(binary: Path, share: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate(folder)
        origins = [origin() for _ in range(3)]
        inner, ports = ({name: free_port() for name in ["http", "https", "admin"]} | {"origins": origins} for _ in range(2))
        ports["inner"] = inner
        (folder / "inner.json").write_text(document(inner, folder, "inner.log"))
        says = outer(ports, folder)
        (folder / "outer.json").write_text(json.dumps(says))
        gateways = []
        try:
            gateways.append(start([], binary, folder / "inner.json"))
            gateways.append(start([], binary, folder / "outer.json"))
            for kind, (connection, asked, end) in kinds().items():
                began = time.monotonic()
                clients = [connection(ports, asked, end) for _ in range(CONNECTIONS)]
                # The long ones take long here, and the gateway little.
                ask(clients, max(2, round(TIMES * share / (40 if len(asked) > 10_000 or b"/large" in asked else 1))))
                for client in clients:
                    client.close()
                print(f"{kind}: {time.monotonic() - began:.1f} s")
            talks(ports)
            shakes_hands(ports, folder)
            reloads(ports, says)
            for _ in range(SCRAPES):
                answered("GET", "/metrics", ports, 200)
        except SystemExit:
            for gateway in gateways:
                print("".join(gateway.said), file=sys.stderr)
            raise
        finally:
            for gateway in gateways:
                gateway.terminate()
            statuses = [ended(gateway) for gateway in gateways]
        # A profile is written by a process that ends of its own accord.
        if any(statuses):
            sys.exit(f"the gateways ended with {statuses}: {''.join(line for gateway in gateways for line in gateway.said)}")
        if wrong := [line for line in (folder / "access.log").read_text().splitlines() if went_wrong(json.loads(line))]:
            sys.exit(f"{len(wrong)} requests went wrong, such as {wrong[0]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--share", type=float, default=1.0, help="of the requests of each kind; CI asks for few")
    given = parser.parse_args()
    train(given.binary.resolve(), given.share)


if __name__ == "__main__":
    main()

"""The real binary, by itself or under a tool of valgrind's, between clients and origins of this process's own."""

import json
import re
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

SMALL = b"HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
PAGE = b"HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/html\r\nContent-Length: 10240\r\n\r\n" + b"x" * 10240
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"200\r\n" + b"y" * 512 + b"\r\n0\r\n\r\n"
LARGE = b"l" * (1 << 20)
ANSWERS = {
    b"/small": SMALL, b"/page": PAGE, b"/chunked": CHUNKED,
    b"/large": b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + LARGE,
}
# RFC 6455 section 1.3 has the answer to the key that is always asked with.
UPGRADED = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def request(method: str, path: str, more: str = "", body: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: shop.example\r\n{more}\r\n{body}".encode()


def document(ports: dict, folder: Path, log: str = "access.log") -> str:
    """Everything on: health checks, limits, an access log, some hundred routes beside the one that is taken."""
    routes = [
        {"name": f"r{n}", "hosts": [f"host{n}.example"], "paths": [f"/p{n}", f"/q{n}"]} for n in range(100)
    ] + [{"name": "shop", "hosts": ["shop.example"], "paths": ["/"], "strip_path": False}]
    return json.dumps({
        "_format_version": "3.0",
        "gateway": {
            "workers": 1,
            "listeners": [
                {"name": "http", "address": f"127.0.0.1:{ports['http']}"},
                {"name": "https", "address": f"127.0.0.1:{ports['https']}", "tls": {"default_certificate": "shop.example"}},
            ],
            "admin": {"address": f"127.0.0.1:{ports['admin']}"},
            "providers": {"docker": False},
            "access_log": {"path": str(folder / log), "format": "json"},
            "limits": {"connections_per_client": 1000},
        },
        "services": [{"name": "shop", "host": "web", "routes": routes}],
        "upstreams": [{
            "name": "web", "algorithm": "least-connections",
            "targets": [{"target": f"127.0.0.1:{port}"} for port in ports["origins"]],
            "healthchecks": {
                "active": {"healthy": {"interval": 600}, "unhealthy": {"interval": 600}, "http_path": "/small"},
                "passive": {"unhealthy": {"http_failures": 5, "tcp_failures": 5, "timeouts": 5}},
            },
        }],
        "certificates": [{
            "id": "5b3b2a0e-6d0c-4f3a-9a64-0c8f7a4a9e01", "cert": (folder / "cert.pem").read_text(),
            "key": (folder / "key.pem").read_text(), "snis": [{"name": "shop.example"}],
        }],
    })


def serve(connection: socket.socket) -> None:
    with connection:
        answer(connection)


def answer(connection: socket.socket) -> None:
    """An origin's connection: answers each head by its path; says what it hears once it is upgraded."""
    seen = b""
    while data := connection.recv(65536):
        seen += data
        while b"\r\n\r\n" in seen:
            head, rest = seen.split(b"\r\n\r\n", 1)
            length = re.search(rb"(?i)content-length: (\d+)", head)
            length = int(length.group(1)) if length else 0
            if re.search(rb"(?i)\ntransfer-encoding: chunked", head):
                length = len(rest) if rest.endswith(b"0\r\n\r\n") else len(rest) + 1
            if len(rest) < length:
                break
            path = re.split(rb"[ ?]", head, maxsplit=2)[1]
            if path == b"/socket":
                connection.sendall(UPGRADED)
                while data := connection.recv(65536):
                    connection.sendall(data)
                return
            seen = rest[length:]
            connection.sendall(ANSWERS.get(path, SMALL))


def origin() -> int:
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def connect(ports: dict, tls: bool) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", ports["https" if tls else "http"]), timeout=60)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not tls:
        return plain
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname="shop.example")


def certificate(folder: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example", "-keyout", folder / "key.pem", "-out",
         folder / "cert.pem"], check=True, stderr=subprocess.DEVNULL)


def start(valgrind: list, binary: Path, document: Path) -> subprocess.Popen:
    """The gateway, under `valgrind` where that is a command, once it serves; what it says later goes to `said`."""
    gateway = subprocess.Popen(
        [*valgrind, str(binary), "run", "--config", str(document)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    gateway.said = []
    for line in gateway.stderr:
        gateway.said.append(line)
        if "serving" in line or "ready" in line:
            break
    else:
        sys.exit("".join(gateway.said) + "the gateway does not start")
    threading.Thread(target=gateway.said.extend, args=[gateway.stderr], daemon=True).start()
    return gateway

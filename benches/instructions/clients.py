"""Clients of the gateway, a kind of request each: asked by all of them at once, answers read one after the other."""

import re
import socket
import ssl
import sys

from lab import request

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
    # The window of a connection, of which half may be taken before it is opened again.
    HALF = 1 << 15

    def open(self) -> None:
        super().open()
        self.socket.sendall(self.PREFACE)
        self.stream, self.seen, self.taken = -1, b"", 0

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
            self.taken += length if kind == self.DATA else 0
            if self.taken >= self.HALF:
                self.socket.sendall(bytes.fromhex("000004 08 00 00000000") + self.taken.to_bytes(4, "big"))
                self.taken = 0
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


def whole(client: socket.socket) -> bytes:
    """One answer: all of those asked for here say how long they are, or end with a chunk."""
    seen = b""
    while True:
        head, found, body = seen.partition(b"\r\n\r\n")
        if found:
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if len(body) >= int(length.group(1)) if length else body.endswith(b"0\r\n\r\n"):
                return seen
        data = client.recv(65536)
        if not data:
            sys.exit(f"the gateway closed the connection after {seen[:200]!r}")
        seen += data

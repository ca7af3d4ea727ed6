#!/usr/bin/env python3
"""The traffic before one proxy: an open loop whose every request is accounted for. run.py starts it in the lab's network
namespace, and ends it by a line on its standard input; then it finishes what it has begun and writes what it saw.

`traffic.py --direct` asks replicas directly instead: addresses on standard input, the moment of the first answer on
standard output. All moments are of CLOCK_MONOTONIC, which processes share.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import sys
import time

TIMEOUT = 10.0
"""Seconds after which a client gives a request up, and a stream that says nothing."""
WORK_MS = 20
"""What a request takes at the replica, so that some are under way whenever something happens."""
STREAM_MS = 3000
AGAIN = 0.25
"""Seconds until a stream or WebSocket that could not be opened is tried again."""
IDLE_MAX = 32


class Wrong(Exception):
    """An answer, but not the right one."""


async def connect(port: int):
    return await asyncio.open_connection("127.0.0.1", port)


async def head(reader) -> tuple[int, dict]:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = text[:-4].split("\r\n")
    fields = dict(line.lower().split(":", 1) for line in lines if ":" in line)
    return int(first.split(" ", 2)[1]), {name: value.strip() for name, value in fields.items()}


async def chunks(reader):
    while size := int((await reader.readline()).split(b";")[0] or b"x", 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()


async def body(reader, fields: dict) -> bytes:
    if "chunked" in fields.get("transfer-encoding", ""):
        return b"".join([part async for part in chunks(reader)])
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    return await reader.read()


def outcome(problem: BaseException, connected: bool) -> str:
    if isinstance(problem, Wrong):
        return str(problem)
    if isinstance(problem, (TimeoutError, asyncio.TimeoutError)):
        return "timeout"
    if not connected:
        return "refused"
    if isinstance(problem, (OSError, asyncio.IncompleteReadError)):
        return "reset"
    return "wrong"


class Traffic:
    def __init__(self, given: argparse.Namespace):
        self.given = given
        self.idle: list = []
        self.requests: list[dict] = []
        self.opens: list[dict] = []
        self.ended = asyncio.Event()

    async def run(self) -> dict:
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin, self.told)
        long = [asyncio.create_task(self.again(self.stream, number)) for number in range(self.given.streams)]
        long += [asyncio.create_task(self.again(self.websocket, number)) for number in range(self.given.websockets)]
        began, tasks, number = time.monotonic(), set(), 0
        while not self.ended.is_set() and number < self.given.count_max:
            due = began + number / self.given.rate
            wait = due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self.request(number, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        self.ended.set()
        await asyncio.gather(*tasks, *long)
        return {"began": began, "requests": self.requests, "opens": self.opens}

    def told(self) -> None:
        os.read(sys.stdin.fileno(), 100)  # Whatever it says, or that nobody is there any more.
        asyncio.get_running_loop().remove_reader(sys.stdin)
        self.ended.set()

    async def request(self, number: int, due: float) -> None:
        """One in four is a POST, one in four makes a connection of its own, the others are GETs on kept ones."""
        kind = ("get", "get-new", "get", "post")[number % 4]
        name = f"{self.given.name}-{number}"
        note = {"id": name, "kind": kind, "due": due}
        connected, writer = False, None
        try:
            async with asyncio.timeout(TIMEOUT):
                while self.idle and kind != "get-new":
                    reader, writer = self.idle.pop()
                    if not reader.at_eof() and not writer.is_closing():
                        break
                    writer.close()
                    writer = None
                note["kept"] = writer is not None
                if not writer:
                    reader, writer = await connect(self.given.port)
                connected = True
                keep = await self.exchange(reader, writer, kind, name, note)
            if keep and len(self.idle) < IDLE_MAX:
                self.idle.append((reader, writer))
                writer = None
            note["outcome"] = "ok"
        except Exception as problem:  # Whatever it is, it was not the right answer.
            note["outcome"] = outcome(problem, connected)
            note["why"] = f"{type(problem).__name__}: {problem}"
        finally:
            if writer:
                writer.close()
        note["done"] = time.monotonic()
        self.requests.append(note)

    async def exchange(self, reader, writer, kind: str, name: str, note: dict) -> bool:
        text = (name * 8).encode() if kind == "post" else b""
        method = "POST" if kind == "post" else "GET"
        length = f"Content-Length: {len(text)}\r\n" if text else ""
        close = "Connection: close\r\n" if kind == "get-new" else ""
        writer.write(f"{method} /?ms={WORK_MS} HTTP/1.1\r\nHost: {self.given.host}\r\nX-Test-Request: {name}\r\n{length}"
                     f"{close}\r\n".encode() + text)
        await writer.drain()
        status, fields = await head(reader)
        answer = await body(reader, fields)
        if status != 200:
            raise Wrong(str(status) if status in (502, 503, 504) else "wrong")
        said = json.loads(answer)
        if (said["request"], said["method"], said["bytes"]) != (name, method, len(text)):
            raise Wrong("wrong")
        note["replica"] = said["replica"]
        return kind != "get-new" and fields.get("connection") != "close"

    async def again(self, open_one, number: int) -> None:
        """Opens one after the other, and notes how each ended: `whole`, `closed` (by the replica, in good order), `cut`,
        or what kept it from being opened."""
        turn = 0
        while not self.ended.is_set():
            note = {"kind": open_one.__name__, "at": time.monotonic()}
            writer, connected, opened = None, False, False
            try:
                async with asyncio.timeout(TIMEOUT):
                    reader, writer = await connect(self.given.port)
                    connected = True
                    key = base64.b64encode(f"{number:08}{turn:08}".encode()).decode()
                    path, more = (f"/stream?ms={STREAM_MS}", "") if open_one == self.stream else (
                        "/ws", f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                        "Sec-WebSocket-Version: 13\r\n")
                    writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.given.host}\r\n{more}\r\n".encode())
                    status, fields = await head(reader)
                if status != (200 if open_one == self.stream else 101):
                    raise Wrong(str(status))
                note["replica"], opened = fields.get("x-replica"), True
                note["outcome"] = await open_one(reader, writer)
            except Exception as problem:
                note["outcome"] = "cut" if opened else outcome(problem, connected)
                note["why"] = f"{type(problem).__name__}: {problem}"
            finally:
                if writer:
                    writer.close()
            note["done"] = time.monotonic()
            self.opens.append(note)
            turn += 1
            if not opened:
                await asyncio.sleep(AGAIN)

    async def stream(self, reader, _writer) -> str:
        parts = chunks(reader)
        ticks = 0
        while True:
            try:
                await asyncio.wait_for(anext(parts), TIMEOUT)
            except StopAsyncIteration:
                return "whole" if ticks else "cut"
            ticks += 1

    async def websocket(self, reader, writer) -> str:
        """Sends a (masked, empty) text each tick, so that both ways are in use."""
        while not self.ended.is_set():
            first, length = await asyncio.wait_for(reader.readexactly(2), TIMEOUT)
            await reader.readexactly(length)
            if first == 0x88:
                return "closed"
            writer.write(b"\x81\x80\0\0\0\0")
        return "whole"


async def direct() -> None:
    """Until the first of the addresses answers."""
    found = asyncio.get_running_loop().create_future()

    async def ask(address: str) -> None:
        while not found.done():
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(0.5):
                    reader, writer = await asyncio.open_connection(address, 8000)
                    writer.write(b"GET / HTTP/1.1\r\nHost: direct\r\nConnection: close\r\n\r\n")
                    await head(reader)
                    writer.close()
                    if not found.done():
                        found.set_result(time.monotonic())
            await asyncio.sleep(0.005)

    tasks = set()

    def told() -> None:
        text = os.read(sys.stdin.fileno(), 1000).decode()
        tasks.update(asyncio.create_task(ask(address)) for address in text.split())
        if not text and not tasks and not found.done():
            found.set_result(None)

    asyncio.get_running_loop().add_reader(sys.stdin, told)
    print(json.dumps(await found), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--name", help="before every request's number")
    parser.add_argument("--port", type=int)
    parser.add_argument("--host", default="web.test")
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--count-max", type=int, default=100_000)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--websockets", type=int, default=4)
    given = parser.parse_args()
    if given.direct:
        asyncio.run(direct())
        return

    async def run() -> dict:
        return await Traffic(given).run()

    print(json.dumps(asyncio.run(run())), flush=True)


if __name__ == "__main__":
    main()

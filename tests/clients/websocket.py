"""A WebSocket server and a client from the `websockets` package. `serve` prints its port; `talk PORT HOST` talks through it."""

import asyncio
import os
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

MESSAGES = 200


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def run_server():
    async with serve(echo, "127.0.0.1", 0, max_size=4 << 20) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


async def talk(port, host):
    async with connect(f"ws://{host}/chat", host="127.0.0.1", port=port, max_size=4 << 20) as socket:
        for number in range(MESSAGES):
            await socket.send(f"message {number}")
            assert await socket.recv() == f"message {number}"
        # Both ways at once, and larger than any buffer on the way.
        pieces = [os.urandom(300_000) for _ in range(8)]
        sending = asyncio.gather(*(socket.send(piece) for piece in pieces))
        for piece in pieces:
            assert await socket.recv() == piece
        await sending
        await (await socket.ping())
    assert socket.close_code == 1000, socket.close_code
    print("ok")


if __name__ == "__main__":
    asyncio.run(run_server() if sys.argv[1] == "serve" else talk(int(sys.argv[2]), sys.argv[3]))

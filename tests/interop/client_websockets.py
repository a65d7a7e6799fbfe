#!/usr/bin/env python3
"""The interop client on Python websockets, for our server role; README.md says what it asks.

usage: client_websockets.py URL [--deflate]
"""
import asyncio
import itertools
import random
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

MIB = 1 << 20
TEXT = "κόσμε, 日本, 🎈; "
SIZES = (1, 125, 126, 127, 65535, 65536, 100_000)


class Peer:
    def __init__(self, url):
        self.url = url

    async def open(self, command):
        ws = await connect(self.url, max_size=None, ping_interval=None, compression=None)
        await ws.send(command)
        return ws

    async def outcome(self):
        """How the connection before this one ended, as the server saw it."""
        async with await self.open("outcome") as ws:
            return await ws.recv()


async def same(ws, *messages):
    for message in messages:
        await ws.send(message)
        answer = await ws.recv()
        assert type(answer) is type(message) and answer == message, (len(message), answer[:100])


async def echo_of_text_and_binary(peer):
    async with await peer.open("echo") as ws:
        await same(ws, "", b"", TEXT, TEXT.encode(), bytes(range(256)))
        await same(ws, *("x" * size for size in SIZES), *(b"\xff" * size for size in SIZES))


async def echo_of_16_mib(peer):
    async with await peer.open("echo") as ws:
        await same(ws, bytes(range(256)) * (MIB // 16), "ü" * 8 * MIB)


async def fragments_to_the_server(peer):
    async with await peer.open("echo") as ws:
        for parts in (["a", "", "b"], ["", "", ""], [TEXT] * 100, [b"1", b"", b"2"], [b"\0" * MIB] * 3):
            await ws.send(parts)
            answer = await ws.recv()
            assert answer == type(parts[0])().join(parts), answer[:100]


async def fragments_from_the_server(peer):
    for size in (1, 7, 1000):
        async with await peer.open(f"fragments {size}") as ws:
            await same(ws, TEXT * 50, bytes(range(256)) * 8, "", b"")


async def pings_to_the_server(peer):
    async with await peer.open("echo") as ws:
        for payload in (b"", b"are you there", b"\xff" * 125):
            await asyncio.wait_for(await ws.ping(payload), 10)
        await same(ws, "still here")


async def pings_from_the_server(peer):
    async with await peer.open("ping are you there") as ws:
        assert await ws.recv() == "ponged are you there"


async def close_from_the_client(peer):
    for code, reason in ((1000, ""), (1001, "bye"), (4001, "so long, ☃"), (3000, "r" * 123)):
        ws = await peer.open("echo")
        await same(ws, "before")
        await ws.close(code, reason)
        assert ws.close_code == code, ws.close_code
        assert await peer.outcome() == f"{code} {reason}"


async def close_from_the_server(peer):
    for code, reason in ((1000, ""), (1011, "broken"), (4002, "enough, ☃"), (3000, "r" * 123)):
        ws = await peer.open(f"close {code} {reason}")
        try:
            raise AssertionError(f"received {await ws.recv()!r}")
        except ConnectionClosed:
            await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (code, reason), (ws.close_code, ws.close_reason)
        assert (await peer.outcome()).startswith(f"{code} ")


async def both_ways_at_once(peer):
    async with await peer.open("echo") as ws:

        async def send():
            for number in range(1000):
                await ws.send(str(number) * 100)

        sending = asyncio.create_task(send())
        for number in range(1000):
            assert await ws.recv() == str(number) * 100
        await sending


async def compressed(peer, server_alone, client_alone):
    """200 messages over a connection for each pair of sizes of the windows."""
    rng = random.Random(7)
    ticks = ["".join(f'{{"price":{n * 7 + tick},"size":{tick % 13}}},' for tick in range(700)) for n in range(50)]
    sizes = (0, 1, 20, 300, 300, 300, 4000, 20_000)
    messages = [ticks[n % 50][: sizes[n % 8]] if n % 4 < 3 else rng.randbytes(sizes[n % 8]) for n in range(200)]
    for server_bits, client_bits in itertools.product(range(9, 16), repeat=2):
        factory = ClientPerMessageDeflateFactory(server_alone, client_alone, server_bits, client_bits)
        options = dict(max_size=None, ping_interval=None, compression=None, extensions=[factory])
        async with connect(peer.url, **options) as ws:
            assert ws.protocol.extensions, "compression is not agreed upon"
            await ws.send("echo")
            await same(ws, *messages)


TESTS = (
    echo_of_text_and_binary,
    echo_of_16_mib,
    fragments_to_the_server,
    fragments_from_the_server,
    pings_to_the_server,
    pings_from_the_server,
    close_from_the_client,
    close_from_the_server,
    both_ways_at_once,
)


async def main():
    peer = Peer(sys.argv[1])
    if "--deflate" in sys.argv:
        for alone in itertools.product((False, True), repeat=2):
            await asyncio.wait_for(compressed(peer, *alone), 110)
            print("ok compressed, server and client alone:", *alone)
        print("4 passed")
        return
    for test in TESTS:
        await asyncio.wait_for(test(peer), 60)
        print("ok", test.__name__.replace("_", " "))
    print(len(TESTS), "passed")


asyncio.run(main())

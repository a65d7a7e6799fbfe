#!/usr/bin/env python3
"""The interop server on Python websockets; README.md says what it answers.

usage: server_websockets.py [CERTIFICATE KEY | --deflate]
"""
import asyncio
import ssl
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


class Server:
    def __init__(self):
        self.live = 0
        self.outcome = ""  # of the connection that ended last

    async def handle(self, ws):
        command, _, argument = (await ws.recv()).partition(" ")
        if command == "outcome":
            while self.live:
                await asyncio.sleep(0.01)
            await ws.send(self.outcome)
            await ws.wait_closed()
            return
        self.live += 1
        try:
            await self.obey(ws, command, argument)
        except ConnectionClosed:
            pass
        finally:
            closed = ws.protocol.close_rcvd
            self.outcome = f"{closed.code} {closed.reason}" if closed else "1006 "
            self.live -= 1

    async def obey(self, ws, command, argument):
        if command == "echo":
            async for message in ws:
                await ws.send(message)
        elif command == "fragments":
            size = int(argument)
            async for message in ws:
                await ws.send([message[i : i + size] for i in range(0, len(message), size)] or [message])
        elif command == "ping":
            await (await ws.ping(argument))
            await ws.send("ponged " + argument)
            await ws.wait_closed()
        elif command == "head":
            fields = "".join(f"{name}: {value}\n" for name, value in ws.request.headers.raw_items())
            await ws.send(f"GET {ws.request.path}\n{fields}")
            await ws.wait_closed()
        elif command == "close":
            code, _, reason = argument.partition(" ")
            await ws.close(int(code), reason)
        else:
            await ws.close(1008, "unknown command")


def choose(_ws, offered):
    return "chat" if "chat" in offered else None


async def main():
    context = None
    if len(sys.argv) == 3:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*sys.argv[1:])
    options = dict(ssl=context, max_size=None, ping_interval=None, compression=None, select_subprotocol=choose)
    if sys.argv[1:] == ["--deflate"]:
        options["extensions"] = [ServerPerMessageDeflateFactory()]
    async with serve(Server().handle, "127.0.0.1", 0, **options) as server:
        print("listening", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())

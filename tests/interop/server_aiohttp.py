#!/usr/bin/env python3
"""The interop server on aiohttp; README.md says what it answers. It has no way to send fragments."""
import asyncio

from aiohttp import WSMsgType, web


class Server:
    def __init__(self):
        self.live = 0
        self.outcome = ""  # of the connection that ended last

    async def handle(self, request):
        ws = web.WebSocketResponse(
            max_msg_size=0, compress=False, autoping=False, autoclose=False, protocols=["chat"]
        )
        await ws.prepare(request)
        command, _, argument = (await ws.receive_str()).partition(" ")
        if command == "outcome":
            while self.live:
                await asyncio.sleep(0.01)
            await ws.send_str(self.outcome)
            await receive(ws)
            return ws
        self.live += 1
        self.outcome = "1006 "
        try:
            await self.obey(ws, command, argument)
        finally:
            self.live -= 1
        return ws

    async def obey(self, ws, command, argument):
        if command == "echo":
            while (message := await receive(ws)).type != WSMsgType.CLOSE:
                await (ws.send_str if message.type == WSMsgType.TEXT else ws.send_bytes)(message.data)
            self.outcome = f"{message.data} {message.extra}"
        elif command == "ping":
            await ws.ping(argument.encode())
            pong = await receive(ws)
            await ws.send_str("ponged " + pong.data.decode())
            await receive(ws)
        elif command == "close":
            code, _, reason = argument.partition(" ")
            await ws.close(code=int(code), message=reason.encode())
            self.outcome = f"{ws.close_code} "  # aiohttp does not keep the reason of an answer
        else:
            await ws.close(code=1008, message=b"unknown command")


async def receive(ws):
    """The next message, pong or close.

    Pings are answered here, as autoping would hide the pongs too, and so is a
    close, as autoclose would not answer with its code.
    """
    while (message := await ws.receive()).type == WSMsgType.PING:
        await ws.pong(message.data)
    if message.type == WSMsgType.CLOSE:
        await ws.close(code=message.data)
    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PONG, WSMsgType.CLOSE):
        raise ConnectionError(message)
    return message


async def main():
    app = web.Application()
    app.router.add_get("/", Server().handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print("listening", runner.addresses[0][1], flush=True)
    await asyncio.Future()


asyncio.run(main())

#!/usr/bin/env python3
"""The Socket.IO server on python-socketio and python-engineio; server_socket_io.js is the same on npm socket.io."""
import asyncio

import socketio
from aiohttp import web

sio = socketio.AsyncServer(async_mode="aiohttp", transports=["websocket"], ping_interval=0.3, ping_timeout=1.5)
ends = []


@sio.event
async def connect(sid, environ, auth):
    if auth["token"] != "pa55":
        raise socketio.exceptions.ConnectionRefusedError("not you")


@sio.event
async def join(sid, room):
    await sio.enter_room(sid, room)
    await sio.emit("joined", (room, "ü"), to=room)
    return {"room": room}


@sio.event
async def ask(sid, question):
    await sio.emit("answered", await sio.call("question", question, to=sid, timeout=5), to=sid)


@sio.event
async def send_bytes(sid):
    await sio.emit("bytes", b"\x00\xff", to=sid)


@sio.event
async def leave(sid):
    await sio.disconnect(sid)


@sio.event
async def disconnect(sid, reason):
    ends.append(reason)


@sio.event
async def tell_ends(sid):
    return ends


async def main():
    app = web.Application()
    sio.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening ws://127.0.0.1:{runner.addresses[0][1]}/", flush=True)
    await asyncio.Future()


asyncio.run(main())

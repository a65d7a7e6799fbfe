#!/usr/bin/env python3
"""Feeds of ticks on aiohttp. What is wrong with them is in `FEEDS`.

/feed/NAME  waits for a subscription, sends ticks, and ends the connection or waits for its end
/seen/NAME  sends what was seen of each connection so far
"""
import asyncio

from aiohttp import WSMsgType, web

# For each connection of a feed the numbers of its ticks, and what the server does then. The last one waits.
FEEDS = {
    "drop": [([1, 2, 3], "drop"), ([11, 12, 13], "wait")],
    "gap": [([1, 2, 4, 5, 6], "wait"), ([11, 12, 13], "wait")],
    "restart": [([1, 2], "restart"), ([3, 4, 5], "wait")],
}
seen = {name: [] for name in FEEDS}


async def feed(request):
    name = request.match_info["name"]
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    connection = {"subscription": await ws.receive_json(), "end": None}
    numbers, then = FEEDS[name][len(seen[name])]
    seen[name].append(connection)
    for number in numbers:
        await ws.send_json({"sequence": number, "price": number / 2})
    if then == "drop":
        request.transport.abort()
        connection["end"] = then
    elif then == "restart":
        await ws.close(code=1012)
        connection["end"] = then
    else:
        message = await ws.receive()
        assert message.type == WSMsgType.CLOSE, message
        connection["end"] = f"{message.data} {message.extra}"
    return ws


async def tell_seen(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    await ws.send_json(seen[request.match_info["name"]])
    await ws.receive()
    return ws


async def main():
    app = web.Application()
    app.router.add_get("/feed/{name}", feed)
    app.router.add_get("/seen/{name}", tell_seen)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening ws://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Future()


asyncio.run(main())

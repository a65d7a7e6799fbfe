"""Our wsdump beside Python's: the same command lines, the same lines.

    wsdump.py OURS THEIRS CERTIFICATE KEY

Where the two differ on purpose is listed in docs/MIGRATING.md, and taken out here: Python's escape sequences, prompts, pings
and pongs in a pipe, and the line that it puts out for a Close. Says how many command lines were compared in its last line.
"""

import asyncio
import gzip
import logging
import re
import ssl
import sys
import zlib

from websockets.asyncio.server import serve

OURS, THEIRS, CERTIFICATE, KEY = sys.argv[1:]
SUBPROTOCOLS = ["b"]
# Python's wsdump leaves without a Close.
logging.getLogger("websockets").setLevel(logging.CRITICAL)


def deflated(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


async def show(ws):
    """Everything that is shown in a way of its own."""
    for message in ["hello κόσμε", b"\x01\x02it's", b"\"quoted\"", b"\t\r\n\\\x7f\xff", gzip.compress(b"gzipped", mtime=0),
                    deflated(b"deflated"), deflated(b"\xff"), gzip.compress(b"\xff", mtime=0), gzip.compress(b"cut", mtime=0)[:15],
                    b"", "", b"pp", bytes(range(256)), "two\nlines", "x" * 700]:
        await ws.send(message)
    await ws.ping(b"are you there")
    await ws.pong(b"unasked")
    await asyncio.sleep(0.1)
    await ws.close(4000, "bye")


async def answer(ws):
    match ws.request.path:
        case "/show":
            await show(ws)
        case "/headers":
            names = ["Origin", "A", "B", "Sec-WebSocket-Protocol", "Sec-WebSocket-Version", "User-Agent"]
            await ws.send(repr([(name, ws.request.headers.get(name, "").replace(", ", ",")) for name in names]))
            await ws.close()
        case _:
            async for message in ws:
                await ws.send(message)


async def proxy(reader, writer):
    """Joins a client to the server that it asks for."""
    target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
    host, _, port = target.rpartition(":")
    far_reader, far_writer = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def pass_on(source, sink):
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
        sink.close()

    await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer), return_exceptions=True)


async def said(program, arguments, given):
    """What a program puts out for this input."""
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await asyncio.wait_for(process.communicate(given.encode()), 60)
    assert b"Traceback" not in err and b"panicked" not in err, err.decode()
    return out.decode()


def lines(out, arguments):
    """The lines, without what differs on purpose."""
    raw = "-r" in arguments or "--raw" in arguments
    out = re.sub(r"\x1b\[[0-9]*[A-Za-z]", "", out)
    if not raw:
        # Python's two threads put out prompts between and behind lines.
        out = re.sub(r"^(> )+|(> )+$", "", out, flags=re.MULTILINE)
        # In a pipe ours puts out messages alone.
        out = re.sub(r"^Press Ctrl\+C to quit\n", "", out)
        out = re.sub(r"^< ", "", out, flags=re.MULTILINE)
    if not any(re.match(r"--verbose|-r?v", argument) for argument in arguments):
        # Ours shows them with -v only: they are no messages.
        out = re.sub(r"^(\d+\.\d+(e-\d+)?: )?b'(are you there|unasked)'\n", "", out, flags=re.MULTILINE)
    if "--timings" in arguments:
        out = re.sub(r"^\d+\.\d+(e-\d+)?: ", "TIME: ", out, flags=re.MULTILINE)
    return out.rstrip("\n> ").split("\n")


def without_close(found, arguments):
    """What is put out for a Close: nothing, or with -v our code and reason."""
    if found and re.fullmatch(r"(TIME: )?(close:.*)?", found[-1].rstrip() or ""):
        found = found[:-1]
    while found and found[-1] in ("", "TIME:"):
        found = found[:-1]
    return found


async def compare(arguments, given=""):
    ours, theirs = await asyncio.gather(said(OURS, arguments, given), said(THEIRS, arguments, given))
    ours, theirs = (without_close(lines(out, arguments), arguments) for out in (ours, theirs))
    shown = " ".join(arguments)
    assert theirs and any(theirs), f"{shown}: Python's wsdump put out nothing"
    for number, (our, their) in enumerate(zip(ours, theirs), 1):
        assert our == their, f"{shown}, line {number}:\n  ours:   {our!r}\n  theirs: {their!r}"
    assert len(ours) == len(theirs), f"{shown}: {len(ours)} lines of ours, {len(theirs)} of theirs: {ours[-3:]} {theirs[-3:]}"
    print(f"the same {len(ours)} lines: {shown}")


async def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE, KEY)
    options = {"compression": None, "subprotocols": SUBPROTOCOLS, "select_subprotocol": lambda _, names: (names or [None])[-1]}
    async with serve(answer, "127.0.0.1", 0, **options) as plain, serve(answer, "127.0.0.1", 0, ssl=tls, **options) as safe:
        door = await asyncio.start_server(proxy, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{plain.sockets[0].getsockname()[1]}"
        secure = f"wss://127.0.0.1:{safe.sockets[0].getsockname()[1]}"
        through = f"http://127.0.0.1:{door.sockets[0].getsockname()[1]}"
        wait = ["--eof-wait", "1"]
        compared = [
            compare([f"{url}/show", *flags, *wait])
            for flags in [["-r"], ["--raw"], [], ["-v"], ["-r", "-v"], ["-rv"], ["-r", "-v", "1"], ["-r", "--verbose", "1"],
                          ["-r", "-v", "2"], ["-r", "-vv"], ["-v", "2"], ["-r", "--timings"], ["--timings", "-v"],
                          ["-r", "-p", through], ["-r", "--proxy", through]]
        ] + [
            compare([f"{secure}/show", "-r", flag, *wait]) for flag in ["-n", "--nocert"]
        ] + [
            compare([f"{url}/headers", "-r", *flags, *wait])
            for flags in [[], ["-o", "http://o.example"], ["--origin", "http://o.example"], ["-s", "a", "b"],
                          ["--subprotocols", "b"], ["--headers", "A: 1,B: 2"], ["--headers", "A:1"]]
        ] + [
            compare([f"{url}/echo", "-r", *wait], "hello\nκόσμε\n\n/ping\n//\nlast"),
            compare([f"{url}/echo", *wait], "hello\nκόσμε\n"),
            compare([f"{url}/echo", "-v", *wait], "hello\n"),
            compare([f"{url}/echo", "-r", "-t", "first", *wait], "second\n"),
            compare([f"{url}/echo", "-r", "--text", "first", *wait]),
        ]
        for comparison in compared:
            await comparison
        # Python's closes at once, and loses most of these answers.
        answers = await asyncio.gather(*(said(OURS, [f"{url}/echo", "-r"], "hello\n") for _ in range(20)))
        assert answers == ["hello\n"] * 20, answers
        print("20 answers of 20 without --eof-wait")
        print(f"{len(compared)} command lines")
        door.close()


asyncio.run(main())

#!/usr/bin/env python3
"""mosquitto; it says where it listens for WebSockets.

usage: server_mosquitto.py MOSQUITTO
"""
import socket
import sys

import program

PORT = program.free_port()
# It does not start with a listener for WebSocket alone, and without `socket_domain` that one binds every interface.
CONFIGURATION = f"""\
listener {program.free_port()} 127.0.0.1
listener {PORT} 127.0.0.1
socket_domain ipv4
protocol websockets
allow_anonymous true
"""


def command(folder):
    # Whoever it becomes when it is started by root reads this.
    folder.chmod(0o755)
    (folder / "mosquitto.conf").write_text(CONFIGURATION)
    return [sys.argv[1], "-c", "mosquitto.conf"]


def address(_):
    try:
        socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
    except OSError:
        return None
    return f"ws://127.0.0.1:{PORT}/"


program.serve(command, address)

#!/usr/bin/env python3
"""jupyter_server with an ipykernel kernel; it says the URL of the kernel's channels. The token is `pa55`."""
import json
import os
import sys
import urllib.error
import urllib.request

import program

PORT = program.free_port()
TOKEN = "pa55"


def command(_):
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": PORT,
        "ServerApp.port_retries": 0,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "ServerApp.websocket_ping_interval": 1000,  # milliseconds
        "ServerApp.websocket_ping_timeout": 1000,
        "IdentityProvider.token": TOKEN,
    }
    return [sys.executable, "-m", "jupyter_server", *(f"--{name}={value}" for name, value in options.items())]


def address(_):
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/api/kernels", data=b"{}", method="POST")
    request.add_header("Authorization", f"token {TOKEN}")
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            kernel = json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"no kernel: {error}: {error.read()}")
    except OSError:
        return None
    return f"ws://127.0.0.1:{PORT}/api/kernels/{kernel['id']}/channels"


os.environ["JUPYTER_NO_CONFIG"] = "1"
program.serve(command, address)

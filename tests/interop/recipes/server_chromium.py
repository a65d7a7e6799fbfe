#!/usr/bin/env python3
"""Chromium without a window; it says the URL of the DevTools of the browser.

usage: server_chromium.py CHROMIUM
"""
import sys

import program

OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
]


def command(folder):
    return [sys.argv[1], *OPTIONS, f"--user-data-dir={folder}/profile", "about:blank"]


def address(folder):
    try:
        port, path = (folder / "profile" / "DevToolsActivePort").read_text().split()
    except (OSError, ValueError):
        return None
    return f"ws://127.0.0.1:{port}{path}"


program.serve(command, address)

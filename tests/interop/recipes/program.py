"""Starts a program that serves, says where it listens, and stops it when this is stopped."""
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

LIMIT = 30  # seconds until the program listens


def free_port():
    """A port below the range from which the system takes those of outgoing connections."""
    for port in random.sample(range(10000, 32768), 100):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    sys.exit("no port is free")


def serve(command, address):
    """Runs `command(folder)` in an empty folder, where `address(folder)` is None until the program listens."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        own = {"HOME": name, "TMPDIR": name}
        program = subprocess.Popen(command(folder), cwd=folder, env=os.environ | own)
        # A signal is for the whole process group: the program ends by itself, and is waited for here.
        signal.signal(signal.SIGTERM, lambda *_: program.terminate())
        try:
            print("listening", wait(program, lambda: address(folder)), flush=True)
            program.wait()
        finally:
            stop(program)


def wait(program, address):
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        if program.poll() is not None:
            sys.exit(f"ended with {program.returncode}")
        found = address()
        if found is not None:
            return found
        time.sleep(0.05)
    sys.exit(f"does not listen after {LIMIT} s")


def stop(program):
    program.terminate()
    try:
        program.wait(5)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()

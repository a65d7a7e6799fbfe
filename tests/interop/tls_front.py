#!/usr/bin/env python3
"""TLS by `openssl s_server` in front of a server that speaks plain TCP.

usage: tls_front.py BACKEND_PORT [option of s_server...]

s_server talks TLS on one side and its standard input and output on the other,
and serves one connection at a time. So every connection that is accepted here
gets an s_server of its own, over a Unix socket, and a connection to the
backend, and bytes are passed on:

    client <-> (TCP) <-> s_server <-> (pipes) <-> (TCP) <-> backend
"""
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time


def pump(read, write, end=lambda: None):
    """Pass on what arrives until one side ends, then pass on the end."""
    try:
        while data := read(65536):
            write(data)
        end()
    except OSError:
        pass


def end_of(connection):
    return lambda: connection.shutdown(socket.SHUT_WR)


def connect_unix(path):
    """Connect to an s_server that is only just starting."""
    for _ in range(500):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            return connection
        except OSError:
            connection.close()
            time.sleep(0.01)
    raise TimeoutError("s_server did not start")


def serve(client, directory, number, backend_port, options):
    path = os.path.join(directory, str(number))
    command = ["openssl", "s_server", "-quiet", "-naccept", "1", "-unix", path, *options]
    with client, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as server:
        tls = connect_unix(path)
        backend = socket.create_connection(("127.0.0.1", backend_port))
        directions = (
            (client.recv, tls.sendall, end_of(tls)),
            (tls.recv, client.sendall, end_of(client)),
            (lambda size: os.read(server.stdout.fileno(), size), backend.sendall, end_of(backend)),
        )
        for direction in directions:
            threading.Thread(target=pump, args=direction, daemon=True).start()
        pump(backend.recv, server.stdin.write)
        # s_server does not end with its input. Let it pass on what it has, then end it; the client sees a FIN.
        time.sleep(0.2)
        server.kill()
        backend.close()
        tls.close()


def main():
    backend_port, options = int(sys.argv[1]), sys.argv[2:]
    listener = socket.create_server(("127.0.0.1", 0))
    print("listening", listener.getsockname()[1], flush=True)
    with tempfile.TemporaryDirectory() as directory:
        number = 0
        while True:
            client, _ = listener.accept()
            number += 1
            threading.Thread(
                target=serve, args=(client, directory, number, backend_port, options), daemon=True
            ).start()


main()

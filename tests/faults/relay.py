"""A line between two parts that a test can make half-open: its connections stay, and nothing comes through."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Self


class Relay:
    """Listens on a port of loopback and hands on to `target`: a port of loopback, or a Unix socket."""

    def __init__(self, target: int | Path) -> None:
        self._target = target
        self._flows = threading.Event()
        self._flows.set()
        self._refuses = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flows.set()
        _shut(self._listener)
        self.cut()

    def hold(self) -> None:
        """Half-open: whoever is connected, or connects now, hears nothing more, and no end either."""
        self._flows.clear()

    def refuse(self) -> None:
        """End what is open, and whatever comes, at once."""
        self._refuses = True
        self.cut()

    def resume(self) -> None:
        self._refuses = False
        self._flows.set()

    def cut(self) -> None:
        """End what is open; new connections are taken."""
        with self._lock:
            ended, self._open = self._open, set()
        for sock in ended:
            _shut(sock)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self._refuses:
                _shut(sock)
            else:
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._flows.wait()
        try:
            server = self._connected()
        except OSError:
            _shut(client)
            return
        with self._lock:
            self._open |= {client, server}
        threading.Thread(target=self._pump, args=(server, client), daemon=True).start()
        self._pump(client, server)

    def _connected(self) -> socket.socket:
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target))
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(str(self._target))
        except OSError:
            server.close()
            raise
        return server

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._flows.wait()
                target.sendall(data)
        except OSError:
            pass  # the other way has ended it
        finally:
            with self._lock:
                self._open -= {source, target}
            _shut(source)
            _shut(target)


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it never was connected, or is closed
    finally:
        sock.close()

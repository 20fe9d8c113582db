"""Runs the lab until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable

from aiohttp import web

from app.lab.clock import PreciseSelector
from app.lab.server import ARRIVED

#: s that an answer in progress gets after SIGTERM; calls that hang must not hold up the end
_SHUTDOWN_S = 0.3


def serve(app: web.Application, host: str, port: int, ready: Callable[[], None]) -> None:
    """Listens there and calls `ready` then; returns after SIGINT or SIGTERM. Raises OSError: port in use."""
    selector = PreciseSelector()
    app[ARRIVED] = selector.arrived_s
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(_serve(app, host, port, ready))


async def _serve(app: web.Application, host: str, port: int, ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    runner = make_runner(app)
    await runner.setup()
    gc.freeze()  # a trace is a hundred thousand objects: looking through them takes longer than answers may be late
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        ready()
        await stop.wait()
    finally:
        await runner.cleanup()


def make_runner(app: web.Application) -> web.AppRunner:
    """A client that goes away ends its call at once; there is no access log, the journal is better."""
    return web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=_SHUTDOWN_S)

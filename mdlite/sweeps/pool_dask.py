"""The workers of a Dask distributed scheduler as the pool of a sweep, and what becomes of them when the scheduler is gone."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import mdlite
from mdlite.errors import InputError, RunError
from mdlite.sweeps.pool import GO_ON, told

SCHEDULER_SECONDS = 10.0
COUNT_SECONDS = 2.0
ANSWER_SECONDS, CLOSE_SECONDS = 60.0, 5.0
"""For a scheduler that is there to answer, and for taking leave of it."""


class Dask:
    """The workers of a Dask distributed scheduler; address: ``tcp://host:port``, or ``local`` for a cluster on this machine's loopback.

    A point whose worker dies is given to another one. Raises InputError if Dask is not installed, or no scheduler answers.
    """

    def __init__(self, address: str, workers: int):
        if address != "local" and not re.fullmatch(r"(tcp|tls|ws|wss|ucx)://\S+:\d+", address):
            raise InputError(f"scheduler = {address!r}: must be an address such as tcp://10.0.0.5:8786, or local")
        try:
            import distributed
        except ImportError:
            raise InputError(
                f"scheduler = {address!r}: needs Dask distributed, which is not installed: pip install 'mdlite[sweep]'"
            ) from None
        self._cluster, self._address = None, address
        self._levels = _silenced("distributed", "tornado", "asyncio")
        try:
            if address == "local":
                self._cluster = distributed.LocalCluster(
                    n_workers=workers, processes=True, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
                )
            _require_transport(address)
            where = self._cluster or address
            self._client = _within(
                lambda: distributed.Client(where, timeout=SCHEDULER_SECONDS, set_as_default=False),
                SCHEDULER_SECONDS + CLOSE_SECONDS,
            )
        except Exception as error:  # whatever stands there, it may answer anything
            self._leave()
            raise InputError(
                f"scheduler = {address!r}: no Dask scheduler answers there ({type(error).__name__}); start one with `dask scheduler`, and give "
                "the address that it prints, such as tcp://10.0.0.5:8786, or local"
            ) from None
        self._require_alike()
        self._executor = self._client.get_executor(pure=False)
        self._counted = -math.inf
        self._count = 0

    @property
    def workers(self) -> int:
        """How many there are now, or were two seconds ago; they come and go. Raises RunError if the scheduler is gone."""
        if time.monotonic() - self._counted > COUNT_SECONDS:
            with self._watched():
                found = self._client.nthreads(callback_timeout=ANSWER_SECONDS)
                self._count, self._counted = len(found), time.monotonic()
        return self._count

    def submit(self, function: Callable, *arguments: Any) -> concurrent.futures.Future:
        """As `concurrent.futures.Executor.submit`."""
        with self._watched():
            return self._executor.submit(function, *arguments)

    def ask(self, function: Callable[[], Any]) -> list[Any]:
        """What every worker that is there answers, or the exceptions that they raise."""
        with self._watched():
            return list(self._client.run(function, on_error="return", callback_timeout=ANSWER_SECONDS).values())

    def failure(self, future: concurrent.futures.Future) -> str | None:
        """What went wrong with a future that has ended, or None. Raises RunError if the scheduler is gone, which ends them all."""
        with self._watched():
            error = future.exception()
            if isinstance(error, _lost()):
                raise error
            return told(error)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Raise RunError if Dask says by whatever exception that the scheduler is gone."""
        try:
            yield
        except _lost() as error:
            raise RunError(
                f"scheduler = {self._address!r}: the Dask scheduler is gone ({type(error).__name__}); {GO_ON}"
            ) from None

    def _require_alike(self) -> None:
        """Raise InputError if a worker that is there has another mdlite, or none: its results would differ."""

        def version() -> str:  # within, so that Dask sends its code: the worker's mdlite may not have it
            import mdlite

            return mdlite.__version__

        with self._watched():
            found = self._client.run(version, on_error="return", callback_timeout=ANSWER_SECONDS)
        for worker, said in found.items():
            if said != mdlite.__version__:
                self._leave()
                has = f"mdlite {said}" if isinstance(said, str) else f"no mdlite that works ({type(said).__name__})"
                raise InputError(
                    f"scheduler = {self._address!r}: its worker {worker} has {has}, this is mdlite {mdlite.__version__}"
                )

    def close(self, stop: bool) -> None:
        """Leave the scheduler, and with ``stop`` take back what has not begun."""
        with contextlib.suppress(*_lost()):
            self._executor.shutdown(wait=not stop)
        self._leave()

    def _leave(self) -> None:
        """Close what is open; a scheduler that is gone cannot be told."""
        for part in (getattr(self, "_client", None), self._cluster):
            if part is not None:
                with contextlib.suppress(*_lost()):
                    part.close(timeout=CLOSE_SECONDS)
        for logger, level in self._levels.items():
            logger.setLevel(level)


def _require_transport(address: str) -> None:
    """Raise ValueError unless this process can speak to such an address; Dask finds that out too late to leave in order."""
    from distributed import Security
    from distributed.comm.registry import get_backend

    scheme = address.partition("://")[0]
    if scheme == "local":
        return
    get_backend(scheme).get_connector()
    if scheme in ("tls", "wss") and not Security().get_connection_args("client").get("ssl_context"):
        raise ValueError("no certificates in Dask's configuration")


def _within(make: Callable[[], Any], limit: float) -> Any:
    """What a call returns, or raises; TimeoutError after so many seconds. It may stay behind: what answers may be no scheduler."""
    found: list[Any] = []

    def work() -> None:
        try:
            found.append((make(), None))
        except BaseException as error:
            found.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit)
    if not found:
        raise TimeoutError("no answer")
    if found[0][1] is not None:
        raise found[0][1]
    return found[0][0]


def _lost() -> tuple[type[BaseException], ...]:
    """What Dask raises of a scheduler that is gone."""
    from distributed.client import ClosedClientError
    from distributed.comm import CommClosedError

    return (
        ClosedClientError,
        CommClosedError,
        ConnectionError,
        TimeoutError,
        concurrent.futures.CancelledError,
        asyncio.CancelledError,
    )


def _silenced(*names: str) -> dict[logging.Logger, int]:
    """Keep the loggers of libraries quiet, since what they tell is told here in a line; returns the levels that they had."""
    known = [*names, *(name for name in logging.root.manager.loggerDict if name.split(".")[0] in names)]
    loggers = [logging.getLogger(name) for name in known]
    levels = {logger: logger.level for logger in loggers}
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    return levels

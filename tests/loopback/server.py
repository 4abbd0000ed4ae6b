"""The loopback hub: starts and stops the server, knows its users, and meets each request with its fault."""

import asyncio
import hashlib
import hmac
import re
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote
from weakref import WeakSet

from aiohttp import web

from tests.loopback import reading, writing
from tests.loopback.answers import FAULT, HUB, error, hang_up
from tests.loopback.faults import OF_BODIES, Faults
from tests.loopback.faulty import give_faulty
from tests.loopback.repository import Repository

WRITE_TOKEN, READ_TOKEN = "hf_loopback_write_token", "hf_loopback_read_token"
_BODY_MAX = 1 << 30
_SIGNED_S = 3600

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that was answered, without its token; `begin` is the byte that it asked a file from."""

    method: str
    path: str
    status: int
    has_authorization: bool
    begin: int


class Hub:
    """A hub on loopback, from `with` to its end.

    Attributes:
        root: The folder with its repositories; served as they are.
        faults: What goes wrong.
        requests: What was asked.
        page_size: Entries of a page of a listing; the real one has 1000.
    """

    def __init__(self, root: Path, *, port: int = 0, page_size: int = 1000) -> None:
        self.root, self.page_size = root, page_size
        self.faults, self.requests = Faults(), list[Asked]()
        self.token, self.read_token = WRITE_TOKEN, READ_TOKEN
        self.users = {WRITE_TOKEN: "write", READ_TOKEN: "read"}
        self._port, self._key = port, secrets.token_bytes(16)
        self._repositories: dict[str, Repository] = {}
        self._transports = WeakSet[asyncio.Transport]()  # that something was asked over
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        for folder in sorted((root / "models").glob("*/*")):
            name = str(folder.relative_to(root / "models"))
            self._repositories[name] = Repository(root, name)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for repository in self._repositories.values():
            repository.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=_BODY_MAX, middlewares=[self._meet])
        app[HUB] = self
        app.add_routes([*reading.ROUTES, *writing.ROUTES])
        app.router.add_route("*", "/_faults", self._switch)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self._socket = socket.create_server(("127.0.0.1", self._port))
        self._port = self._socket.getsockname()[1]
        await web.SockSite(self._runner, self._socket).start()

    async def _stop(self) -> None:
        """Take no more connections, cancel what is being answered, and wait until every socket and file is closed."""
        self._loop.remove_reader(self._socket)
        await _turns()  # what was accepted becomes a connection that can be closed, as long as the server is open
        await self._runner.cleanup()
        for transport in tuple(self._transports):
            transport.abort()  # a closed one waits until the client has read all
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_default_executor()
        await _turns()

    @property
    def endpoint(self) -> str:
        """The address of the hub."""
        return f"http://localhost:{self._port}"

    def environment(self, home: Path, *, token: str | None = WRITE_TOKEN) -> dict[str, str]:
        """Return what a process needs in its environment to use this hub, with a home of its own."""
        settings = {"HF_ENDPOINT": self.endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home)}
        settings |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
        return settings | ({"HF_TOKEN": token} if token else {})

    def create(self, name: str, *, is_private: bool = True) -> Repository:
        """Create a repository.

        Raises:
            ValueError: There is one of that name, or it is no name of one.
        """
        if not re.fullmatch(r"[A-Za-z0-9][\w-]*/[A-Za-z0-9][\w.-]*", name):
            raise ValueError(f"expected a name such as organisation/name, seen {name!r}")
        if name in self._repositories:
            raise ValueError(f"expected no repository {name}, seen one")
        self._repositories[name] = Repository(self.root, name, is_private=is_private)
        return self._repositories[name]

    def repository(self, name: str) -> Repository:
        """Return a repository.

        Raises:
            KeyError: There is none of that name.
        """
        return self._repositories[name]

    def large_url(self, repository: Repository, sha256: str, method: str) -> str:
        """Return where a large file is put or got, signed: another host than the hub's, as with the real one."""
        path, expires = f"/lfs/{repository.name}/{sha256}", int(time.time()) + _SIGNED_S
        signature = self.signature(method, path, str(expires))
        return f"http://127.0.0.1:{self._port}{quote(path)}?expires={expires}&signature={signature}"

    def signature(self, method: str, path: str, expires: str) -> str:
        """Return what proves that the hub gave an address, for one method until some time."""
        return hmac.new(self._key, f"{method} {path} {expires}".encode(), hashlib.sha256).hexdigest()

    @web.middleware
    async def _meet(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = None if request.path == "/_faults" else self.faults.take(request.method, request.path)
        request[FAULT] = fault
        if request.transport:
            self._transports.add(request.transport)
        if fault and fault.kind == "status":
            message = request.headers.get("Authorization", "") if fault.is_echo else fault.message
            answer: web.StreamResponse = error(fault.status, message, fault.code, retry_after=fault.retry_after)
        elif fault and fault.kind == "cut" and request.can_read_body:
            await _read(request, fault.at)
            self._note(request, web.Response(status=499))
            return hang_up(request)
        else:
            try:
                answer = await handler(request)
                if fault and fault.kind in OF_BODIES and isinstance(answer, web.Response):
                    answer = await give_faulty(request, answer, fault)
            except web.HTTPException as refused:  # of the store of large files, or of an unknown address
                self._note(request, refused)
                raise
            except asyncio.CancelledError:  # the client has hung up
                self._note(request, web.Response(status=499))
                raise
        self._note(request, answer)
        return hang_up(request) if fault and fault.kind == "lost" else answer

    def _note(self, request: web.Request, answer: web.StreamResponse) -> None:
        asked = Asked(
            method=request.method,
            path=request.path,
            status=answer.status,
            has_authorization="Authorization" in request.headers,
            begin=request.http_range.start or 0,
        )
        self.requests.append(asked)

    async def _switch(self, request: web.Request) -> web.Response:
        """Switch faults on, off, or list them, from another process."""
        if request.method == "POST":
            try:
                self.faults.add(Faults.from_json(await request.text()))
            except ValueError as fault:
                return error(400, str(fault))
        elif request.method == "DELETE":
            self.faults.clear()
        return web.Response(text=self.faults.to_json(), content_type="application/json")


async def _turns() -> None:
    """Let the loop run what is scheduled, and what that schedules."""
    for _ in range(5):  # from an accepted socket to its reader, asyncio takes four
        await asyncio.sleep(0)


async def _read(request: web.Request, size: int) -> None:
    """Read so much of a body, or all of it where it has less."""
    while size > 0 and (data := await request.content.read(size)):
        size -= len(data)

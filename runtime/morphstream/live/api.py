"""What a page asks over HTTP: its files, its state, and its own session's people, choices and connection.

Every error is ``{"error": "one line"}``. What is sent is bounded in size and in time.
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import morphstream
from morphstream.artifact.errors import MorphstreamError, message_of
from morphstream.face.analyser import FaceAnalyser
from morphstream.live.choices import LOOKS, Choices, Person, changed_look, look_object
from morphstream.live.connection import OfferError
from morphstream.live.options import PageOptions, ice_server_of
from morphstream.live.people import MOST_BYTES, identify_picture
from morphstream.live.session import LiveSession
from morphstream.live.sessions import LiveSessions

_MOST_JSON = 1 << 18
_BODY_S = 30.0
_MOST_PEOPLE = 32
_MOST_LETTERS = 80  # of a name
_log = logging.getLogger("morphstream.live")


class PageApi:
    """Answers the requests of pages; for one event loop."""

    def __init__(
        self,
        sessions: LiveSessions,
        analyser: FaceAnalyser,
        max_pixels: int,
        state: Callable[[], Mapping[str, object]],
    ) -> None:
        """Begin to answer.

        Args:
            sessions: Of all pages.
            analyser: Identifies who is in a picture.
            max_pixels: Of a picture.
            state: What a page is told before it opens a session.
        """
        self._sessions, self._state = sessions, state
        self._identify = partial(identify_picture, analyser, max_pixels=max_pixels)

    def app(self) -> Starlette:
        """Return the application."""
        own = "/api/sessions/{id}"
        routes = [
            Route("/api/state", self._tell),
            Route("/api/sessions", self._open, methods=["POST"]),
            Route(own, self._change, methods=["PATCH"]),
            Route(own, self._close, methods=["DELETE"]),
            Route(f"{own}/close", self._close, methods=["POST"]),
            Route(f"{own}/alive", self._keep, methods=["POST"]),
            Route(f"{own}/offer", self._answer, methods=["POST"]),
            Route(f"{own}/people", self._add_person, methods=["POST"]),
            Route(f"{own}/people/{{person}}", self._remove_person, methods=["DELETE"]),
            Mount("/", StaticFiles(directory=_PAGE, html=True)),
        ]
        refusals = {HTTPException: _refused, MorphstreamError: _refused, ClientDisconnect: _gone}
        return Starlette(routes=routes, exception_handlers=refusals)  # type: ignore[arg-type]

    async def _tell(self, _: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(self._state))

    async def _open(self, _: Request) -> Response:
        try:
            session = await self._sessions.open()
        except MorphstreamError as error:
            raise HTTPException(503, str(error)) from None
        return JSONResponse({"id": session.id})

    async def _keep(self, request: Request) -> Response:
        self._session_of(request)
        return JSONResponse({})

    async def _close(self, request: Request) -> Response:
        await self._sessions.end(self._session_of(request))
        return JSONResponse({})

    async def _answer(self, request: Request) -> Response:
        session, given = self._session_of(request), await _read_object(request)
        sdp = given.get("sdp")
        if not isinstance(sdp, str) or given.get("type") != "offer":
            raise HTTPException(422, "offer: expected sdp, and offer as its type, seen something else")
        try:
            answer = await session.answer(sdp, is_own_input=given.get("input") == "server")
        except OfferError as error:
            raise HTTPException(422, str(error)) from None
        return JSONResponse({"sdp": answer, "type": "answer"})

    async def _add_person(self, request: Request) -> Response:
        session, name = self._session_of(request), request.query_params.get("name", "")
        name = message_of(name, _MOST_LETTERS) or "somebody"
        if request.query_params.get("agreed") != "1":
            raise HTTPException(403, f"{name}: expected that the person agreed, seen no word of it; ask them first")
        if len(session.choices.people) >= _MOST_PEOPLE:
            raise HTTPException(409, f"{name}: expected {_MOST_PEOPLE} people at most, seen another; remove one")
        data = await _read(request, MOST_BYTES)
        found = await asyncio.to_thread(self._identify, data, session.choices.look)
        # the picture itself is kept nowhere
        _log.info("%s: the user says that the person agreed; picture with sha256 %s", name, sha256(data).hexdigest())
        async with session.changes:
            number, choices = session.choices.with_person(Person(name, found.identity))
            await session.change(choices)
        return JSONResponse({"person": number, "name": name, "note": found.note})

    async def _remove_person(self, request: Request) -> Response:
        session, number = self._session_of(request), _number_of("person", request.path_params["person"])
        async with session.changes:
            _check_person(session.choices, number)
            await session.change(session.choices.without_person(number))
        return JSONResponse({})

    async def _change(self, request: Request) -> Response:
        session, given = self._session_of(request), await _read_object(request)
        if odd := sorted(given.keys() - _CHANGES):
            raise HTTPException(422, f"expected {', '.join(sorted(_CHANGES))}, seen {', '.join(odd)}")
        async with session.changes:
            choices = await _chosen(session, given)
            is_paused, model = given.get("is_paused", session.is_paused), given.get("swap_model")
            if not isinstance(is_paused, bool) or not (model is None or (isinstance(model, str) and len(model) <= 80)):
                raise HTTPException(422, "expected true or false for is_paused, and a name for swap_model")
            if choices != session.choices:
                try:
                    await session.change(choices)
                except ValueError as error:  # a look that doesn't fit the model
                    raise HTTPException(422, message_of(error)) from None
            if model is not None:
                session.switch(model)
            if is_paused != session.is_paused:
                session.pause(is_paused=is_paused)
        return JSONResponse({})

    def _session_of(self, request: Request) -> LiveSession:
        found = self._sessions.find(request.path_params["id"])
        if found is None:
            raise HTTPException(404, "session: expected an open one, seen none by this id; open the page again")
        return found


_CHANGES = frozenset(("swap_model", "look", "everyone", "faces", "is_paused"))
_PAGE = Path(__file__).parent / "page"


async def _chosen(session: LiveSession, given: Mapping[str, object]) -> Choices:
    """Return the choices of a session with those that a request changes."""
    choices, look, faces = session.choices, given.get("look", {}), given.get("faces", {})
    if not isinstance(look, dict) or not isinstance(faces, dict):
        raise HTTPException(422, "expected an object for look and one for faces, seen something else")
    try:
        choices = replace(choices, look=changed_look(choices.look, look))
    except ValueError as error:
        raise HTTPException(422, message_of(error)) from None
    if "everyone" in given:
        choices = replace(choices, everyone=_check_person(choices, given["everyone"], or_none=True))
    for track, value in faces.items():
        number, person = _number_of("faces", track), _check_person(choices, value, or_none=True)
        choices = choices.with_face(await session.identify(number), person)
    return choices


def _number_of(what: str, text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise HTTPException(422, f"{what}: expected a number, seen {message_of(text, 40)!r}")
    return int(text)


def _check_person(choices: Choices, person: object, *, or_none: bool = False) -> int | None:
    if person is None and or_none:
        return None
    if type(person) is not int or person not in choices.people:
        expected = f"person: expected one of {', '.join(map(str, choices.people)) or 'none yet'}"
        raise HTTPException(422, f"{expected}, seen {message_of(repr(person), 40)}; add them first")
    return person


async def _read(request: Request, most: int) -> bytes:
    """Return what a request sends, at most so many bytes, within a time."""
    data = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for chunk in request.stream():
                data += chunk
                if len(data) > most:
                    raise HTTPException(413, f"expected {most} bytes at most, seen more; make it smaller")
    except TimeoutError:
        raise HTTPException(408, f"expected the whole request within {_BODY_S:g} s, seen less; send it again") from None
    return bytes(data)


async def _read_object(request: Request) -> Mapping[str, object]:
    data = await _read(request, _MOST_JSON)
    with suppress(ValueError, RecursionError):
        found = json.loads(data)
        if isinstance(found, dict):
            return found
    raise HTTPException(422, "expected a JSON object, seen something else")


async def _refused(_: Request, error: HTTPException | MorphstreamError) -> Response:
    status, line = (error.status_code, error.detail) if isinstance(error, HTTPException) else (409, str(error))
    return JSONResponse({"error": line}, status)


async def _gone(_: Request, __: ClientDisconnect) -> Response:
    return Response(status_code=400)


def state_of(
    options: PageOptions, choices: Choices, swap_models: Mapping[str, bool], swap_model: str, *, has_input: bool
) -> Mapping[str, object]:
    """Return what a page is told before it opens a session, as JSON has it.

    Args:
        options: Of the page.
        choices: That a session begins with.
        swap_models: By name, whether each is installed.
        swap_model: The one that a session begins with.
        has_input: Whether the program has an input of its own.
    """
    return {
        "version": morphstream.__version__,
        "swap_models": [{"name": name, "is_installed": is_there} for name, is_there in swap_models.items()],
        "swap_model": swap_model,
        "looks": LOOKS,
        "look": look_object(choices.look),
        "people": [{"person": number, "name": person.name} for number, person in choices.people.items()],
        "everyone": choices.everyone,
        "has_input": has_input,
        "ice_servers": [ice_server_of(server) for server in options.ice_servers],
        "visible_mark": options.visible_mark,
        "size": list(options.size_wh),
    }

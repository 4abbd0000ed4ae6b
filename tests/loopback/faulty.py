"""How the body of an answer goes wrong on its way."""

import asyncio

from aiohttp import web

from tests.loopback.answers import hang_up
from tests.loopback.faults import Fault

_PART_BYTES = 1 << 16
_ARRIVAL_S = 0.05  # of what was sent before the connection ends


async def give_faulty(request: web.Request, answer: web.Response, fault: Fault) -> web.StreamResponse:
    """Send an answer with a fault of its body."""
    data = answer.body if isinstance(answer.body, bytes) else b""
    if fault.kind == "corrupt" and data:
        data = data[:-1] + bytes([data[-1] ^ 1])
    data = data[: fault.at] if fault.kind == "short" else data
    headers = {**answer.headers, "Content-Length": str(len(data))}
    faulty = web.StreamResponse(status=answer.status, headers=headers)
    await faulty.prepare(request)
    sent = data[: fault.at] if fault.kind == "cut" else data
    size = fault.at if fault.kind == "drip" else _PART_BYTES
    for start in range(0, len(sent), size):
        await asyncio.sleep(fault.pause_s if fault.kind == "drip" else 0)
        await faulty.write(sent[start : start + size])
    if fault.kind == "cut":
        await asyncio.sleep(_ARRIVAL_S)
        hang_up(request)
        return faulty
    await faulty.write_eof()
    return faulty

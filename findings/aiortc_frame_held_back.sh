#!/usr/bin/env bash
# aiortc gives a received frame of video when the next one begins, not when its last packet has come.
#
# The last packet of a frame has the marker bit set (RFC 7741, section 4.1, for VP8; RFC 6184, section 5.1, for H.264),
# and browsers decode by it. `JitterBuffer` doesn't look at it: it waits for a packet with another time. So each frame
# is late by the time between two frames, 33 ms at 30 a second and a second at 1, and the last one never comes.
#
# Seen with aiortc 1.16.0 and Python 3.11.7 on Linux, x86-64:
#     30 frames sent, 29 came; another was sent, 30 came
# Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check aiortc==1.16.0 "av==18.1.0"
cd "$folder"
venv/bin/python - <<'EOF'
import asyncio
import sys
from fractions import Fraction

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from av import VideoFrame

INTERVAL_S = 0.05


class Camera(MediaStreamTrack):
    """Sends a frame for each that is allowed, each of a height of its own."""

    kind = "video"

    def __init__(self):
        super().__init__()
        self.count, self.allowed = 0, asyncio.Semaphore(0)

    async def recv(self):
        await self.allowed.acquire()
        frame = VideoFrame(64, 64 + 2 * self.count)
        frame.pts, frame.time_base = 4500 * self.count, Fraction(1, 90000)
        self.count += 1
        return frame


async def main():
    sender, receiver = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    camera, came = Camera(), []

    async def watch(track):
        while True:
            came.append((await track.recv()).height)

    tasks = []
    receiver.on("track", lambda track: tasks.append(asyncio.ensure_future(watch(track))))
    sender.addTrack(camera)
    await sender.setLocalDescription(await sender.createOffer())
    await receiver.setRemoteDescription(sender.localDescription)
    await receiver.setLocalDescription(await receiver.createAnswer())
    await sender.setRemoteDescription(receiver.localDescription)
    while "connected" not in (sender.connectionState, receiver.connectionState):
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)

    async def send(count):
        for _ in range(count):
            camera.allowed.release()
            await asyncio.sleep(INTERVAL_S)
        await asyncio.sleep(2)
        return len(came)

    first, second = await send(30), await send(1)
    print(f"30 frames sent, {first} came; another was sent, {second} came")
    for task in tasks:
        task.cancel()
    await asyncio.gather(sender.close(), receiver.close(), *tasks, return_exceptions=True)
    return int((first, second) != (29, 30))


sys.exit(asyncio.run(main()))
EOF

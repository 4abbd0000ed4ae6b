#!/usr/bin/env bash
# FFmpeg with GnuTLS makes a certificate for WebRTC on the curve P-224, which peers with OpenSSL and browsers refuse.
#
# The muxer "whip" makes a key of its own unless it is given one by `cert_file` and `key_file`. GnuTLS picks its curve by
# the bits of a security level, and takes secp224r1; WebRTC asks for P-256 (RFC 8827, 6.5). The peer ends the handshake
# with the alert "illegal parameter", and the muxer returns "Input/output error". With OpenSSL FFmpeg makes one on P-256.
#
# Seen with PyAV 18.1.0 (FFmpeg 8.1 with GnuTLS) and aiortc 1.16.0 on Python 3.11.7 on Linux, x86-64:
#     FFmpeg's own certificate: failed
#     one on P-256: connected
# Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check av==18.1.0 aiortc==1.16.0 aiohttp
cd "$folder"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=own \
    -keyout key.pem -out cert.pem 2>openssl.log
cat >server.py <<'EOF2'
import asyncio

from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription


async def offer(request):
    """Answer a stream, and print whether it connects."""
    peer = RTCPeerConnection()

    @peer.on("connectionstatechange")
    def say():
        if peer.connectionState in ("connected", "failed"):
            print(peer.connectionState, flush=True)

    await peer.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    return web.Response(status=201, text=peer.localDescription.sdp, headers={"Location": "/1"})


async def main():
    """Serve for ever."""
    app = web.Application()
    app.router.add_post("/whip", offer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.sleep(3600)


asyncio.run(main())
EOF2
venv/bin/python - <<'EOF2'
import subprocess
import sys
from contextlib import suppress

import av


def send(address, options):
    """Send a second of grey; an error is the peer's to tell."""
    with suppress(av.FFmpegError), av.open(address, "w", format="whip", options=options) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.options = {"profile": "baseline", "tune": "zerolatency"}
        for _ in range(25):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode(None))


with subprocess.Popen([sys.executable, "server.py"], stdout=subprocess.PIPE, text=True) as server:
    address = f"http://127.0.0.1:{server.stdout.readline().strip()}/whip"
    send(address, {})
    own = server.stdout.readline().strip()
    send(address, {"cert_file": "cert.pem", "key_file": "key.pem"})
    given = server.stdout.readline().strip()
    server.kill()
print(f"FFmpeg's own certificate: {own}\none on P-256: {given}")
sys.exit((own, given) != ("failed", "connected"))
EOF2

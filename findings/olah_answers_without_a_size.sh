#!/usr/bin/env bash
# olah, a mirror of the Hugging Face Hub, announces a file's size, ETag and commit to HEAD, and none of them to GET.
#
# Of a file of a local git repository (`mirrors-path`), stored in git or by git-lfs, HEAD of resolve/REVISION/FILE
# announces Content-Length, ETag and X-Repo-Commit. GET gives the right bytes chunked and has none of these headers;
# with a Range it gives the whole file, too, as 200. So a client that asks by GET alone can check neither the size nor
# the commit before it reads, and one that continues a download must look at the status and skip what it has.
#
# Seen with olah 0.5.4, fastapi 0.165.0, starlette 1.10.0, uvicorn 0.54.0, GitPython 3.2.1, git 2.39.5 and Python 3.11.7
# on Linux, x86-64, with two files of 108894 bytes:
#     HEAD numbers.txt: 200, content-length, etag, x-repo-commit, 0 bytes
#     GET numbers.txt: 200, transfer-encoding, 108894 bytes
#     GET numbers.txt from byte 100000: 200, transfer-encoding, 108894 bytes
#     HEAD weights.bin: 200, content-length, etag, x-repo-commit, 0 bytes
#     GET weights.bin: 200, transfer-encoding, 108894 bytes
#     GET weights.bin from byte 100000: 200, transfer-encoding, 108894 bytes
# Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    olah==0.5.4 fastapi==0.165.0 starlette==1.10.0 uvicorn==0.54.0 gitpython==3.2.1
cd "$folder"
export HOME=$folder
repository=mirror/models/org/name
git init --quiet --initial-branch=main "$repository"
seq 1 20000 > "$repository/numbers.txt"
sha256=$(sha256sum "$repository/numbers.txt" | cut -d' ' -f1)
object=$repository/.git/lfs/objects/${sha256:0:2}/${sha256:2:2}/$sha256 # as git-lfs keeps it
mkdir -p "${object%/*}"
cp "$repository/numbers.txt" "$object"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %s\n' "$sha256" "$(stat -c %s "$object")" \
    > "$repository/weights.bin"
git -C "$repository" add .
git -C "$repository" -c user.name=name -c user.email=name@localhost commit --quiet --message=Add
venv/bin/python - <<'EOF'
import contextlib
import http.client
import socket
import subprocess
import sys
import time
from pathlib import Path

ASKED = {"content-length", "etag", "x-repo-commit", "transfer-encoding", "content-range", "accept-ranges"}
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
here = Path.cwd()
Path("olah.toml").write_text(
    f'[basic]\nhost = "127.0.0.1"\nport = {port}\nrepos-path = "{here}/cache"\nmirrors-path = ["{here}/mirror"]\n'
    "[accessibility]\noffline = true\n"
)
data = Path("mirror/models/org/name/numbers.txt").read_bytes()


def ask(method, path, **headers):
    """Return the status, what is announced of size, identity and ranges, and the bytes of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, f"/org/name/resolve/main/{path}", headers=headers)
        answer = connection.getresponse()
        return answer.status, sorted(ASKED & {name.lower() for name in answer.headers}), answer.read()


with open("output", "wb") as output:
    command = ["venv/bin/olah-cli", "--config", "olah.toml", "--log-path", "logs"]
    server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
try:
    end = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            if time.monotonic() > end or server.poll() is not None:
                sys.exit(f"olah did not start: {Path('output').read_text()}")
            time.sleep(0.1)
    is_so = True
    for path in ("numbers.txt", "weights.bin"):
        head, get = ask("HEAD", path), ask("GET", path)
        ranged = ask("GET", path, Range="bytes=100000-")
        for what, answer in (("HEAD", head), ("GET", get), ("GET", ranged)):
            where = " from byte 100000" if answer is ranged else ""
            print(f"{what} {path}{where}: {', '.join([str(answer[0]), *answer[1]])}, {len(answer[2])} bytes")
        is_so &= head == (200, ["content-length", "etag", "x-repo-commit"], b"")
        is_so &= get == ranged == (200, ["transfer-encoding"], data)
finally:
    server.terminate()
    server.wait()
sys.exit(not is_so)
EOF

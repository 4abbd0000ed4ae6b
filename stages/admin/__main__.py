"""admin: serve a page that shows what is built, stale and published, and acts on it, on this machine alone.

It prints a link that opens once, for one person; Enter prints another, and so does the page. Ctrl-C ends it, and the
job that runs.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from morphstream.artifact.errors import MorphstreamError
from morphstream.cli.options import Parser, checked, whole_number
from stages.params import load_params
from stages.program import run_program
from stages.workspace import Workspace


def main(workspace: Workspace) -> None:
    """Serve until interrupted."""
    arguments = _arguments()
    try:
        from stages.admin.admin import Admin  # here, as the server's libraries take a while to load
        from stages.admin.server import AdminServer
    except ModuleNotFoundError as error:
        remedy = "run: pip install 'morphstream[live,pipeline]'"
        raise MorphstreamError(f"expected Starlette, uvicorn and Jinja2, seen none ({error}); {remedy}") from error

    load_params(workspace.params)  # refuses a folder that is none of this project's
    admin = Admin(workspace, workers=arguments.worker, hidden=_tokens())
    with AdminServer(admin, host=arguments.host, port=arguments.port, names=arguments.name) as server:

        def print_link() -> None:
            link = server.new_link()
            print(json.dumps({"link": link}) if arguments.json else link, flush=True)

        print_link()
        if sys.stdin.isatty():
            while sys.stdin.readline():
                print_link()
        server.wait()


def _tokens() -> list[str]:
    """Return the Hub's tokens that this machine has, which no page may show."""
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    try:
        login = Path(os.environ.get("HF_TOKEN_PATH") or home / "token").read_text("utf-8", "replace")
    except OSError:
        login = ""
    return [token for text in (os.environ.get("HF_TOKEN", ""), login) if (token := text.strip())]


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m stages.admin", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="name or address to listen on (%(default)s)")
    port = checked(whole_number(0, 65535))
    parser.add_argument("--port", type=port, default=8780, help="port to listen on, 0 for a free one (%(default)s)")
    text = "address of a running worker's health server, to show it; repeatable"
    parser.add_argument("--worker", action="append", default=[], metavar="URL", help=text)
    text = "a further host name of this page, as behind a proxy; repeatable"
    parser.add_argument("--name", action="append", default=[], help=text)
    parser.add_argument("--json", action="store_true", help="print each link as an object")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main, is_timed=False, prints_json=True)

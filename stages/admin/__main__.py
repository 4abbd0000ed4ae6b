"""admin: serve a page that shows what is built, stale and published, and acts on it, on this machine alone.

It prints a link that opens once, for one person; press Enter for another. Ctrl-C ends it, and the job that runs.
"""

import argparse
import asyncio

import uvicorn

from morphstream.cli.options import Parser, checked, whole_number
from morphstream.health.probe import url_of
from stages.admin.admin import Admin
from stages.admin.app import application, running
from stages.program import run_program
from stages.workspace import Workspace


def main(workspace: Workspace) -> None:
    """Serve until interrupted."""
    asyncio.run(_serve(workspace, _arguments()))


async def _serve(workspace: Workspace, arguments: argparse.Namespace) -> None:
    admin = Admin(workspace, workers=arguments.worker)
    app = application(admin, names=(arguments.host, *arguments.name), port=arguments.port)
    config = uvicorn.Config(app, host=arguments.host, port=arguments.port, log_level="error", lifespan="off")
    async with running(admin):
        url = url_of(arguments.host, arguments.port)
        print(f"{url}/login?secret={admin.sessions.new_link()}", flush=True)
        await uvicorn.Server(config).serve()


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m stages.admin", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    port = checked(whole_number(0, 65535))
    parser.add_argument("--port", type=port, default=8780, help="port to listen on, 0 for a free one (%(default)s)")
    parser.add_argument(
        "--worker", action="append", default=[], metavar="URL", help="a running worker to show; repeatable"
    )
    parser.add_argument(
        "--name", action="append", default=[], help="a further host name of this page, as behind a proxy; repeatable"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main, is_timed=False)

"""What all pages of the admin page share."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from stages.admin.access import Sessions, session_of
from stages.admin.events import Events
from stages.admin.job import Job
from stages.admin.jobs import Jobs
from stages.admin.state import State
from stages.workspace import Workspace

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the page's navigation: where it leads, and its words."""

    path: str
    words: str


NAVIGATION = (
    Link("/", "Models and targets"),
    Link("/publish", "Publish"),
    Link("/deploy", "Deploy"),
    Link("/models", "Add a model"),
    Link("/history", "History"),
    Link("/workers", "Workers"),
)


class Admin:
    """Everything that pages show and change; for one event loop.

    Attributes:
        workspace: What they are about.
        workers: Addresses of running workers, as they were given.
        sessions: Who is there.
        events: Sent to all open pages.
        jobs: Run on the workspace.
        state: What is known of it.
        environment: Jinja's, with the templates.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        workers: Sequence[str] = (),
        hidden: Sequence[str] = (),
        interpreter: Sequence[str] = (sys.executable,),
        sessions: Sessions | None = None,
    ) -> None:
        """Begin; `stages.admin.app` runs what goes on.

        Args:
            workspace: What the pages are about.
            workers: Addresses of running workers.
            hidden: Texts that no page may show, such as the Hub's token.
            interpreter: What runs the pipeline's commands.
            sessions: Of who is there; None for new ones.
        """
        self.workspace, self.workers = workspace, tuple(workers)
        self.sessions, self.events, self._newest = sessions or Sessions(), Events(), 0
        self.jobs = Jobs(
            workspace.root, interpreter=interpreter, changed=self._changed, logged=self._logged, hidden=hidden
        )
        self.state = State(workspace, interpreter, lambda: any(not job.is_ended for job in self.jobs.all()))
        self.state.changed.append(lambda: self.events.publish("matrix", replaces="matrix"))
        self.jobs.ended.append(lambda _: self.state.look_again())
        self.environment = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    def render(
        self, request: Request, name: str, context: Mapping[str, object] | None = None, *, status: int = 200
    ) -> HTMLResponse:
        """Return a page or fragment.

        Beside the context, templates have ``session`` (None for who is none), ``path``, ``is_fragment`` (whether htmx
        asks), ``navigation``, ``event_number`` and ``workspace``.

        Args:
            request: What it answers.
            name: Of the template, such as ``matrix.html.jinja``.
            context: What it shows.
            status: Of the answer.
        """
        shown = {
            "session": request.scope["state"].get("session"),
            "path": request.url.path,
            "is_fragment": is_fragment(request),
            "navigation": NAVIGATION,
            "event_number": self.events.number,
            "workspace": self.workspace.root.resolve(),
            **(context or {}),
        }
        return HTMLResponse(self.environment.get_template(name).render(shown), status)

    def refuse(self, request: Request, status: int, line: str) -> HTMLResponse:
        """Return a refusal in one line: a fragment where htmx asks, else a page."""
        name = "refusal.html.jinja" if is_fragment(request) else "error.html.jinja"
        return self.render(request, name, {"line": line, "status": status}, status=status)

    def start(self, request: Request, title: str, command: Sequence[str], *, subject: Sequence[object] = ()) -> Job:
        """Start a job for who asks; see `Jobs.start`."""
        return self.jobs.start(title, command, who=session_of(request).name, subject=subject)

    def answer(self, request: Request, job: Job, path: str) -> Response:
        """Return the card of a job that was started where htmx asks, else a redirection to the page that shows it."""
        if is_fragment(request):
            return self.render(request, "job.html.jinja", {"job": job})
        return RedirectResponse(path, 303)

    def _changed(self, job: Job) -> None:
        is_new, self._newest = job.number > self._newest, max(job.number, self._newest)
        html = self.environment.get_template(f"job{'_card' * is_new}.html.jinja").render(job=job)
        if is_new:
            self.events.publish("new-job", html)
        else:
            self.events.publish(f"job-{job.number}", html, replaces=f"job-{job.number}")
        self.events.publish("jobs", replaces="jobs")

    def _logged(self, job: Job, line: str) -> None:
        html = self.environment.get_template("log_line.html.jinja").render(line=line)
        self.events.publish(f"log-{job.number}", html)


def is_fragment(request: Request) -> bool:
    """Return whether htmx asks, and not a browser for a whole page."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-boosted") != "true"

"""The matrix of models and targets, and what rebuilds its cells."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from morphstream.artifact.digest import Digest
from morphstream.artifact.errors import MorphstreamError
from stages.admin.access import Form, form_of
from stages.admin.admin import Admin, is_fragment
from stages.admin.job import Job
from stages.admin.matrix import Cell, Matrix
from stages.admin.reading import engine_of
from stages.exclusive import engine_folder
from stages.params import load_params

_REBUILD = ("-m", "stages.farm", "rebuild", "--json")
_MOST_NAMED = 3  # cells, in a job's title


def routes(admin: Admin) -> list[Route]:
    """Return the routes."""
    before: dict[int, Mapping[str, Mapping[str, Digest]]] = {}  # the engines' files by job, from its start to its end

    async def show(request: Request) -> Response:
        context = {"matrix": with_jobs(admin), "jobs": admin.jobs.all()}
        return admin.render(request, "matrix.html.jinja", context)

    async def rebuild(request: Request) -> Response:
        form = form_of(request)
        cells = chosen(admin.state.matrix, form)
        force = ["--force"] if form.get("force", [""])[0] else []
        title = f"{'Recompile' if force else 'Rebuild'} {_words(cells, admin.state.matrix)}"
        engines = [word for cell in cells for word in ("--engine", cell.name)]
        job = admin.start(request, title, [*_REBUILD, *engines, *force], subject=[cell.name for cell in cells])
        admin.events.publish("matrix", replaces="matrix")
        return admin.answer(request, job, f"/jobs/{job.number}")

    async def look_again(request: Request) -> Response:
        admin.state.look_again()
        return Response(status_code=204) if is_fragment(request) else RedirectResponse("/", 303)

    def note_start(job: Job) -> None:
        if job.command[: len(_REBUILD)] == _REBUILD:
            before[job.number] = _files(admin, job)

    def note_end(job: Job) -> None:
        if job.number in before:
            job.results = tuple(_differences(before.pop(job.number), _files(admin, job)))

    admin.jobs.started.append(note_start)
    admin.jobs.ended.append(note_end)
    admin.jobs.ended.append(lambda _: admin.events.publish("matrix", replaces="matrix"))
    return [
        Route("/", show),
        Route("/rebuild", rebuild, methods=["POST"]),
        Route("/look-again", look_again, methods=["POST"]),
    ]


def chosen(matrix: Matrix, form: Form) -> list[Cell]:
    """Return the cells that a form names: single ones, and those of groups and models, for targets if these are named.

    Raises:
        MorphstreamError: It names none, or one that isn't there.
    """
    cells, named = matrix.cells, {name: form.get(name, []) for name in ("cell", "group", "model", "target")}
    known = {
        "cell": set(cells),
        "group": set(matrix.groups),
        "model": {row.model for row in matrix.rows},
        "target": {column.target for column in matrix.columns},
    }
    for what, names in named.items():
        if unknown := [name for name in names if name not in known[what]]:
            raise MorphstreamError(
                f"rebuild: expected a {what} of the matrix, seen {unknown[0]!r}; load the page again"
            )
    has_rows = bool(named["group"] or named["model"])
    found = [
        cell
        for cell in cells.values()
        if cell.name in named["cell"]
        or (
            (cell.group in named["group"] or cell.model in named["model"] or (named["target"] and not has_rows))
            and cell.target in (named["target"] or known["target"])
        )
    ]
    if not found:
        raise MorphstreamError("rebuild: expected a cell, a group, a model or a target, seen none; select some")
    return found


def with_jobs(admin: Admin) -> Matrix:
    """Return the newest matrix, with the jobs that wait or run for its cells."""
    jobs = reversed([job for job in admin.jobs.all() if not job.is_ended])  # the oldest of a cell's jobs is next
    numbers: dict[str, int] = {}
    for job in jobs:
        for name in job.subject:
            numbers.setdefault(str(name), job.number)
    return admin.state.matrix.with_jobs(numbers)


def _words(cells: list[Cell], matrix: Matrix) -> str:
    """Return what cells are, in a few words: whole groups by name, else the cells, or how many."""
    names = {cell.name for cell in cells}
    of_groups = {group: {cell.name for row in rows for cell in row.cells} for group, rows in matrix.groups.items()}
    whole = [group for group, members in of_groups.items() if members <= names]
    if whole and names == set().union(*(of_groups[group] for group in whole)):
        return "everything" if len(whole) == len(of_groups) else ", ".join(whole)
    shown = ", ".join(f"{cell.model} for {cell.target}" for cell in cells[:_MOST_NAMED])
    return shown if len(cells) <= _MOST_NAMED else f"{len(cells)} engines"


def _files(admin: Admin, job: Job) -> dict[str, Mapping[str, Digest]]:
    """Return the digest of each file of the engines that a job is about, by cell; none where params can't be read."""
    found: dict[str, Mapping[str, Digest]] = {}
    try:
        params = load_params(admin.workspace.params)
    except (MorphstreamError, OSError):
        return found
    for name in map(str, job.subject):
        target, _, model = name.partition("/")
        if target in params.builds and model in params.models:
            found[name], _ = engine_of(engine_folder(admin.workspace, params.build(target).target, model))
    return found


def _differences(before: Mapping[str, Mapping[str, Digest]], after: Mapping[str, Mapping[str, Digest]]) -> list[str]:
    """Return a line for each file that engines have now: its digest, and whether that is another than before."""
    return [
        f"{cell}: {name}: sha256 {digest.sha256} ({'as before' if digest in before.get(cell, {}).values() else 'new'})"
        for cell, files in after.items()
        for name, digest in files.items()
    ]

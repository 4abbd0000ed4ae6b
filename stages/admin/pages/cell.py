"""A cell of the matrix: all that is known of a model's engine for a target."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from morphstream.artifact.errors import MorphstreamError
from stages.admin.admin import Admin
from stages.admin.pages.matrix import with_jobs


def routes(admin: Admin) -> list[Route]:
    """Return the routes."""

    async def show(request: Request) -> Response:
        name = f"{request.path_params['target']}/{request.path_params['model']}"
        matrix = with_jobs(admin)
        if (cell := matrix.cells.get(name)) is None:
            raise MorphstreamError(f"cell: expected one of the matrix, seen {name!r}; load the page again")
        row = next(row for row in matrix.rows if row.model == cell.model)
        column = next(column for column in matrix.columns if column.target == cell.target)
        return admin.render(request, "cell.html.jinja", {"cell": cell, "row": row, "column": column})

    return [Route("/cells/{target}/{model}", show)]

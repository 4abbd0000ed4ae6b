"""The order of the site's pages: sections of pages, by patterns of their names."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

_SECTIONS: dict[str, tuple[str, ...]] = {
    "Start": ("index.md", "tutorial.md"),
    "Swap faces": ("pictures.md", "videos.md", "faces.md", "live.md", "python.md", "worker.md", "marks.md"),
    "Run it": ("operation.md", "gpu.md", "threat-model.md"),
    "Build and publish": (
        *("pipeline.md", "targets.md", "checks.md", "publish.md", "signing.md", "provenance.md", "admin.md"),
    ),
    "How to": ("how-to/index.md", "how-to/*"),
    "Models": ("models.md", "models/*"),
    "Reference": (
        *("command-line.md", "reference/morphstream.md", "reference/stages.md", "reference/python-*"),
        *("reference/params.md", "reference/manifests.md", "reference/*"),
    ),
    "The project": ("contributing.md", "releasing.md", "changelog.md", "adr/index.md"),
}
_UNLISTED = ("source/*", "adr/[0-9]*")  # reached by links alone, as from the list of ADRs


def sections_of(pages: Iterable[str]) -> dict[str, list[str]]:
    """Return the pages of each section that has any; the last one has those that no pattern names, too."""
    left = sorted(page for page in pages if not any(fnmatchcase(page, unlisted) for unlisted in _UNLISTED))
    sections = dict[str, list[str]]()
    for title, patterns in _SECTIONS.items():
        for pattern in patterns:
            sections.setdefault(title, []).extend(page for page in left if fnmatchcase(page, pattern))
            left = [page for page in left if not fnmatchcase(page, pattern)]
    sections[title] += left
    return {title: mine for title, mine in sections.items() if mine}

"""Gather the pages of the site: those that people write, those that are generated, and the files that they link to.

A page of Markdown links to others by their paths in the project, as a viewer of the project shows them. Here each
link is turned to where that page is on the site; a file that is no page, such as a script, gets a page that shows it.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from stages.files import write_whole
from stages.params import load_params
from website.commands import command_pages
from website.markdown import fence
from website.models import model_pages
from website.python_api import python_pages
from website.schemas import schema_pages

_BESIDE = {  # pages that aren't in docs/, and what they are called on the site
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "manifests/README.md": "reference/manifests.md",
}
_FOLDERS = {"adr": "Why things are as they are", "how-to": "How to"}  # of docs/, and the titles of their lists
_PICTURES = (".gif", ".jpg", ".png", ".svg", ".webp")
_LANGUAGES = {".py": "python", ".sh": "sh", ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml"}
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_FENCE = re.compile(r"^ *(```|~~~)")


class LinkError(Exception):
    """A page links to what isn't there, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Pages by their names on the site, and files that are copied as they are."""

    root: Path
    pages: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)


def gather(root: Path) -> Site:
    """Return the pages of the site.

    Args:
        root: The project's folder.

    Raises:
        LinkError: A page links to a file that isn't there.
    """
    site, written = Site(root=root), dict(_written(root))
    folders = [folder for folder in _FOLDERS if (root / "docs" / folder).is_dir()]
    names = written | {f"docs/{folder}": f"{folder}/index.md" for folder in folders}
    for path, name in written.items():
        site.pages[name] = _relinked(site, (root / path).read_text("utf-8"), path, names)
    site.pages.update({f"{folder}/index.md": _index(folder, site.pages) for folder in folders})
    site.pages.update(_generated(root))
    return site


def write_site(site: Site, folder: Path) -> None:
    """Write pages and files into a folder."""
    for name, text in site.pages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, text.encode())
    for name, path in site.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, path.read_bytes())


def _written(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the path of each page that people wrote, and its name on the site."""
    yield from _BESIDE.items()
    for path in sorted((root / "docs").rglob("*.md")):
        yield path.relative_to(root).as_posix(), path.relative_to(root / "docs").as_posix()


def _generated(root: Path) -> Iterator[tuple[str, str]]:
    params = root / "params.yaml"
    yield from command_pages(root)
    yield from schema_pages(root / "manifests/schema")
    yield from model_pages(load_params(params), root / "docs", root / "website/models.yaml")
    yield from python_pages()
    first = (
        "Every choice that changes what is published, with a comment at each. `python -m stages.prune` after a change."
    )
    yield "reference/params.md", f"# params.yaml\n\n{first}\n\n{fence(params.read_text('utf-8'), 'yaml')}"


def _relinked(site: Site, text: str, path: str, names: Mapping[str, str]) -> str:
    """Return a page whose links lead to pages of the site."""

    def turned(found: re.Match[str]) -> str:
        target, anchor = found[2], found[3] or ""
        if re.match(r"[a-z]+:", target):
            return found[0]
        linked = os.path.normpath(PurePosixPath(path).parent / target)
        to = names.get(linked) or _shown(site, linked, path)
        return f"{found[1]}{os.path.relpath(to, PurePosixPath(names[path]).parent)}{anchor}{found[4]}"

    lines, fenced = text.splitlines(), ""
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if mark and (not fenced or mark[1] == fenced):
            fenced = "" if fenced else mark[1]
        elif not fenced:
            lines[number] = _LINK.sub(turned, line)
    return "\n".join(lines) + "\n"


def _shown(site: Site, linked: str, path: str) -> str:
    """Return the name that a file which is no page has on the site: a picture as it is, another on a page."""
    source = site.root / linked
    if source.suffix in _PICTURES and source.is_file():
        site.files[linked.removeprefix("docs/")] = source
        return linked.removeprefix("docs/")
    if source.is_dir():
        files = [file for file in sorted(source.iterdir()) if file.is_file()]
        text = "\n".join(f"## {file.name}\n\n{_code(file)}" for file in files)
    elif source.is_file():
        text = _code(source)
    else:
        raise LinkError(f"{path}: expected a link to a file of the project, seen {linked}, which isn't there")
    site.pages[f"source/{linked}.md"] = f"# {linked}\n\n{text}"
    return f"source/{linked}.md"


def _index(folder: str, pages: Mapping[str, str]) -> str:
    """Return a page that lists the pages of a folder by their titles."""
    names = [name for name in pages if name.startswith(f"{folder}/")]
    lines = [f"* [{title_of(pages[name])}]({name.removeprefix(f'{folder}/')})" for name in names]
    return f"# {_FOLDERS[folder]}\n\n" + "\n".join(lines) + "\n"


def title_of(text: str) -> str:
    """Return the title of a page, its first heading."""
    return next(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))


def _code(path: Path) -> str:
    return fence(
        path.read_text("utf-8"), _LANGUAGES.get(path.suffix, "dockerfile" if "Dockerfile" in path.name else "")
    )

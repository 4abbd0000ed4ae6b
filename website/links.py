"""Check a built site: every link leads to a page and an anchor that are there, and nothing is asked of another host."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"script": "src", "img": "src", "source": "src", "video": "src", "audio": "src", "iframe": "src"}
_LOADED_RELATIONS = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "dns-prefetch", "manifest"}


@dataclass(slots=True)
class _Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element names."""
        given = {key: value or "" for key, value in attrs}
        self.anchors.update(given[key] for key in ("id", "name") if key in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in _LOADED and given.get(_LOADED[tag]):
            self.loaded.append(given[_LOADED[tag]])
        if tag == "link" and _LOADED_RELATIONS & set(given.get("rel", "").split()):
            self.loaded.append(given.get("href", ""))


def broken_links(site: Path) -> Iterator[str]:
    """Yield a line for each link to what isn't there, and for each thing that a page loads of another host."""
    pages = {path: _read(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        where = path.relative_to(site)
        yield from (f"{where}: loads {url} of another host" for url in page.loaded if urlsplit(url).netloc)
        for url in page.links + page.loaded:
            if not _is_outside(url) and (fault := _fault(url, path, site, pages)):
                yield f"{where}: {url}: {fault}"


def outside_links(site: Path) -> list[str]:
    """Return the addresses outside the site that its pages link to; nobody asks whether they are there."""
    return sorted({url for path in site.rglob("*.html") for url in _read(path).links if _is_outside(url)})


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text("utf-8"))
    page.close()
    return page


def _is_outside(url: str) -> bool:
    return bool(urlsplit(url).scheme)


def _fault(url: str, path: Path, site: Path, pages: dict[Path, _Page]) -> str:
    """Return what is wrong with a link of a page, from the site's root where it begins with a slash; else empty."""
    parts = urlsplit(url)
    folder, to = (site, parts.path.lstrip("/")) if parts.path.startswith("/") else (path.parent, parts.path)
    target = (folder / unquote(to)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return "there is no such file"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return "there is no such anchor"
    return ""

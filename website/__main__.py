"""Make the site of the documentation: gather and generate its pages, build it, and check every link in it."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from morphstream.artifact.staged import scratch_folder
from website.links import broken_links, outside_links
from website.navigation import sections_of
from website.pages import LinkError, gather, write_site

ROOT = Path(__file__).parents[1]
_HERE = Path(__file__).parent
_SHIM = "https://unpkg.com/iframe-worker/shim"  # what search needs where the site is opened from a disk


def main() -> int:
    """Make the site; return 0 where it is made and whole, 1 where it isn't."""
    parser = argparse.ArgumentParser(prog="python -m website", description=__doc__)
    default = ROOT / "build/site"
    parser.add_argument("--output", type=Path, default=default, help="the folder, replaced whole (build/site)")
    output = parser.parse_args().output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(output) as folder:
        try:
            site = gather(ROOT)
        except LinkError as error:
            return refuse(str(error))
        write_site(site, folder / "docs")
        (folder / "docs/assets").mkdir()
        shutil.copy(_HERE / "static/site.css", folder / "docs/assets")
        (folder / "zensical.toml").write_text(_settings(sections_of(site.pages)), "utf-8")
        if refused := _build(folder):
            return refuse(refused)
        faults = list(broken_links(folder / "site"))
        if faults:
            return refuse("\n".join(faults))
        outside = outside_links(folder / "site")
        shutil.rmtree(output, ignore_errors=True)
        (folder / "site").rename(output)
    print(f"{len(site.pages)} pages, no dead link; {len(outside)} addresses outside, which nobody has asked:")
    print(*(f"  {url}" for url in outside), sep="\n")
    print(f"open {output / 'index.html'}")
    return 0


def refuse(text: str) -> int:
    """Print why there is no site, and return the exit status."""
    print(f"website: {text}", file=sys.stderr)
    return 1


def _settings(sections: dict[str, list[str]]) -> str:
    """Return the settings of the site, with its navigation."""
    parts = (f"{{ {json.dumps(title)} = {json.dumps(pages)} }}" for title, pages in sections.items())
    navigation = ",\n".join(f"  {part}" for part in parts)
    return (
        (_HERE / "zensical.toml")
        .read_text("utf-8")
        .replace("nav = []", f"nav = [\n{navigation}\n]")
        .replace("@RUNTIME@", str(ROOT / "runtime"))
    )


def _build(folder: Path) -> str:
    """Build the site in a folder; return what was wrong, empty for nothing."""
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"expected zensical to build the site, seen:\n{done.stdout}{done.stderr}"
    scripts = folder / "site/assets/javascripts"
    shutil.copy(_HERE / "static/iframe-worker.js", scripts)
    for path in (folder / "site").rglob("*.html"):
        depth = len(path.relative_to(folder / "site").parts) - 1
        own = "../" * depth + "assets/javascripts/iframe-worker.js"
        path.write_text(path.read_text("utf-8").replace(_SHIM, own), "utf-8")
    return ""


if __name__ == "__main__":
    sys.exit(main())

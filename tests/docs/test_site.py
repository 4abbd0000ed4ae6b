"""The pages of the site: all that people wrote and all that is generated, each link turned to where its page is."""

import json
import re
import subprocess
import tarfile
from pathlib import Path
from shutil import which

import pytest

import morphstream
from tests.stages import PARAMS, ROOT
from website.links import broken_links, outside_links
from website.markdown import plain, table
from website.models import prepared_contract
from website.navigation import sections_of
from website.pages import LinkError, Site, gather


@pytest.fixture(scope="module")
def site() -> Site:
    """Gather the pages."""
    return gather(ROOT)


def test_every_page_is_in_the_navigation_once_and_files_that_are_only_linked_to_are_not(site: Site) -> None:
    listed = [page for pages in sections_of(site.pages).values() for page in pages]
    assert sorted(listed) == sorted(page for page in site.pages if not page.startswith(("source/", "adr/0")))
    assert listed[0] == "index.md"
    assert "source/container.md" in site.pages


def test_a_link_leads_to_a_page_of_the_site_or_to_the_file_on_a_page_of_its_own(site: Site) -> None:
    assert "](tutorial.md)" in site.pages["index.md"]
    assert "](adr/index.md)" in site.pages["index.md"]
    assert "](source/findings/rtx_plugin_links_itself.sh.md)" in site.pages["gpu.md"]
    assert "rtx" in site.pages["source/findings/rtx_plugin_links_itself.sh.md"]
    assert "](reference/manifests.md)" in site.pages["publish.md"]
    assert site.files["images/swap.jpg"] == ROOT / "docs/images/swap.jpg"


def test_the_readme_is_one_screen_and_its_two_commands_come_first() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 60
    assert re.findall(r"^make \w+", text, re.MULTILINE)[:2] == ["make demo", "make test"]


def test_a_link_to_what_is_not_there_is_refused(tmp_path: Path) -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "manifests/README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("# A page\n\n```sh\n[no link](here)\n```\n", "utf-8")
    (tmp_path / "README.md").write_text("# A page\n\n[a link](docs/gone.md)\n", "utf-8")
    with pytest.raises(LinkError, match=r"README\.md: expected a link to a file of the project, seen docs/gone\.md"):
        gather(tmp_path)


def test_each_command_option_schema_and_public_name_has_a_place_in_the_reference(site: Site) -> None:
    commands = site.pages["reference/morphstream.md"]
    assert "## morphstream swap" in commands
    assert re.search(r"^\| `--swap-model SWAP_MODEL` \| such as hyperswap\\_1a\\_256", commands, re.MULTILINE)
    assert "## python -m stages.farm rebuild" in site.pages["reference/stages.md"]
    assert "| `cache_key` |" in site.pages["reference/engine-manifest.md"]
    python = "".join(text for name, text in site.pages.items() if name.startswith("reference/python-"))
    assert [name for name in morphstream.__all__ if f"`morphstream.{name}`" not in python] == []


def test_each_model_has_a_page_with_its_contract_the_exporters_that_work_and_its_licence(site: Site) -> None:
    licences = (ROOT / "docs/models.md").read_text("utf-8")
    for name, model in PARAMS.models.items():
        page = site.pages[f"models/{name}.md"]
        assert f"| licence of its weights | {plain(model.licence)} |" in page
        assert "| torch, dynamo exporter, opset 18 to 23, one row | yes |" in page
        assert [line for line in licences.splitlines() if name in line and model.licence in line], name
    assert (
        "| ONNX Runtime, basic optimisation | no | take the file from before" in site.pages["models/inswapper_128.md"]
    )


def test_the_contracts_of_the_pages_are_those_of_the_prepared_models(published: Path) -> None:
    for path in sorted(published.glob("prepared/*/contract.json")):
        contract = json.loads(path.read_text("utf-8"))
        shown = [*prepared_contract(PARAMS.model(path.parent.name))]
        for key, names in zip(("inputs", "outputs"), shown, strict=True):
            assert {name: shape_of(text) for name, text in names.items()} == {
                name: (value["dtype"], tuple(value["shape"])) for name, value in contract[key].items()
            }, path


def shape_of(text: str) -> tuple[str, tuple[int, ...]]:
    """Return the type and the shape of a contract's text, -1 for what is open."""
    kind, _, shape = text.partition(" ")
    return kind, tuple(int(size) if size.isdigit() else -1 for size in shape.strip("()").split(", "))


def pages(folder: Path, **texts: str) -> Path:
    """Write pages of a built site."""
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
    return folder


FAULTS = {
    '<a href="gone.html">': "one.html: gone.html: there is no such file",
    '<a href="two.html#gone">': "one.html: two.html#gone: there is no such anchor",
    '<a href="#gone">': "one.html: #gone: there is no such anchor",
    '<img src="gone.png">': "one.html: gone.png: there is no such file",
    '<script src="https://other.example/x.js">': "one.html: loads https://other.example/x.js of another host",
    '<link rel="preconnect" href="//other.example">': "one.html: loads //other.example of another host",
}


@pytest.mark.parametrize(("page", "fault"), FAULTS.items())
def test_a_dead_link_or_another_host_on_a_page_is_named(tmp_path: Path, page: str, fault: str) -> None:
    assert fault in [*broken_links(pages(tmp_path, one=page, two='<h2 id="here">'))]


def test_links_to_what_is_there_are_right_and_those_outside_are_listed(tmp_path: Path) -> None:
    text = '<a href="two.html#here"><a href="/two.html"><a href="https://other.example/page"><a href="mailto:a@b.c">'
    pages(tmp_path, one=text, two='<h2 id="here">')
    assert [*broken_links(tmp_path)] == []
    assert outside_links(tmp_path) == ["https://other.example/page", "mailto:a@b.c"]


def test_what_programs_say_is_shown_as_it_is() -> None:
    assert plain("a|b *c* `d|e` <f>") == "a\\|b \\*c\\* `d|e` \\<f\\>"
    assert table(["a", "b"], [["c", "d"]]) == "| a | b |\n| --- | --- |\n| c | d |\n"


@pytest.mark.network
@pytest.mark.skipif(which("npm") is None, reason="needs npm")
def test_the_script_that_search_needs_is_that_of_its_package(tmp_path: Path) -> None:
    folder = ROOT / "website/static"
    for name, package in json.loads((folder / "packages.json").read_text("utf-8")).items():
        pack = ["npm", "pack", "--json", f"{package['package']}@{package['version']}"]
        done = subprocess.run(pack, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert [packed["integrity"] for packed in json.loads(done.stdout)] == [package["integrity"]]
        with tarfile.open(tmp_path / package["tarball"]) as archive:
            member = archive.extractfile(package["path"])
            assert member is not None
            assert member.read() == (folder / name).read_bytes()

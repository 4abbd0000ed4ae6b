"""An answer that contradicts itself, or leads nowhere, is refused at once; a redirect is followed without the token."""

import pytest

from morphstream.artifact.digest import digest_of, digest_of_file
from morphstream.artifact.errors import FetchError
from morphstream.source.hub import HubSource
from tests.loopback.repository import Repository
from tests.loopback.server import READ_TOKEN, Hub
from tests.source.hub.answering import DATA, NAME, SHA, Answer, answering, at, fetched, ranged, refusal, source_at


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        pytest.param({"Content_Range": "bytes 0-99999/1000003"}, "bytes from 100000, up to 200000 .*0-99", id="start"),
        pytest.param({"Content_Range": "bytes 100000-200001/1000003"}, "bytes from 100000", id="longer"),
        pytest.param({"Content_Range": "bytes 100000-199999/*"}, "bytes from 100000", id="no size"),
        pytest.param({"Content_Range": "bytes 100000-199999/1000004"}, "1000003 bytes .* 1000004", id="another"),
        pytest.param({"Content_Range": "bytes 100000-99999/1000003"}, "bytes from 100000", id="nothing"),
        pytest.param({"Content_Range": ""}, "bytes from 100000, .* seen no range", id="no range"),
        pytest.param({"Content_Length": "100001"}, "100000 bytes, as for bytes 100000-199999", id="a long body"),
        pytest.param({"Content_Length": "99999"}, "100000 bytes, as for bytes 100000-199999", id="a short body"),
        pytest.param({"Transfer_Encoding": "chunked"}, "the size of an answer, seen none", id="no length"),
        pytest.param({"X_Repo_Commit": "f" * 40}, f"commit {SHA}, seen ffff", id="another commit"),
    ],
)  # fmt: skip
def test_an_answer_that_contradicts_itself_is_refused_at_once(headers: dict[str, str], message: str) -> None:
    def answer(_: str, wanted: tuple[int, int] | None) -> Answer:
        return ranged(DATA, wanted, **(headers if wanted and wanted[0] == 100_000 else {}))

    with answering(answer) as server:
        with pytest.raises(FetchError, match=f"expected {message}.*; see HF_ENDPOINT"):
            fetched(at(server))
        assert [byte_range for _, byte_range, _ in server.asked].count("bytes=100000-199999") == 1


def test_an_archive_of_another_size_than_the_hub_says_is_refused(hub: Hub, served: Repository) -> None:
    digest = digest_of_file(next(path for path in served.path.rglob("*") if path.stat().st_size == len(DATA)))
    served.object_path(digest.sha256).write_bytes(DATA + b"more")
    assert "expected 1000003 bytes in all, as announced before, seen 1000007" in refusal(source_at(hub))


def chunked(data: bytes) -> Answer:
    """Answer with all of a file, whose size isn't announced."""
    parts = [data[i : i + 40_000] for i in range(0, len(data), 40_000)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])
    return 200, {"Transfer-Encoding": "chunked"}, body


@pytest.mark.parametrize("start", [0, 50_000])
def test_a_pinned_file_may_come_without_its_size(start: int) -> None:
    with (
        answering(lambda *_: chunked(DATA)) as server,
        at(server).open("a", start=start, digest=digest_of(DATA)) as file,
    ):
        assert file.read() == DATA[start:]


@pytest.mark.parametrize(
    ("data", "message", "asked"),
    [
        pytest.param(DATA + b"!", "expected 1000003 bytes, seen more", 1, id="more"),
        pytest.param(DATA[:-1], "expected 1000003 bytes, seen 1000002", 6, id="less"),
    ],
)
def test_another_size_than_pinned_is_refused_though_none_was_announced(data: bytes, message: str, asked: int) -> None:
    with answering(lambda *_: chunked(data)) as server:
        with at(server).open("a", digest=digest_of(DATA)) as file, pytest.raises(FetchError, match=message):
            file.read()
        assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("location", "message"),
    [
        pytest.param("file:///etc/passwd", "a redirect to an address of http, seen one of file", id="a file"),
        pytest.param("", "a redirect to an address of http, seen one of nothing", id="nothing"),
        pytest.param("http://[::1/x", "a redirect to an address of http, seen one of nothing", id="no address"),
        pytest.param("/again", "5 redirects at most, seen more", id="in circles"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_refused(location: str, message: str) -> None:
    with answering(lambda *_: (302, {"Location": location}, b"")) as server:
        with pytest.raises(FetchError, match=message):
            at(server).read("manifests/archives.json")
        assert len(server.asked) in (1, 6)


def test_redirects_are_followed_and_no_other_host_sees_the_token() -> None:
    with answering(lambda _, wanted: ranged(DATA, wanted)) as other:

        def answer(path: str, _: tuple[int, int] | None) -> Answer:
            target = f"{other.endpoint}/there?signature=x" if path == "/renamed" else "/renamed"
            return 307, {"Location": target}, b""

        with answering(answer) as server:
            assert fetched(at(server, token=READ_TOKEN)) == DATA
            assert at(server, token=READ_TOKEN).read("manifests/a.json") == DATA
            assert {authorization for _, _, authorization in server.asked} == {f"Bearer {READ_TOKEN}"}
            assert {authorization for _, _, authorization in other.asked} == {""}
            assert len(server.asked) == 4  # the address that the first range led to serves the others


def test_a_manifest_is_not_read_beyond_its_bound() -> None:
    most = "expected 67108864 bytes at most, seen more"
    with (
        answering(lambda *_: (200, {"Content-Length": str(1 << 40)}, b"x")) as server,
        pytest.raises(FetchError, match=most),
    ):
        at(server).read("manifests/archives.json")


@pytest.mark.parametrize("body", [b"[]", b"no json", b'{"sha": "main"}', b"\xff", b"[" * 100_000])
def test_a_revision_without_a_commit_is_refused(body: bytes) -> None:
    line = r"^hub org/name@v1: expected its commit, seen an answer without one; see HF_ENDPOINT"
    with answering(lambda *_: (200, {}, body)) as server, pytest.raises(FetchError, match=line):
        HubSource(NAME, "v1", endpoint=server.endpoint).read("manifests/archives.json")

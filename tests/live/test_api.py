"""What a page asks is done or refused in a line, with a status that says whose fault it is."""

import json
import logging
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import cv2
import pytest

from morphstream.face.assign import everyone, wishes_of
from morphstream.live.choices import Person
from morphstream.live.options import PageOptions
from morphstream.live.server import PageServer
from tests.face import identity_of
from tests.live import TOKEN, MirroringWorker, halves
from tests.live.browsing import Answer, ask

pytestmark = pytest.mark.usefixtures("reset")
PICTURE = cv2.imencode(".png", halves(80, 80))[1].tobytes()


WRONG: dict[str, list[object]] = {
    "look": [
        *([], "sharp", None, {"colour": 1}, {"occluder": "none"}, {"feather": "wide"}, {"min_score": None}),
        *({"angles": 5}, {"regions": []}, {"regions": [["skin"]]}, {"regions": "skin"}, {"pixel_boost": 384}),
        *({"pixel_boost": boost} for boost in (128 << 20, float("inf"))),
    ],
    "everyone": [2, "1", True, 1.0, [1]],
    "faces": [[], {"first": 1}, {"-1": 1}, {"7": 5}, {"9" * 5000: None}],
    "is_paused": [1, None, "yes"],
    "swap_model": [1, [], False, "a" * 81],
}


@pytest.fixture
def session(page: PageServer) -> Iterator[str]:
    """The path of an open session."""
    path = f"/api/sessions/{ask(page.port, 'POST', '/api/sessions').json['id']}"
    yield path
    ask(page.port, "DELETE", path)


def add(page: PageServer, session: str, query: str = "name=alice&agreed=1", picture: bytes = PICTURE) -> Answer:
    """Add a person."""
    return ask(page.port, "POST", f"{session}/people?{query}", picture)


def test_the_state_says_what_there_is_to_choose(page: PageServer) -> None:
    state = ask(page.port, "GET", "/api/state").json
    assert state["swap_models"] == [{"name": "mirror", "is_installed": True}, {"name": "other", "is_installed": False}]
    assert (state["swap_model"], state["has_input"], state["visible_mark"]) == ("mirror", True, False)
    assert (state["size"], state["ice_servers"]) == ([640, 480], [])
    assert state["looks"].keys() <= state["look"].keys()
    for name, choices in state["looks"].items():
        assert name == "regions" or state["look"][name] in choices


def test_each_page_begins_with_the_people_of_the_command_line() -> None:
    worker, people = MirroringWorker(), [Person("alice", identity_of([1])), Person("bob", identity_of([0, 1]))]
    with PageServer(worker, PageOptions(port=0, token=TOKEN), people=people) as page:
        state = ask(page.port, "GET", "/api/state").json
        assert (state["people"], state["everyone"]) == (
            [{"person": 1, "name": "alice"}, {"person": 2, "name": "bob"}],
            1,
        )
        session = f"/api/sessions/{ask(page.port, 'POST', '/api/sessions').json['id']}"
        assert worker.stream.wanted == {people[0].identity: [everyone]}
        assert add(page, session).json["person"] == 3
        assert ask(page.port, "DELETE", f"{session}/people/1").status == 200
        assert worker.stream.wanted == {}


def test_a_page_has_a_session_until_it_ends_it(page: PageServer, session: str, worker: MirroringWorker) -> None:
    assert ask(page.port, "POST", f"{session}/alive").status == 200
    assert ask(page.port, "POST", f"{session}/close").status == 200
    assert worker.stream.has_ended
    for method, path in (("POST", "/alive"), ("POST", "/close"), ("DELETE", ""), ("PATCH", ""), ("POST", "/offer")):
        gone = ask(page.port, method, session + path, {})
        assert (gone.status, gone.error[:26]) == (404, "session: expected an open ")


def test_there_are_no_more_sessions_than_may_be(page: PageServer, session: str, worker: MirroringWorker) -> None:
    answers = [ask(page.port, "POST", "/api/sessions") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 503]
    assert answers[2].error.startswith("page: expected 3 open pages at most, seen another;")
    assert [stream.name for stream in worker.streams[-3:]] == ["page-1", "page-2", "page-3"]
    ask(page.port, "DELETE", session)
    answers.append(ask(page.port, "POST", "/api/sessions"))
    assert worker.stream.name == "page-1"
    for answer in (answers[0], answers[1], answers[3]):
        assert ask(page.port, "DELETE", f"/api/sessions/{answer.json['id']}").status == 200


def test_a_worker_that_opens_no_stream_is_heard(page: PageServer, worker: MirroringWorker) -> None:
    worker.most = 0
    answer = ask(page.port, "POST", "/api/sessions")
    assert (answer.status, answer.error) == (503, "worker: expected 0 streams at most, seen another")


def test_a_person_becomes_everyone_and_nobody_else_when_removed(
    page: PageServer, session: str, worker: MirroringWorker
) -> None:
    stream = worker.stream
    assert add(page, session).json == {"person": 1, "name": "alice", "note": ""}
    assert stream.wanted == {}
    assert ask(page.port, "PATCH", session, {"everyone": 1}).status == 200
    assert [rules for _, rules in wishes_of(stream.wanted)] == [[everyone]]
    assert ask(page.port, "DELETE", f"{session}/people/1").status == 200
    assert stream.wanted == {}
    assert ask(page.port, "PATCH", session, {"everyone": 1}).error.startswith("person: expected one of none yet")


def test_a_source_needs_the_word_that_its_person_agreed(
    page: PageServer, session: str, worker: MirroringWorker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "morphstream.live")
    for query in ("name=alice", "name=alice&agreed=0", "name=alice&agreed=yes"):
        refused = add(page, session, query)
        assert (refused.status, refused.error[:32]) == (403, "alice: expected that the person ")
    assert not worker.pipeline.played.asked
    assert caplog.messages == []
    add(page, session)
    (line,) = caplog.messages
    assert line.startswith("alice: the user says that the person agreed")
    assert line.endswith(sha256(PICTURE).hexdigest())


def test_of_several_faces_the_largest_is_taken_and_that_is_said(
    page: PageServer, session: str, worker: MirroringWorker
) -> None:
    worker.pipeline.played.faces = 3
    assert add(page, session).json["note"] == "3 faces are in the picture; the largest was taken"


@pytest.mark.parametrize(
    ("picture", "faces", "line"),
    [
        (PICTURE, 0, "picture: expected a face to identify, seen none"),
        (b"", 1, "picture: expected a picture, seen 0 bytes that are none"),
        (b"text", 1, "picture: expected a picture, seen 4 bytes that are none"),
        (PICTURE[:60], 1, "picture: expected a picture, seen 60 bytes that are no whole one"),
    ],
    ids=["no face", "nothing", "text", "cut off"],
)
def test_a_picture_that_shows_nobody_is_refused(
    page: PageServer, session: str, worker: MirroringWorker, picture: bytes, faces: int, line: str
) -> None:
    worker.pipeline.played.faces = faces
    answer = add(page, session, picture=picture)
    assert answer.status == 409
    assert answer.error.startswith(line)


def test_what_is_too_large_is_refused(page: PageServer, session: str) -> None:
    answer = ask(page.port, "PATCH", session, {"look": {"occluder": "x" * 300_000}})
    assert (answer.status, answer.error[:31]) == (413, "expected 262144 bytes at most, ")


def test_the_look_changes_by_what_is_given(page: PageServer, session: str, worker: MirroringWorker) -> None:
    given = {"look": {"regions": ["skin", "nose"], "restorer": "gfpgan", "pixel_boost": 256}}
    assert ask(page.port, "PATCH", session, given).status == 200
    assert ask(page.port, "PATCH", session, {"look": {"feather": 0.2}}).status == 200
    look = worker.stream.look
    assert (look.regions, look.restorer, look.feather) == (frozenset({"skin", "nose"}), "gfpgan", 0.2)


@pytest.mark.parametrize(
    "given",
    [
        *({name: value} for name, values in WRONG.items() for value in values),
        {"other": 1},
    ],
    ids=json.dumps,
)
def test_a_choice_that_cant_be_is_refused_and_changes_nothing(
    page: PageServer, session: str, worker: MirroringWorker, given: dict[str, object]
) -> None:
    add(page, session)
    stream = worker.stream
    before = (stream.wanted, stream.look, list(stream.switches))
    answer = ask(page.port, "PATCH", session, {"everyone": 1, "swap_model": "other", **given})
    assert answer.status == 422
    assert "expected" in answer.error
    assert (stream.wanted, stream.look, stream.switches) == before


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000], ids=["none", "cut", "list", "bytes", "deep"]
)
def test_what_is_no_object_is_refused(page: PageServer, session: str, body: bytes) -> None:
    assert ask(page.port, "PATCH", session, body).status == 422
    assert ask(page.port, "POST", f"{session}/offer", body).status == 422


def test_what_there_isnt_is_refused_in_a_line(page: PageServer) -> None:
    for method, path in (("GET", "/no"), ("GET", "/../api.py"), ("GET", "/%2e%2e/api.py"), ("PUT", "/api/state")):
        answer = ask(page.port, method, path)
        assert answer.status in (404, 405)
        assert answer.error


def test_the_pages_own_files_are_served(page: PageServer) -> None:
    folder = Path(__file__).parents[2] / "runtime/morphstream/live/page"
    for path in folder.glob("*"):
        answer = ask(page.port, "GET", "/" if path.name == "index.html" else f"/{path.name}")
        assert (answer.status, answer.body) == (200, path.read_bytes())

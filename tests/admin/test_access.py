"""Only who opened a link gets in, once for each link, for a time; only the page itself changes anything."""

from collections.abc import Callable, Mapping

import pytest
from httpx2 import Client

from stages.admin.access import IDLE_S, LONGEST_S
from stages.admin.server import AdminServer
from tests.admin.browsing import Browser
from tests.admin.conftest import Clock


def test_a_link_opens_once_and_sets_a_cookie_that_scripts_and_other_sites_have_not(server: AdminServer) -> None:
    link = server.new_link()
    with Client(base_url=server.url) as one, Client(base_url=server.url) as other:
        answer = one.get(link)
        assert (answer.status_code, "/login" in answer.text) == (200, False)
        attributes = answer.headers["set-cookie"].lower().split("; ")[1:]
        assert {"httponly", "samesite=strict", "path=/"} == set(attributes)
        assert one.get("/").status_code == 200
        again = other.get(link)
        assert again.status_code == 401
        assert "expected a link that wasn&#39;t opened yet" in again.text
        assert other.get("/").status_code == 401


def test_nobody_gets_in_or_changes_anything_without_a_session(server: AdminServer) -> None:
    paths = ("/", "/events", "/jobs", "/login", "/login?secret=", "/login?secret=%ff", "/none")
    with Client(base_url=server.url, headers={"Origin": server.url}) as client:
        for cookie in ("", f"morphstream-admin-{server.port}=guessed"):
            for path in paths:
                answer = client.get(path, headers={"Cookie": cookie})
                assert answer.status_code == 401
                assert "press Enter where the page was started" in answer.text
            assert client.post("/rebuild", data={"group": "masks"}, headers={"Cookie": cookie}).status_code == 401
            assert client.delete("/jobs/1", headers={"Cookie": cookie}).status_code == 401


def test_a_request_is_for_an_address_or_a_name_of_the_page(browser: Browser) -> None:
    for host in ("localhost:1", "127.0.0.1", "192.0.2.7:80", "[::1]:80", "ADMIN.test:443"):
        assert browser.get("/jobs", Host=host).status_code == 200, host
    for host in ("other.test", "admin.test.other.test", "localhost.other.test", "["):
        assert browser.get("/jobs", Host=host).status_code in (400, 421), host


def test_a_change_comes_from_the_page_s_own_origin(browser: Browser) -> None:
    assert browser.post("/look-again").status_code == 204
    for origin in ("", "null", "http://other.test", "http://localhost", "https://127.0.0.1"):
        answer = browser.post("/look-again", Origin=origin)
        assert answer.status_code == 403
        assert "seen another origin" in answer.text


def test_a_change_has_the_session_s_own_token_as_header_or_field(visit: Callable[[], Browser]) -> None:
    one, other = visit(), visit()
    for token in ("", other.csrf, one.csrf[:-1]):
        answer = one.post("/look-again", X_CSRF_Token=token)
        assert answer.status_code == 403
        assert 'role="alert"' in answer.text
    assert one.post("/look-again", {"csrf": one.csrf}, X_CSRF_Token="").status_code == 204


def test_a_form_that_is_too_large_is_refused(browser: Browser) -> None:
    assert browser.post("/look-again", {"cell": "x" * 70_000}).status_code == 413
    assert browser.post("/look-again", {"cell": ["x"] * 3000}).status_code == 413


@pytest.mark.parametrize("after_s", [IDLE_S, LONGEST_S])
def test_a_session_ends_when_nothing_is_asked_and_after_a_day_s_work(
    browser: Browser, clock: Clock, after_s: float
) -> None:
    end_s = clock.now_s + after_s
    while after_s == LONGEST_S and clock.now_s + IDLE_S < end_s:
        clock.now_s += IDLE_S - 1
        assert browser.get("/jobs").status_code == 200
    clock.now_s = end_s + 1
    answer = browser.get("/jobs")
    assert answer.status_code == 401
    assert "seen none, or one that has ended" in answer.text


def test_a_page_that_is_open_alone_keeps_no_session(browser: Browser, clock: Clock) -> None:
    clock.now_s += IDLE_S - 1
    with browser.events() as events:
        assert next(events) == "retry: 1000"
        clock.now_s += 2
        assert browser.get("/events").status_code == 401


def test_too_many_wrong_links_are_refused_for_a_minute_and_then_a_right_one_opens(
    server: AdminServer, browser: Browser, clock: Clock
) -> None:
    link = server.new_link()
    with Client(base_url=server.url) as client:
        codes = [client.get("/login?secret=wrong").status_code for _ in range(11)]
        assert codes == [401] * 10 + [429]
        limited = client.get(link)
        assert (limited.status_code, limited.headers["retry-after"]) == (429, "60")
        assert browser.get("/").status_code == 200
        clock.now_s += 61
        assert client.get(link).status_code == 200


def test_a_link_that_lay_about_too_long_opens_nothing(server: AdminServer, clock: Clock) -> None:
    link = server.new_link()
    clock.now_s += 3601
    with Client(base_url=server.url) as client:
        assert client.get(link).status_code == 401


def test_every_answer_has_the_headers_of_a_safe_page(browser: Browser) -> None:
    for path in ("/", "/none", "/events", "/static/vendor/htmx.min.js", "/static/none", "/login?secret=no"):
        with browser.client.stream("GET", path) as answer:
            check_headers(answer.headers)


def check_headers(headers: Mapping[str, str]) -> None:
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert (policy["frame-ancestors"], policy["form-action"]) == ("'none'", "'self'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_no_page_has_a_script_or_style_inside(browser: Browser) -> None:
    for path in ("/", "/jobs", "/none"):
        text = browser.get(path).text
        assert not [tag for tag in ("<style", "style=", "onclick=", "hx-on", "javascript:") if tag in text]
        assert text.count("<script") == text.count("<script src=")


def test_who_is_there_makes_a_link_for_somebody_else_takes_a_name_and_leaves(
    server: AdminServer, visit: Callable[[], Browser]
) -> None:
    one = visit()
    answer = one.post("/links")
    link = server.url + answer.text.partition(server.url)[2].partition("<")[0]
    with Browser(server.url) as other:
        assert other.opened(link).csrf != one.csrf
    assert one.post("/name", {"name": "x" * 41}).status_code == 409
    assert one.post("/name", {"name": "Ada"}).status_code == 303
    one.post("/rebuild", {"group": "masks"})
    assert "Ada" in visit().get("/jobs").text
    assert one.post("/leave").status_code == 303
    assert one.get("/").status_code == 401

"""The matrix has every model and target, says what is stale and why, and rebuilds what is chosen of it."""

from collections.abc import Mapping

import pytest

from morphstream.artifact.errors import MorphstreamError
from stages.admin.matrix import Matrix, reasons_of_cell
from stages.admin.pages.matrix import chosen
from stages.admin.reading import read_matrix
from stages.admin.server import AdminServer
from stages.exclusive import seconds_file
from stages.files import write_json
from stages.made import record_made_of
from stages.workspace import Workspace
from tests.admin import MODELS, TARGETS, commands, until, write_engine, write_plan, write_rebuild
from tests.admin.browsing import Browser
from tests.stages import document

ALTERED = "build/engines/xseg_1 was altered"


def states(matrix: Matrix) -> dict[str, str]:
    """Return the state of each cell that isn't missing."""
    return {name: cell.state for name, cell in matrix.cells.items() if cell.state != "missing"}


def test_a_cell_is_built_stale_with_the_reason_or_missing(workspace: Workspace) -> None:
    for target in TARGETS:
        write_engine(workspace, target, "xseg_1")
    write_engine(workspace, "cpu", "fan_68_5")
    stale = {"engines@xseg_1": ["rtx-sm89: toolchain: onnxruntime 1 -> 2"], "engines@xseg_2": ["never built"]}
    matrix = read_matrix(workspace, stale | {"pack@cpu": ["engines@xseg_2 is stale"], "declare": ["x changed"]})
    assert states(matrix) == {"cpu/xseg_1": "built", "rtx-sm89/xseg_1": "stale", "cpu/fan_68_5": "built"}
    assert matrix.cells["rtx-sm89/xseg_1"].why == ("toolchain: onnxruntime 1 -> 2",)
    assert matrix.cells["cpu/xseg_2"].why == ("never built",)
    assert [(column.target, column.why) for column in matrix.columns] == [
        ("cpu", ("engines@xseg_2 is stale",)),
        ("rtx-sm89", ()),
    ]
    assert matrix.stale == {"declare": ("x changed",)}
    assert [(group, [row.model for row in rows]) for group, rows in matrix.groups.items()] == [
        ("core", ["fan_68_5"]),
        ("masks", ["xseg_1", "xseg_2"]),
    ]


def test_of_a_stage_of_several_engines_the_one_that_was_altered_is_stale(workspace: Workspace) -> None:
    for target in TARGETS:
        write_engine(workspace, target, "xseg_1")
        record_made_of(workspace.engines / "xseg_1" / target, {})
    (workspace.engines / "xseg_1/cpu/engine").write_bytes(b"altered")
    matrix = read_matrix(workspace, {"engines@xseg_1": [ALTERED]})
    assert states(matrix) == {"cpu/xseg_1": "stale", "rtx-sm89/xseg_1": "built"}


def test_a_reason_of_one_target_is_no_other_s() -> None:
    why = ["cpu: is new", "prepare: its source changed", "rtx-sm89: params: archs [] -> [1]"]
    assert reasons_of_cell(why, "cpu", TARGETS) == ["is new", "prepare: its source changed"]


def test_a_cell_has_digests_parity_and_build_time_and_says_that_it_was_never_executed(workspace: Workspace) -> None:
    write_engine(workspace, "cpu", "xseg_1", b"one")
    write_json(seconds_file(workspace, "cpu", "xseg_1"), {"seconds": 1.5})
    verdict = {"prepared": {"psnr_db": 50}, "cpu": {"executed": True, "psnr_db": 45}, "rtx-sm89": {"executed": False}}
    write_json(workspace.checked / "xseg_1.json", verdict)
    reason = {"executed": False, "reason": "no GPU: none"}
    write_json(workspace.measured / "check/xseg_1.json", {"rtx-sm89": reason})
    cells = read_matrix(workspace, None).cells
    cpu, rtx, other = cells["cpu/xseg_1"], cells["rtx-sm89/xseg_1"], cells["cpu/xseg_2"]
    assert (cpu.bytes, cpu.build_s, cpu.parity, cpu.is_executed) == (3, 1.5, ">= 45 dB", True)
    assert cpu.sha256 == {"engine": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"}
    assert cpu.recipe == "0" * 64
    assert (rtx.is_executed, rtx.why_not_executed, rtx.parity) == (False, "no GPU: none", "")
    assert (other.is_executed, other.bytes, other.build_s) == (None, None, None)


def test_a_row_is_a_model_and_a_column_a_target(workspace: Workspace) -> None:
    matrix = read_matrix(workspace, {})
    pinned = document()["models"]["xseg_1"]
    (row,) = (row for row in matrix.rows if row.model == "xseg_1")
    assert (row.role, row.licence, row.origin) == (pinned["role"], pinned["licence"], "kit")
    column = matrix.columns[0]
    assert (column.cache_key, column.builder, column.built_here) == ("x86_64/ov2026.4", "openvino", True)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"cell": ["cpu/xseg_1", "rtx-sm89/fan_68_5"]}, ["rtx-sm89/fan_68_5", "cpu/xseg_1"]),
        ({"group": ["masks"], "target": ["cpu"]}, ["cpu/xseg_1", "cpu/xseg_2"]),
        ({"model": ["fan_68_5"]}, ["cpu/fan_68_5", "rtx-sm89/fan_68_5"]),
        ({"target": ["cpu"]}, [f"cpu/{model}" for model in MODELS]),
        ({"group": ["core"], "target": ["cpu"], "cell": ["rtx-sm89/xseg_2"]}, ["cpu/fan_68_5", "rtx-sm89/xseg_2"]),
    ],
    ids=["cells", "a group's column", "a row", "a column", "both"],
)
def test_cells_are_chosen_singly_or_by_group_model_and_target(
    workspace: Workspace, form: Mapping[str, list[str]], expected: list[str]
) -> None:
    assert [cell.name for cell in chosen(read_matrix(workspace, None), form)] == expected


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "seen none; select some"),
        ({"group": ["mask"]}, "expected a group of the matrix, seen 'mask'"),
        ({"cell": ["cpu/xseg_1", "--all"]}, "expected a cell of the matrix, seen '--all'"),
    ],
)
def test_what_is_not_in_the_matrix_is_refused(
    workspace: Workspace, form: Mapping[str, list[str]], message: str
) -> None:
    with pytest.raises(MorphstreamError, match=message):
        chosen(read_matrix(workspace, None), form)


def test_a_group_is_rebuilt_by_one_job_however_often_it_is_clicked(
    workspace: Workspace, server: AdminServer, browser: Browser
) -> None:
    write_rebuild(workspace, "while [ ! -e go ]; do sleep 0.01; done")
    answers = [browser.post("/rebuild", {"group": "masks", "target": "cpu"}) for _ in range(50)]
    assert {answer.status_code for answer in answers} == {200}
    (workspace.root / "go").touch()
    until(lambda: server.admin.jobs.job(1).state == "done")
    assert commands(workspace) == ["-m stages.farm rebuild --json --engine cpu/xseg_1 --engine cpu/xseg_2"]
    assert browser.post("/rebuild", {"group": "masks", "target": "cpu", "force": "1"}).status_code == 200
    until(lambda: server.admin.jobs.job(2).state == "done")
    assert commands(workspace)[1].endswith("--engine cpu/xseg_2 --force")
    assert server.admin.jobs.job(2).title == "Recompile xseg_1 for cpu, xseg_2 for cpu"


def test_a_rebuild_ends_with_the_digests_of_its_engines(
    workspace: Workspace, server: AdminServer, browser: Browser
) -> None:
    write_engine(workspace, "cpu", "xseg_1", b"one")
    write_engine(workspace, "cpu", "xseg_2", b"two")
    made = workspace.root / "made"
    made.mkdir()
    write_engine(workspace, "rtx-sm89", "xseg_1", b"new")
    (workspace.engines / "xseg_1/rtx-sm89").rename(made / "rtx-sm89")
    write_rebuild(workspace, "mv made/rtx-sm89 build/engines/xseg_1/; rm -r build/engines/xseg_2")
    answer = browser.post("/rebuild", {"cell": ["cpu/xseg_1", "rtx-sm89/xseg_1", "cpu/xseg_2"]}, HX_Request="")
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs/1")
    until(lambda: server.admin.jobs.job(1).results)
    one = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    new = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"
    assert server.admin.jobs.job(1).results == (
        f"cpu/xseg_1: engine: sha256 {one} (as before)",
        f"rtx-sm89/xseg_1: engine: sha256 {new} (new)",
    )
    assert new in browser.get("/jobs/1").text


def test_a_build_that_fails_shows_its_line_and_can_be_started_again(
    workspace: Workspace, server: AdminServer, browser: Browser
) -> None:
    line = "farm rebuild: xseg_1: expected <this>, seen that; do this"
    write_rebuild(workspace, f"echo '{line}' >&2; exit 1")
    browser.post("/rebuild", {"model": "xseg_1"})
    until(lambda: server.admin.jobs.job(1).is_ended)
    assert server.admin.jobs.job(1).refusal == line
    page = browser.get("/jobs").text
    assert "expected &lt;this&gt;, seen that; do this" in page
    write_rebuild(workspace, "exit 0")
    assert browser.post("/jobs/1/retry").status_code == 200
    until(lambda: server.admin.jobs.job(2).state == "done")
    assert browser.post("/jobs/1/cancel").status_code == 409
    assert browser.post("/jobs/9/cancel").status_code == 409
    assert browser.get("/jobs/9").status_code == 409


def test_what_is_stale_is_looked_at_when_something_changed_or_a_job_ended(
    workspace: Workspace, server: AdminServer, browser: Browser
) -> None:
    state = server.admin.state
    until(lambda: state.matrix.is_checked)
    assert state.matrix.stale == {}
    write_plan(workspace, declare=["params.yaml changed"])
    browser.post("/look-again")
    until(lambda: state.matrix.stale and state.matrix.is_checked)
    write_plan(workspace)
    browser.post("/rebuild", {"cell": "cpu/xseg_1"})
    until(lambda: not state.matrix.stale and state.matrix.is_checked)
    write_plan(workspace, engines__xseg_1=["never built"])
    write_engine(workspace, "cpu", "xseg_1")
    until(lambda: state.matrix.is_checked and state.matrix.cells["cpu/xseg_1"].state == "stale")


def test_params_that_cannot_be_read_are_said_and_what_was_known_stays(
    workspace: Workspace, server: AdminServer, browser: Browser
) -> None:
    state = server.admin.state
    until(lambda: state.matrix.is_checked)
    text = workspace.params.read_text("utf-8")
    workspace.params.write_text("models: [", "utf-8")
    until(lambda: state.matrix.refusal)
    assert "params.yaml" in state.matrix.refusal
    assert len(state.matrix.rows) == len(MODELS)
    assert browser.get("/").status_code == 200
    workspace.params.write_text(text, "utf-8")
    until(lambda: not state.matrix.refusal and state.matrix.is_checked)
    (workspace.root / "farm").write_text("echo 'farm plan: expected this' >&2; exit 1", "utf-8")
    browser.post("/look-again")
    until(lambda: state.matrix.refusal == "farm plan: expected this")


def test_no_page_shows_a_token(workspace: Workspace, server: AdminServer, browser: Browser) -> None:
    write_rebuild(workspace, "echo with hf_secret")
    browser.post("/rebuild", {"cell": "cpu/xseg_1"})
    until(lambda: server.admin.jobs.job(1).is_ended)
    page = browser.get("/jobs/1").text
    assert "with ***" in page
    assert "hf_secret" not in page

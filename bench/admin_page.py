"""Measure the admin page: first paint with 20 models and 8 targets, progress, and 50 clicks a second for 10 seconds.

``python -m bench.admin_page`` serves a workspace whose farm is a script on loopback, and opens it in headless Chromium.
"""

import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from bench.live_camera import CHROMIUM
from stages.admin.server import AdminServer
from stages.workspace import Workspace
from tests.admin import commands, new_admin, new_workspace, until, write_rebuild
from tests.stages import document, write_params

MODELS, TARGETS, OPENINGS = 20, 8, 15
CLICKS, EVERY_MS, CELLS, PATIENCE = 500, 20, 40, 300  # cells that are clicked in turn: fewer than jobs may wait
_CLICK = """([clicks, every, cells]) => new Promise((done) => {
  const boxes = [...document.querySelectorAll('#matrix input[name="cell"]')].slice(0, cells).map((box) => box.value);
  let count = 0;
  const timer = setInterval(() => {
    for (const box of document.querySelectorAll('#matrix input[name="cell"]:checked')) box.click();
    document.querySelector(`#matrix input[value="${boxes[count % cells]}"]`).click();
    document.querySelector("#rebuild .main").click();
    if (++count === clicks) { clearInterval(timer); done(); }
  }, every);
})"""
_PROGRESS = """() => new Promise((done) => {
  const begun = performance.now();
  new MutationObserver((_, observer) => {
    if (!document.querySelector("#work .badge.running")) return;
    observer.disconnect();
    done(performance.now() - begun);
  }).observe(document.body, { childList: true, subtree: true });
  document.querySelector("#rebuild .main").click();
})"""


def large_workspace(folder: Path) -> Workspace:
    """Return a workspace of so many models and targets."""
    workspace = new_workspace(folder)
    data = document()
    builder = dict.fromkeys(("cpu", "cpu-bf16"), "ov2026.4")
    for name in list(data["targets"])[:TARGETS]:
        if name not in data["build_targets"]:
            arch = data["targets"][name]["arch"]
            key = f"{arch}/{builder.get(name, 'rtx1.7_ort1.31')}{'_bf16' * (name == 'cpu-bf16')}"
            data["build_targets"][name] = {"cache_key": key, "archive": f"{name}-cache"}
    models = data["models"]
    for number in range(MODELS - len(models)):
        models[f"xseg_{number + 10}"] = {**models["xseg_1"], "file": f"models/xseg_{number + 10}.onnx"}
    write_params(folder, data)
    return workspace


def first_paint_ms(page: Page, url: str) -> float:
    """Open the page and return when it was first painted, after it was asked for."""
    page.goto(url)
    until(lambda: page.evaluate("performance.getEntriesByName('first-contentful-paint').length"))
    return float(page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime"))


def progress_ms(page: Page) -> float:
    """Recompile a cell and return when the page first shows that it runs, after the click."""
    page.locator('#matrix input[name="cell"]').first.check()
    return float(page.evaluate(_PROGRESS))


def main() -> None:
    """Measure all of it."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        workspace = large_workspace(Path(folder) / "workspace")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with AdminServer(new_admin(workspace), port=0) as server:
            page = browser.new_page()
            page.goto(server.new_link())
            page.locator("#matrix td a").first.wait_for()
            size = page.locator("#matrix tr:has(td)").count(), page.locator("#matrix thead input").count()
            paints = [first_paint_ms(page, server.url) for _ in range(OPENINGS)]
            print(
                f"{size[0]} models, {size[1]} targets: first paint after {statistics.median(paints):.0f} ms,"
                f" at most {max(paints):.0f} ms, of {OPENINGS}"
            )
            write_rebuild(workspace, "sleep 2")
            print(f"progress is shown {progress_ms(page):.0f} ms after the click")
            until(lambda: all(job.is_ended for job in server.admin.jobs.all()))
            write_rebuild(workspace, "sleep 0.02")
            answers = Counter[int]()
            page.on("response", lambda one: answers.update([one.status] * (one.request.method == "POST")))
            page.evaluate(_CLICK, [CLICKS, EVERY_MS, CELLS])
            for _ in range(PATIENCE):
                page.wait_for_timeout(100)
                if answers.total() >= CLICKS:
                    break
            until(lambda: all(job.is_ended for job in server.admin.jobs.all()))
            made = server.admin.jobs.all()[0].number
            runs = commands(workspace)
            print(
                f"{CLICKS} clicks in {CLICKS * EVERY_MS / 1000:.0f} s: {dict(answers)} answers,"
                f" {made} jobs, {len(runs)} runs"
            )
            if answers != {200: CLICKS} or made != len(runs):
                sys.exit("expected an answer to each click and a run of each job")
        browser.close()


if __name__ == "__main__":
    main()

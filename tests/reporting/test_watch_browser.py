"""The live page in a real browser: Playwright on the system's Chromium."""

from __future__ import annotations

import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from commands import clean_environment
from run_folders import write_run

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium")
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
SCRIPT = "<img src=x onerror=hacked=1><script>hacked=1<&sol;script>"
EVALUATIONS = {500: [0.0, 1.0], 1000: [1.0, 0.5]}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(2):
        write_run(tmp_path / f"runs/alike_s{seed}", seed=seed, evaluations=EVALUATIONS)
    write_run(tmp_path / "runs/other", seed=0, evaluations={1000: [0.25]}, words=("agent.gamma=0.5",))
    write_run(tmp_path / "runs" / SCRIPT, seed=0, evaluations={1000: [0.75]}, words=("agent.gamma=0.4",))
    return tmp_path / "runs"


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    words = [sys.executable, "-m", "rlkit", "watch", str(folder), "port=0"]
    process = subprocess.Popen(words, env=clean_environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().split(" at ")[1].split()[0]
    process.terminate()
    process.communicate()


def until(page: Any, expression: str) -> None:
    """Wait until something is so; asked from outside, because the page's policy lets nothing be evaluated in it."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{expression}: {page.locator('#status').text_content()}")


@pytest.fixture(params=[(1366, 850, "light"), (390, 844, "dark")], ids=["laptop, light", "phone, dark"])
def page(request: pytest.FixtureRequest, chromium: Any, address: str) -> Iterator[Any]:
    width, height, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.problems = []
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.goto(address)
    until(page, "document.querySelectorAll('#runs .stopped').length == 4")
    page.wait_for_selector(".chart svg")
    yield page
    context.close()


def test_the_page_shows_grows_and_keeps_what_was_opened(page: Any, folder: Path) -> None:
    assert page.evaluate("typeof hacked") == "undefined"
    assert SCRIPT in page.locator("#runs .name").all_text_contents()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    until(page, "document.querySelectorAll('#evaluations-0 .mark').length == 4")
    page.locator("summary", has_text="Evaluations as numbers").click()
    page.evaluate("kept = document.querySelector('#evaluations-0')")
    with (folder / "other/evaluations.csv").open("a") as file:
        file.write("1500,0,0.5,1,0\n2000,0,0.75,1,0\n")
    until(page, "document.querySelectorAll('#evaluations-0 .mark').length == 6")
    assert page.evaluate("kept === document.querySelector('#evaluations-0')")
    assert page.locator("details[open] summary", has_text="Evaluations as numbers").count() == 1
    page.locator("#evaluations-0 svg").hover()
    assert "step" in page.locator("#evaluations-0 .tip").text_content()
    shutil.rmtree(folder / "alike_s0")
    with (folder / "alike_s1/evaluations.csv").open("a") as file:
        file.write("broken\n")
    until(page, "document.querySelectorAll('#runs li').length == 3")
    assert "the line is too short" in page.locator("#runs .damaged .note").text_content()
    until(page, "document.querySelectorAll('#evaluations-0 .mark').length == 4")
    assert page.problems == []


def test_runs_are_chosen_by_boxes_filters_and_the_address(page: Any) -> None:
    page.locator("#none").click()
    until(page, "document.querySelector('#report').textContent.includes('No run is chosen')")
    page.locator("#filter").fill("alike")
    page.locator("#matching").click()
    until(page, "document.querySelector('#report').textContent.includes('2 runs in 1 group')")
    page.locator("#filter").fill("")
    page.locator("label", has_text="other").locator("input").check()
    until(page, "document.querySelector('#report').textContent.includes('3 runs in 2 groups')")
    assert page.url.endswith("#runs=alike_s0,alike_s1,other")
    page.reload()
    until(page, "document.querySelector('#report').textContent.includes('3 runs in 2 groups')")


class _Elsewhere(BaseHTTPRequestHandler):
    """Another site, whose page tries to read the server's."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, format: str, *words: Any) -> None:
        pass


def test_another_site_gets_nothing(chromium: Any, address: str) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = chromium.new_page()
        page.goto(f"http://localhost:{server.server_address[1]}/")
        read = "(mode) => fetch(ADDRESS, {mode}).then((r) => r.text()).catch(() => 'refused')".replace(
            "ADDRESS", repr(f"{address}runs")
        )
        assert page.evaluate(read, "cors") == "refused"
        assert page.evaluate(read, "no-cors") in ("", "refused")
        tag = """(kind) => new Promise((done) => {
            const tag = document.createElement(kind);
            tag.onload = () => done("loaded");
            tag.onerror = () => done("refused");
            tag.src = ADDRESS;
            document.head.append(tag);
        })""".replace("ADDRESS", repr(f"{address}watch.js"))
        assert page.evaluate(tag, "script") == "refused"
        framed = "(at) => { const f = document.createElement('iframe'); f.src = at; document.body.append(f); }"
        page.evaluate(framed, address)
        page.wait_for_timeout(1000)
        assert all(frame.locator("#runs").count() == 0 for frame in page.frames[1:])
        server.shutdown()

"""The live page: the sections of the report, only what has changed, and nothing for those who should not ask."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from asking import Answer, ask
from commands import clean_environment
from run_folders import write_run

import rlkit
from rlkit.cli.main import main
from rlkit.reporting.chart import chart
from rlkit.reporting.curves import Curve, Line, evaluation_curve, training_curve, training_returns
from rlkit.reporting.groups import grouped
from rlkit.reporting.opening import open_runs
from rlkit.reporting.watching import application as served
from rlkit.reporting.watching import states
from rlkit.reporting.watching.application import application
from rlkit.reporting.watching.growing import GrowingTable
from rlkit.reporting.watching.live import LiveRun
from rlkit.reporting.watching.serve import address, host_of, serve
from rlkit.runs.folder import locked
from rlkit.runs.run import Run

EVALUATIONS = {500: [0.0, 1.0], 1000: [1.0, 0.5]}
EPISODES = {step: [float(step % 3)] for step in range(10, 1000, 10)}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "PATIENCE", 60.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two groups of runs, one of two seeds."""
    runs: Path = tmp_path_factory.mktemp("made")
    for seed in range(2):
        write_run(runs / f"alike_s{seed}", seed=seed, evaluations=EVALUATIONS, episodes=EPISODES)
    write_run(runs / "other", seed=0, evaluations={1000: [0.25]}, words=("agent.gamma=0.5", "total_steps=1000"))
    for path in runs.rglob("*"):
        os.utime(path, (1e9, 1e9))
    return runs


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, "runs")
    return Path("runs")


class Browser:
    """Asks as the page does, and keeps what it was told."""

    def __init__(self, folder: Path):
        self.application = application(folder)
        self.epoch, self.cursor = "", 0
        self.runs: dict[str, Any] = {}
        self.sections: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.changed: set[str] = set()
        self.answer: Any = None

    def list(self) -> dict[str, Any]:
        answer = ask(self.application, f"/runs?epoch={self.epoch}&since={self.cursor}").json
        self.epoch, self.cursor = answer["epoch"], answer["cursor"]
        gone = {one["name"] for one in self.runs.values() if one["id"] in answer["gone"]}
        new = {one["name"]: one for one in answer["runs"]}
        self.changed = {*new, *gone}
        self.runs = {name: one for name, one in {**self.runs, **new}.items() if name not in gone}
        return self.runs

    def report(self, *names: str) -> dict[str, str]:
        ids = ",".join(str(one["id"]) for name, one in self.runs.items() if not names or name in names)
        self.answer = ask(self.application, f"/report?runs={ids}&have={','.join(self.tags.values())}").json
        new = {one["key"]: one["html"] for one in self.answer["sections"] if "html" in one}
        self.tags = {one["key"]: one["tag"] for one in self.answer["sections"]}
        self.changed = set(new)
        self.sections = {key: {**self.sections, **new}[key] for key in self.tags}
        return self.sections


@pytest.fixture
def browser(folder: Path) -> Browser:
    return Browser(folder)


def append(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


class TestPage:
    def test_its_sections_are_those_of_the_report(self, browser: Browser) -> None:
        browser.list()
        sections = browser.report()
        page = rlkit.report(*sorted(Path("runs").iterdir())).read_text()
        assert sections["curves"] in page.replace("\n", "")
        assert sections["scores"] in page.replace("\n", "")
        assert sections["settings"] in page.replace("\n", "")
        assert sections["method"].removeprefix("<footer>") in page
        for key in ("group-0", "group-1"):
            assert sections[key] in re.sub(r"<details open><summary>Train again.*?</details>", "", page, flags=re.S)
        assert set(sections) == {"head", "curves", "scores", "settings", "group-0", "group-1", "method"}

    def test_only_what_has_changed_is_sent(self, browser: Browser, folder: Path) -> None:
        assert set(browser.list()) == {"alike_s0", "alike_s1", "other"}
        browser.report()
        browser.list()
        assert browser.changed == set()
        browser.report()
        assert browser.changed == set()
        append(folder / "other/evaluations.csv", "2000,0,0.75,1,0")
        browser.list()
        assert browser.changed == {"other"}
        assert browser.runs["other"]["last"] == "0.75 at 2,000"
        browser.report()
        assert browser.changed == {"head", "curves", "scores", "group-1"}
        assert "0.75 at step 2,000" in browser.sections["curves"]

    def test_a_curve_grows_as_one_that_is_read_at_once(self, browser: Browser, folder: Path) -> None:
        browser.list()
        browser.report("alike_s0")
        for step in range(1010, 1400, 70):
            append(folder / "alike_s0/episodes.csv", f"{step},0,{step / 7!r},1,1,0", f"{step},0,1.0,1,1,1")
            browser.list()
            grown = browser.report("alike_s0")["curves"]
            assert grown == sections_of(folder, "alike_s0")["curves"]

    def test_without_runs_it_says_so(self, tmp_path: Path) -> None:
        browser = Browser(tmp_path / "none")
        assert browser.list() == {}
        assert ask(browser.application, "/runs").json["note"] == "the folder is not there"
        assert "No run is chosen" in browser.report()["head"]

    def test_large_tables_are_read_over_several_answers(
        self, browser: Browser, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        browser.list()
        at_once = sections_of(folder, "alike_s0")["curves"]
        monkeypatch.setattr(served, "PATIENCE", 0.0)
        read = GrowingTable.read
        monkeypatch.setattr(GrowingTable, "read", lambda self: read(self, 400))
        browser.report("alike_s0")
        first = browser.answer["unread"]
        assert first > 0
        for _ in range(20):
            browser.report("alike_s0")
        assert browser.answer["unread"] == 0
        assert browser.sections["curves"] == at_once

    def test_the_rows_of_many_runs_come_over_several_answers(
        self, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(served, "PATIENCE", -1.0)
        assert [sum("state" in run for run in browser.list().values()) for _ in range(3)] == [1, 2, 3]


def sections_of(folder: Path, *names: str) -> dict[str, str]:
    browser = Browser(folder)
    browser.list()
    return browser.report(*names)


class TestFolder:
    def test_new_and_deleted_runs(self, browser: Browser, folder: Path) -> None:
        browser.list()
        shutil.rmtree(folder / "other")
        write_run(folder / "sweeps/one/inner", seed=3, evaluations=EVALUATIONS)
        assert set(browser.list()) == {"alike_s0", "alike_s1", "sweeps/one/inner"}
        assert "left out" not in browser.report()["head"]

    def test_a_deleted_run_that_is_chosen_is_no_error(self, browser: Browser, folder: Path) -> None:
        browser.list()
        browser.report()
        shutil.rmtree(folder / "other")
        assert browser.report()
        assert browser.answer["note"] == ""
        browser.list()
        assert set(browser.report()) == {"head", "curves", "scores", "settings", "group-0", "method"}

    def test_a_damaged_run_says_where_and_comes_back(self, browser: Browser, folder: Path) -> None:
        browser.list()
        path = folder / "other/evaluations.csv"
        good = path.read_text()
        append(path, "2000,0,good,1,0")
        line = f"{path} line 3: return/raw is 'good', which is no number; fix the line, or delete it"
        assert (browser.list()["other"]["state"], browser.runs["other"]["note"]) == ("damaged", line)
        assert f"left out: {path} line 3" in browser.report()["head"]
        path.write_text(good)
        assert browser.list()["other"]["state"] == "finished"
        (folder / "other/config.yaml").write_text("agent: [")
        assert browser.list()["other"]["state"] == "damaged"
        assert "is not the configuration of an rlkit run" in browser.runs["other"]["note"]

    def test_damage_in_what_only_a_chosen_run_shows(self, browser: Browser, folder: Path) -> None:
        append(folder / "other/episodes.csv", "2000,0,good,1,1,0")
        browser.list()
        assert browser.runs["other"]["state"] == "finished"
        for _ in range(2):
            assert "episodes.csv line 3: return/raw is 'good'" in unescape(browser.report()["head"])
            assert browser.list()["other"]["state"] == "damaged"
            append(folder / "other/episodes.csv", "3000,0,0.5,1,1,0")

    def test_links_out_of_the_folder_are_not_followed(self, browser: Browser, folder: Path, tmp_path: Path) -> None:
        write_run(tmp_path / "elsewhere/secret", seed=0, evaluations=EVALUATIONS)
        (folder / "link").symlink_to(tmp_path / "elsewhere")
        (folder / "direct").symlink_to(tmp_path / "elsewhere/secret")
        assert set(browser.list()) == {"alike_s0", "alike_s1", "other"}
        (folder / "other/plot.png").symlink_to(tmp_path / "elsewhere/secret/config.yaml")
        os.utime(folder / "other/config.yaml")
        assert "is a link that leads out of its run folder" in browser.list()["other"]["note"]


class TestStates:
    def test_of_the_log(self, browser: Browser, folder: Path) -> None:
        logs = {
            "alike_s0": (
                "stopped: interrupted by SIGTERM at step 1,000\nresume: …\n",
                "stopped",
                "interrupted by SIGTERM",
            ),
            "alike_s1": (
                "Traceback (most recent call last):\n  File x\nValueError: a bad value\n",
                "failed",
                "ValueError: a bad value",
            ),
            "other": ("done at step 1,000\nbest evaluation: …\n", "finished", ""),
        }
        for name, (text, *_) in logs.items():
            (folder / name / "train.log").write_text(f"training {name}\n{text}")
        assert {name: (run["state"], run["note"]) for name, run in browser.list().items()} == {
            name: (state, note) for name, (_, state, note) in logs.items()
        }

    def test_one_that_is_locked_is_running(self, browser: Browser, folder: Path) -> None:
        assert browser.list()["alike_s0"]["state"] == "stopped"
        if not states.LOCKS.exists():
            pytest.skip("this system has no list of locks")
        with locked(folder / "alike_s0"):
            append(folder / "alike_s0/episodes.csv", "1500,0,1,1,1,0")
            run = browser.list()["alike_s0"]
            assert (run["state"], run["share"], run["steps"]) == ("running", 0.015, "1,500 of 100,000")

    def test_without_a_list_of_locks_one_that_changes_is_running(
        self, browser: Browser, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(states, "LOCKS", Path("nowhere"))
        append(folder / "alike_s0/episodes.csv", "1500,0,1,1,1,0")
        assert browser.list()["alike_s0"]["state"] == "running"
        assert browser.list()["alike_s1"]["state"] == "stopped"


class TestGuard:
    @pytest.mark.parametrize(
        ("wanted", "request_"),
        [
            (200, {}),
            (200, {"host": "localhost:7007"}),
            (200, {"host": "[::1]:7007"}),
            (200, {"host": "192.168.7.1"}),
            (200, {"origin": "http://127.0.0.1:7007", "sec_fetch_site": "same-origin"}),
            (403, {"host": "evil.example:7007"}),
            (403, {"host": "localhost.evil.example"}),
            (403, {"host": ""}),
            (403, {"host": "127.0.0.1:7007@evil.example"}),
            (403, {"origin": "http://evil.example"}),
            (403, {"origin": "null"}),
            (403, {"origin": "http://127.0.0.1:8000"}),
            (403, {"sec_fetch_site": "cross-site"}),
            (403, {"sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors"}),
            (405, {"method": "POST"}),
            (405, {"method": "DELETE"}),
            (405, {"method": "OPTIONS", "origin": "http://evil.example"}),
        ],
    )
    def test_who_may_ask(self, wanted: int, request_: Any, browser: Browser) -> None:
        answer = ask(browser.application, "/runs", **request_)
        assert answer.status == wanted
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
        assert wanted == 200 or len(answer.text.splitlines()) == 1

    def test_a_link_from_elsewhere_opens_the_page_and_nothing_else(self, browser: Browser) -> None:
        linked = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
        assert ask(browser.application, "/", **linked).status == 200
        assert ask(browser.application, "/runs", **linked).status == 403

    def test_what_it_says_is_an_address_that_it_answers(self, folder: Path) -> None:
        with socket.create_server(("0.0.0.0", 0)) as everywhere, socket.create_server(("127.0.0.1", 0)) as here:
            assert address(here) == f"http://127.0.0.1:{here.getsockname()[1]}/"
            assert address(everywhere).startswith(f"http://{socket.gethostname()}:")
            named = urlsplit(address(everywhere)).netloc
            assert ask(application(folder, [host_of(everywhere)]), "/", host=named).status == 200
            assert ask(application(folder), "/", host=named).status == 403

    def test_names_of_this_machine(self, folder: Path) -> None:
        assert ask(application(folder, ["Lab.example"]), "/", host="lab.example:80").status == 200

    @pytest.mark.parametrize(
        "path",
        [
            *(
                "/../config.yaml",
                "/files/0/../config.yaml",
                "/files/0/config.yaml",
                "/files/0/%2e%2e/x",
                "/files/0//etc/passwd",
            ),
            *(
                "/files/99/curve.png",
                "/files/-1/curve.png",
                "/files/0/",
                "/nothing",
                "/runs/alike_s0",
                "/page.py",
                "/files/0/plot.png\0",
            ),
        ],
    )
    def test_there_is_nothing_else(self, path: str, browser: Browser) -> None:
        browser.list()
        answer = ask(browser.application, path)
        assert (answer.status, len(answer.text.splitlines())) == (404, 1)

    @pytest.mark.parametrize("query", ["runs=-1,x,1-,--,9-1,99999999999", "runs=&have=%00", "runs=0-99999999&since=x"])
    def test_words_that_make_no_sense(self, query: str, browser: Browser) -> None:
        assert ask(browser.application, f"/report?{query}").status == 200
        assert ask(browser.application, f"/runs?{query}&since=-1&epoch=%ff").status == 200

    def test_a_script_in_a_name_is_text(self, tmp_path: Path) -> None:
        name = "<script>alert(1)<&sol;script><img src=x onerror=alert(2)>'\""
        write_run(tmp_path / name, seed=0, evaluations=EVALUATIONS, episodes=EPISODES)
        browser = Browser(tmp_path)
        assert set(browser.list()) == {name}
        html = "".join(browser.report().values())
        for fragment in re.findall(r"<script[^>]*>", html):
            assert fragment == '<script type="application/json">'
        assert "<img src=x" not in html
        assert "&lt;script&gt;" in html
        assert not re.search(r"<[^>]* on\w+=", ask(browser.application, "/").text)


class TestFiles:
    @pytest.fixture
    def shown(self, folder: Path) -> tuple[Browser, str, str]:
        """A browser, and the addresses of a plot and of a video."""
        (folder / "other/curve.png").write_bytes(b"\x89PNG plot")
        Path("videos/other").mkdir(parents=True)
        Path("videos/other/best 1.mp4").write_bytes(bytes(range(100)))
        browser = Browser(folder)
        browser.list()
        found = re.findall(r' src="([^"]+)"', browser.report()["group-1"])
        video, plot = (f"/{address.replace('%20', ' ')}" for address in found)
        return browser, plot, video

    def test_plots_and_videos(self, shown: tuple[Browser, str, str]) -> None:
        browser, plot, video = shown
        answer = ask(browser.application, plot)
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, "image/png", b"\x89PNG plot")
        answer = ask(browser.application, video, range="bytes=10-19")
        assert (answer.status, answer.headers["content-type"]) == (206, "video/mp4")
        assert answer.body == bytes(range(10, 20))
        assert ask(browser.application, video, method="HEAD").body == b""
        assert ask(browser.application, video.replace("files", "stills")).status == 404

    def test_videos_as_they_come(self, shown: tuple[Browser, str, str], folder: Path) -> None:
        browser, _, _ = shown
        Path("videos/other/step-000002000.mp4").write_bytes(b"video")
        append(folder / "other/evaluations.csv", "2000,0,0.75,1,0")
        browser.list()
        assert "step-000002000.mp4" in browser.report()["group-1"]

    def test_links_among_videos_are_not_followed(self, shown: tuple[Browser, str, str], tmp_path: Path) -> None:
        browser, _, video = shown
        (tmp_path / "secret.mp4").write_bytes(b"secret")
        Path("videos/other/best 1.mp4").unlink()
        Path("videos/other/best 1.mp4").symlink_to(tmp_path / "secret.mp4")
        assert ask(browser.application, video).status == 404


class TestCurves:
    def test_of_many_points_the_extremes_are_drawn(self) -> None:
        values = np.random.default_rng(0).normal(size=100_000)
        values[12_345], values[67_890] = 99.0, -99.0
        steps = np.arange(len(values)) + 1.0
        line = Line(steps, values)
        html = chart([Curve("x", 0, line, (values - 1, values + 1), [line, line])], id="x", title="x", until=1e5)
        data = json.loads(re.findall(r'<script type="application/json">(.*)</script>', html)[0])["series"][0]
        drawn = dict(zip(data["steps"], zip(data["values"], data["low"], strict=True), strict=True))
        assert len(drawn) <= 402
        assert drawn[12_346] == (99.0, 98.0)
        assert drawn[67_891] == (-99.0, -100.0)
        assert {1, 100_000} <= set(drawn)
        assert len(html) < 60_000
        few = Curve("x", 0, Line(steps[:400], values[:400]), None, [])
        assert html.count(" ") > chart([few], id="x", title="x", until=1e5).count("circle")

    def test_evaluations_in_any_order_have_the_mean_of_each_step(self, tmp_path: Path) -> None:
        run = Run(write_run(tmp_path / "r", seed=0, evaluations={20: [1.0, 4.0], 10: [0.1, 0.2, 0.4], 30: [7.0]}))
        steps, returns = run.evaluations["step"], run.evaluations["return/raw"]
        naive = [(int(step), float(returns[steps == step].mean())) for step in np.unique(steps)]
        assert run.evaluation_means() == naive == [(10, pytest.approx(0.7 / 3)), (20, 2.5), (30, 7.0)]

    def test_returns_in_pieces_are_those_at_once_bit_for_bit(self, folder: Path) -> None:
        path = folder / "other/episodes.csv"
        live = LiveRun(folder / "other")
        rng = np.random.default_rng(0)
        for i in range(6):
            values = [*rng.normal(size=50).tolist(), float("nan"), float("inf")]
            append(path, *(f"{2000 + i},0,{x!r},1,1,{int(rng.random() < 0.2)}" for x in values))
            while live.live.read(time.monotonic() + 60):
                pass
            whole, pieces = training_returns(Run(folder / "other")), live.returns()
            assert whole.sums.tobytes() == pieces.sums.tobytes()
            assert whole.steps.tobytes() == pieces.steps.tobytes()

    def test_a_live_group_has_the_curves_of_a_group(self, folder: Path) -> None:
        runs = [LiveRun(path) for path in sorted(folder.glob("alike*"))]
        for run in runs:
            run.live.read(time.monotonic() + 60)
        [live], [group] = grouped(runs), grouped(open_runs(sorted(folder.glob("alike*"))))
        for mine, wanted in (
            (evaluation_curve(live), evaluation_curve(group)),
            (training_curve(live, LiveRun.returns), training_curve(group)),
        ):
            np.testing.assert_array_equal(mine.mean, wanted.mean)
            np.testing.assert_array_equal(mine.interval, wanted.interval)


class TestCommand:
    def test_what_is_missing_is_said_in_one_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)

        def said(*words: str) -> str:
            assert main(["watch", *words]) == 2
            printed = capsys.readouterr()
            assert printed.out == ""
            [line] = printed.err.splitlines()
            return line.removeprefix("rlkit: ")

        assert "there is no folder nowhere" in said("nowhere")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            line = said(".", f"port={port}")
        assert line == f"port={port} of 127.0.0.1 is in use; choose another, or port=0 for any that is free"
        assert "host=256.1.1.1 is no address of this machine" in said(".", "host=256.1.1.1")
        assert "port is 70000; it must be" in said(".", "port=70000")
        assert "uses one folder of runs" in said(".", "..")
        monkeypatch.setattr("rlkit.reporting.watching.serve.find_spec", lambda name: None)
        with pytest.raises(rlkit.UsageError, match="needs starlette and uvicorn: pip install starlette uvicorn"):
            serve(tmp_path, "127.0.0.1", 0, [], print)

    @pytest.fixture
    def process(self, folder: Path) -> Iterator[subprocess.Popen[str]]:
        words = [sys.executable, "-m", "rlkit", "watch", "runs", "port=0"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(words, env=clean_environment(), **pipes)
        yield process
        process.kill()
        process.communicate()

    def test_it_says_its_address_serves_and_ends_at_ctrl_c(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"watching runs at http://127\.0\.0\.1:(\d+)/ \(Ctrl-C ends it\)\n", line)
        assert found, line
        with socket.create_connection(("127.0.0.1", int(found[1]))) as browser:
            browser.sendall(b"GET /runs HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert browser.recv(12) == b"HTTP/1.1 200"
            # One that keeps its connection open does not hold the server up.
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0


def test_answers_to_several_browsers_at_once_are_whole(browser: Browser) -> None:
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(browser.application, "/report?runs=0-2"))) for _ in range(4)
    ]
    browser.list()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.body for answer in answers}) == 1

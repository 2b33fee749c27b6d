"""Files of somebody else name places: none is asked for over the network, and no other data set gets what it sends."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

import rlkit
from rlkit.cli.main import main
from rlkit.config import plugins, trust
from rlkit.core.types import RunError, UsageError
from rlkit.learners.datasets.cache import DataSource, read
from rlkit.runs.action_log import ActionLog
from rlkit.runs.record_video import render
from rlkit.runs.run import Run

WORDS = ("agent=q_learning", "env=frozen_lake", "total_steps=100", "eval.every=0", "video=none", "logger=[csv]")


class Site(ThreadingHTTPServer):
    """Notices whatever is asked for, and answers with the path."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(self.path.encode())

            def log_message(self, *words: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("RLKIT_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with Site() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "run"
    rlkit.train(*WORDS, f"run_dir={folder}")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def lastfm(url: str) -> dict[str, Any]:
    words = {"url": url, "folder": None, "scale": "none", "give": 0, "least": 0}
    return {"_target_": "rlkit.learners.datasets.ratings.lastfm", **words}


def change(folder: Path, **values: Any) -> None:
    before = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**before, **values}))


class TestAddresses:
    @pytest.mark.parametrize("verb", ["eval", "play", "match", "analyse", "train"])
    def test_no_command_asks_for_what_a_folder_names(
        self, verb: str, site: Site, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        change(folder, data=lastfm(f"{site.url}x.zip"))
        words = {
            "match": ["env=tic_tac_toe", str(folder), "random", "games=2"],
            "analyse": ["env=tic_tac_toe", f"player={folder}"],
            "train": [f"resume={folder}", "total_steps=200"],
        }
        assert main([verb, *words.get(verb, [f"run={folder}"])]) == 2
        line = capsys.readouterr().err
        known = "no YAML file of rlkit or of an installed plugin has"
        address = f"{site.url}x.zip"
        assert line == (
            f"rlkit: {folder}/config.yaml: data.url is {address}, which {known}; if you know it: trust={address}\n"
        )
        assert site.asked == []

    def test_nor_does_a_report_or_show_it_to_be_pasted(self, site: Site, folder: Path) -> None:
        change(folder, data=lastfm(f"{site.url}x.zip"))
        page = rlkit.report(folder).read_text()
        assert "not exact here: config.yaml: data.url is http" in page
        assert site.asked == []

    @pytest.mark.parametrize(
        "address", ["{}", " {}", "\t{}", "HTTP{}", "ftp://x/", "s3://x", "x.org/a", "https://www.cs"]
    )
    @pytest.mark.parametrize("place", ["data", "env", "agent", "preprocess", "callback"])
    def test_whatever_key_holds_it(self, place: str, address: str, site: Site, folder: Path) -> None:
        node = lastfm(address.format(site.url.replace("http", "")) if "HTTP" in address else address.format(site.url))
        change(folder, **{place: {"preprocess": [node], "callback": {"x": node}}.get(place, node)})
        with pytest.raises(UsageError, match=r"config\.yaml: (data|env|agent|preprocess\.0|callback\.x)\.url is "):
            rlkit.train(f"resume={folder}", "total_steps=200")
        assert site.asked == []

    def test_nor_does_a_log_of_actions(self, site: Site, tmp_path: Path) -> None:
        env = {"_target_": "rlkit.envs.gym.make", "id": "FrozenLake-v1", "kwargs": {"desc": site.url}}
        log = ActionLog({"env": env, "preprocess": [], "action_mask": False}, 3, [1], "<i8", 0.0, {})
        with pytest.raises(UsageError, match=r"env\.kwargs\.desc is http://"):
            render(log.write(tmp_path / "x.actions.json"))
        assert site.asked == []

    def test_an_address_that_is_typed_is_asked(self, site: Site, folder: Path) -> None:
        env = yaml.safe_load((Path(rlkit.__file__).parent / "../conf/env/recommendation.yaml").read_text())
        env.pop("defaults", None)
        change(folder, data=lastfm(f"{site.url}x.zip"), env=env)
        with pytest.raises(
            RunError, match=r"x\.zip cannot be read: file could not be opened .*; delete it, and it will"
        ):
            Run(folder, f"{site.url}x.zip").evaluate(1, max_steps=1)
        assert site.asked == ["/x.zip"]
        with pytest.raises(UsageError, match=r"data\.url is"):
            Run(folder, f"{site.url}y.zip").evaluate(1, max_steps=1)

    def test_those_of_rlkits_own_files_need_no_trust(self) -> None:
        texts = [yaml.safe_load(entry.path.read_text()) for entry in plugins.entries("data")]
        urls = [node["url"] for node in texts if "url" in node]
        assert len(urls) >= 6
        for url in urls:
            trust.require_allowed({"data": lastfm(url)}, "config.yaml", ())

    @pytest.mark.parametrize("name", ["http://x.org/a.zip", "https://x-y.org:80/"])
    def test_trust_takes_addresses(self, name: str) -> None:
        assert trust.packages([name, "my_games"]) == (name, "my_games")
        assert not trust.is_trusted("http", [name])


class TestCache:
    def test_what_one_address_sends_is_never_another_ones(self, site: Site) -> None:
        strange, honest = (DataSource("mnist", f"{site.url}{name}/") for name in ("strange", "honest"))
        assert read(strange, "a.txt") == b"/strange/a.txt"
        assert read(honest, "a.txt") == b"/honest/a.txt"
        assert read(strange, "a.txt") == b"/strange/a.txt"
        assert site.asked == ["/strange/a.txt", "/honest/a.txt"]
        assert honest.root != strange.root
        assert honest.root.parent == strange.root.parent == DataSource("mnist", None).root

    @pytest.mark.parametrize("url", ["http://x/..", "http://x/", "http://x/../../a", "http://x/\udcff"])
    def test_no_address_leads_out_of_the_cache(self, url: str, site: Site, tmp_path: Path) -> None:
        place = DataSource("mnist", url)
        assert place.root.parent == tmp_path / "cache" / "mnist"
        assert "/" not in str(place.archive)


class TestFilesOfTheSystem:
    @pytest.mark.parametrize(
        "path",
        ["/dev/stdin", "/dev/zero", "/proc/self/environ", "//proc/self/environ", "~/../../../../proc/1/maps", "link"],
    )
    def test_no_file_names_them(self, path: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "link").symlink_to("/proc/self/environ")
        named = str(tmp_path / "link") if path == "link" else path
        change(folder, data={"_target_": "rlkit.learners.datasets.tables.csv_file", "path": named})
        for act in (lambda: Run(folder).load_agent(), lambda: rlkit.train(f"resume={folder}")):
            with pytest.raises(
                UsageError, match=r"data\.path is .*, which holds no data but the system's: no file may"
            ):
                act()

    @pytest.mark.parametrize("value", ["a/b", "/home/me/devices", "\0/x", "~nobody-there/x", "x" * 5000 + "/"])
    def test_others_are_the_users_own_affair(self, value: str) -> None:
        trust.require_allowed({"path": value}, "config.yaml", ())


@pytest.mark.parametrize("name", ["uplink.log", "settings"])
def test_nothing_in_a_folder_says_where_wandb_writes_or_sends(name: str, folder: Path, tmp_path: Path) -> None:
    (folder / "wandb").mkdir()
    (folder / "wandb" / name).symlink_to(tmp_path / "of_the_user")
    (tmp_path / "of_the_user").write_text("[default]\nbase_url = http://127.0.0.1:1\n")
    acts: list[Callable[[], Any]] = [lambda: Run(folder), lambda: rlkit.train(f"resume={folder}", "total_steps=200")]
    for act in acts:
        with pytest.raises(UsageError, match=f"wandb/{name} (is a link, and would|says where W&B sends to, which)"):
            act()
    assert (tmp_path / "of_the_user").read_text().startswith("[default]")

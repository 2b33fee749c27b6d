"""Data sets: what is bundled, made, read from files, and downloaded once; the real files where they are at hand."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import pytest

from rlkit.core.types import RunError, UsageError
from rlkit.learners.datasets import bundled, cache, generated, images, ratings, tables, texts
from rlkit.learners.datasets.cache import DataSource, decoded, read
from rlkit.learners.datasets.dataset import task_of
from rlkit.learners.kinds import text_columns

SHARED = os.environ.get("RLKIT_TEST_DATA")
real = pytest.mark.skipif(SHARED is None, reason="RLKIT_TEST_DATA names no folder with the real data sets")
ANYWHERE = "http://localhost:9/"


def shared(name: str) -> str:
    assert SHARED is not None
    return str(Path(SHARED) / name)


def nobody(line: str) -> None:
    raise AssertionError(line)


@pytest.mark.parametrize(
    ("name", "shape", "task"),
    [
        ("iris", (150, 4), "classification"),
        ("digits", (1797, 64), "classification"),
        ("diabetes", (442, 10), "regression"),
        ("wine", (178, 13), "classification"),
        ("breast_cancer", (569, 30), "classification"),
    ],
)
def test_bundled_sets_have_their_shapes(name: str, shape: tuple[int, int], task: str) -> None:
    data = bundled.load(name)
    assert (data.rows.X.shape, data.task, len(data.features)) == (shape, task, shape[1])
    assert not any(" " in feature for feature in data.features)


def test_columns_are_chosen_by_name_in_the_order_that_was_asked_for() -> None:
    whole = bundled.load("iris").rows.X
    assert np.array_equal(bundled.load("iris", ["petal_width", "sepal_length"]).rows.X, whole[:, [3, 0]])
    with pytest.raises(UsageError, match=r"there is no column petal_widht in data.features; did you mean petal_width"):
        bundled.load("iris", ["petal_widht"])
    with pytest.raises(UsageError, match=r"there is no data.name=iri; did you mean iris"):
        bundled.load("iri")


class TestGenerated:
    def test_discounts_are_the_nine_rows(self) -> None:
        data = generated.discounts()
        assert data.rows.X[:, 0].tolist() == [50, 10, 20, 5, 95, 70, 100, 200, 0]
        assert data.rows.y is not None
        assert data.rows.y.tolist() == [0, 1, 1, 1, 0, 0, 0, 0, 1]

    def test_a_donut_has_a_gap_between_ball_and_ring(self) -> None:
        data = generated.donut(1400, 372, 0.0, np.random.default_rng(0))
        radius = np.linalg.norm(data.rows.X, axis=1)
        assert radius[data.rows.y == 0].max() <= 1
        assert 1.5 <= radius[data.rows.y == 1].min() <= radius.max() <= 2.5
        assert np.bincount(data.rows.y).tolist() == [700, 700]
        # Uniform over the area: half of the ball's rows are within the radius of half its area.
        assert (radius[data.rows.y == 0] < np.sqrt(0.5)).mean() == pytest.approx(0.5, abs=0.05)
        assert data.held_out is not None
        assert data.held_out.X.shape == (372, 2)

    def test_four_rows_without_noise_are_the_truth_table(self) -> None:
        data = generated.xor(4, 0.0, np.random.default_rng(1))
        assert data.rows.y is not None
        table = {tuple(x): int(y) for x, y in zip(data.rows.X, data.rows.y, strict=True)}
        assert table == {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 0}

    def test_moons_lie_on_two_half_circles(self) -> None:
        data = generated.moons(100, 0.0, np.random.default_rng(0))
        upper, lower = (data.rows.X[data.rows.y == label] for label in (0, 1))
        assert np.linalg.norm(upper, axis=1) == pytest.approx(1)
        assert np.linalg.norm(lower - [1, 0.5], axis=1) == pytest.approx(1)
        assert upper[:, 1].min() >= 0
        assert lower[:, 1].max() <= 0.5

    def test_bits_are_counted(self) -> None:
        data = generated.bits(20, 6, None, 2, np.random.default_rng(0))
        assert data.rows.X.shape == (20, 12)
        np.testing.assert_array_equal(data.rows.y, 2 * data.rows.X[:, :6].sum(1))
        fixed = generated.bits(2, 6, "0110", 3, np.random.default_rng(0))
        np.testing.assert_array_equal(fixed.rows.X, [[0, 1, 1, 0] * 3] * 2)
        np.testing.assert_array_equal(fixed.rows.y, 6)
        with pytest.raises(UsageError, match=r"data\.pattern is '012'"):
            generated.bits(2, 6, "012", 1, np.random.default_rng(0))

    def test_planted_ratings_have_the_rank_of_their_factors(self) -> None:
        data = generated.planted_ratings(40, 30, 3, 1.0, 0.0, np.random.default_rng(0))
        assert np.linalg.matrix_rank(data.rows.X.toarray() - 3) == 3
        assert len(data.items) == 30

    def test_the_same_generator_makes_the_same_rows(self) -> None:
        first, second = (generated.moons(50, 0.3, np.random.default_rng(5)).rows for _ in range(2))
        assert np.array_equal(first.X, second.X)

    def test_too_few_rows_are_refused(self) -> None:
        with pytest.raises(UsageError, match="there must be at least 4"):
            generated.xor(3, 0.0, np.random.default_rng(0))


class TestTables:
    def parsed(self, text: str, **options: Any) -> tables.DataTable:
        return tables.parse(text, **options)

    def test_a_column_is_numbers_where_all_but_gaps_are(self) -> None:
        table = self.parsed("a,b,c\n1,x,NA\n,None,2.5\n")
        assert np.array_equal(table.cells["a"], [1, np.nan], equal_nan=True)
        assert table.cells["b"].tolist() == ["x", "None"]
        assert np.array_equal(table.cells["c"], [np.nan, 2.5], equal_nan=True)

    def test_windows_line_ends_and_quotes_are_read(self) -> None:
        table = self.parsed('a,b\r\n1,"x, y"\r\n2,"a ""b"""\r\n')
        assert table.cells["a"].tolist() == [1, 2]
        assert table.cells["b"].tolist() == ["x, y", 'a "b"']

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a,b\n", "the table has no rows below a header"),
            ("a,a\n1,2\n", "has two columns called 'a'"),
            ("a,b\n1,2\n3\n", "line 3 has 1 cells and the header 2"),
        ],
    )
    def test_what_is_no_table_is_refused(self, text: str, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            self.parsed(text)

    def test_own_files_work_by_path(self, tmp_path: Path) -> None:
        path = tmp_path / "pets.csv"
        path.write_text("weight,colour,kind\n4,black,cat\n20,brown,dog\n5,,cat\n")
        data = tables.csv_file(str(path), "kind")
        assert (data.task, data.features, data.target) == ("classification", ("weight", "colour"), "kind")
        assert data.rows.X.tolist() == [[4.0, "black"], [20.0, "brown"], [5.0, None]]
        assert data.rows.y is not None
        assert data.rows.y.tolist() == ["cat", "dog", "cat"]
        assert tables.csv_file(str(path), "weight", ["colour"]).rows.y is not None
        (tmp_path / "pets.tsv.gz").write_bytes(gzip.compress(b"a\tb\n1.5\t2\n2.5\t3\n"))
        data = tables.csv_file(str(tmp_path / "pets.tsv.gz"), "a", delimiter="\t")
        assert (data.task, data.rows.X.tolist()) == ("regression", [[2.0], [3.0]])
        assert tables.csv_file(str(tmp_path / "pets.tsv.gz"), delimiter="\t").task == "clustering"

    @pytest.mark.parametrize(
        ("target", "features", "message"),
        [
            ("kin", None, r"data.target=kin is no column of .*; did you mean kind\?"),
            ("kind", ["wieght"], r"no column wieght in data.features; did you mean weight\?"),
            ("colour", None, "data.target=colour has 1 gaps"),
        ],
    )
    def test_columns_that_are_not_there_are_named(
        self, tmp_path: Path, target: str, features: list[str] | None, message: str
    ) -> None:
        (tmp_path / "pets.csv").write_text("weight,colour,kind\n4,black,cat\n5,,cat\n")
        with pytest.raises(UsageError, match=message):
            tables.csv_file(str(tmp_path / "pets.csv"), target, features)

    def test_a_missing_file_and_an_unknown_task_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"data.path=nowhere.csv cannot be read: No such file"):
            tables.csv_file("nowhere.csv")
        (tmp_path / "a.csv").write_text("a,b\n1,2\n")
        with pytest.raises(UsageError, match=r"there is no data.task=regresion; did you mean regression"):
            tables.csv_file(str(tmp_path / "a.csv"), "b", task="regresion")

    def test_the_task_follows_the_target(self) -> None:
        assert task_of(np.array(["a", "b"])) == "classification"
        assert task_of(np.array([0, 1, 2])) == "classification"
        assert task_of(np.arange(50)) == "regression"
        assert task_of(np.array([0.5, 1.0])) == "regression"

    def test_arrays_of_numpy_work_by_path(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npz"
        np.savez(path, pictures=np.zeros((5, 3, 4, 4), np.uint8), label=np.arange(5) % 2)
        data = tables.npz_file(str(path), "pictures", "label")
        assert (data.rows.X.shape, data.image_shape, data.task) == ((5, 48), (3, 4, 4), "classification")
        assert tables.npz_file(str(path), "pictures", None).task == "clustering"
        with pytest.raises(UsageError, match=r"data.target=lable is no array of .*; did you mean label\?"):
            tables.npz_file(str(path), "pictures", "lable")
        np.savez(path, X=np.array([{"code": "runs"}], dtype=object), y=np.zeros(1))
        with pytest.raises(UsageError, match="is no archive of plain arrays"):
            tables.npz_file(str(path))


def test_text_is_utf_8_where_it_is_valid_as_that() -> None:
    assert decoded("\ufeffé".encode()) == "é"
    assert decoded("é".encode()) == "é"
    assert decoded("é’".encode("cp1252")) == "é’"


class TestImages:
    def test_idx_files_are_read_by_their_header(self) -> None:
        content = b"\x00\x00\x08\x03" + struct.pack(">3I", 2, 1, 3) + bytes(range(6))
        assert images.idx(content, "x").tolist() == [[[0, 1, 2]], [[3, 4, 5]]]

    @pytest.mark.parametrize(
        "content",
        [b"", b"\x00\x00\x08\x01\x00", b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", b"\x00\x00\x08\x01\x00\x00\x00\x05abc"],
    )
    def test_what_is_no_idx_file_is_refused(self, content: bytes) -> None:
        with pytest.raises(RunError, match=r"x (is no IDX file|holds)"):
            images.idx(content, "x")

    def test_a_folder_of_folders_of_pictures_has_their_names_as_classes(self, tmp_path: Path) -> None:
        from PIL import Image

        for i, name in enumerate(("cats", "dogs")):
            (tmp_path / name).mkdir()
            for number in range(2):
                Image.new("RGB", (8, 6), (200 * i, number, 7)).save(tmp_path / name / f"{number}.png")
        data = images.image_folder(str(tmp_path), (3, 4), grey=False)
        assert (data.classes, data.image_shape, data.rows.X.shape) == (("cats", "dogs"), (3, 3, 4), (4, 36))
        assert data.rows.y is not None
        assert data.rows.y.tolist() == [0, 0, 1, 1]
        # Channel by channel: red first.
        assert data.rows.X[2].reshape(3, 12)[:, 0].tolist() == [200, 0, 7]
        assert images.image_folder(str(tmp_path / "cats"), (3, 4), grey=True).task == "clustering"
        with pytest.raises(UsageError, match="is no folder of images"):
            images.image_folder(str(tmp_path / "nothing"), (3, 4), grey=True)
        (tmp_path / "empty").mkdir()
        with pytest.raises(UsageError, match="holds no images"):
            images.image_folder(str(tmp_path / "empty"), (3, 4), grey=True)

    def test_a_picture_gives_its_pixels_within_200_by_400(self, tmp_path: Path) -> None:
        from PIL import Image

        Image.new("RGBA", (800, 400), (1, 2, 3, 100)).save(tmp_path / "a.png")
        data = images.image(str(tmp_path / "a.png"))
        assert data.extra["image"].shape == (100, 200, 3)
        assert np.unique(data.rows.X, axis=0).tolist() == [[1, 2, 3]]
        assert images.image("china.jpg").rows.X.shape == (200 * 133, 3)
        (tmp_path / "b.png").write_text("no picture")
        with pytest.raises(UsageError, match="is no image that can be read"):
            images.image(str(tmp_path / "b.png"))

    def test_cifar_10_is_read_from_its_archive(self, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as tape:
            for i, name in enumerate([*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]):
                content = bytes([i]) + bytes([10 * i]) * 3072
                info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                info.size = len(content)
                tape.addfile(info, io.BytesIO(content))
        data = images.cifar10(f"{ANYWHERE}cifar-10-binary.tar.gz", str(tmp_path), nobody)
        assert data.rows.y is not None
        assert (data.rows.X.shape, data.rows.y.tolist()) == ((5, 3072), [0, 1, 2, 3, 4])
        assert data.held_out is not None
        assert (data.held_out.X[0, 0], data.image_shape) == (50, (3, 32, 32))


class TestRatings:
    def test_leading_lines_that_are_no_triples_are_skipped(self) -> None:
        pairs = ratings.triples(["18800", "92834", "2\t51\t13883", "4\t52\t1", ""], "\t")
        assert (pairs.user.tolist(), pairs.item.tolist(), pairs.value.tolist()) == ([2, 4], [51, 52], [13883, 1])
        assert ratings.triples(["userID\tartistID\tweight", "2\t51\t3"], "\t").user.tolist() == [2]

    def test_a_line_within_that_is_no_triple_is_named(self) -> None:
        with pytest.raises(UsageError, match="line 2 of the ratings is no user, item and value: 'x'"):
            ratings.triples(["1,2,3", "x"], ",")
        with pytest.raises(UsageError, match="hold no line of user, item and value"):
            ratings.triples(["a;b;c"], ",")

    def test_numbers_with_gaps_become_rows_and_columns_and_zero_is_not_missing(self) -> None:
        data = ratings.as_dataset(ratings.triples(["7,100,0", "7,50,2", "9,100,4"], ","), names={100: "hundred"})
        assert data.rows.X.toarray().tolist() == [[2, 0], [0, 4]]
        assert data.rows.X.nnz == 3
        assert data.items == ("50", "hundred")

    def test_plays_are_scaled(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("user,item,plays\n1,1,1\n1,2,99\n")
        data = ratings.ratings_file(str(tmp_path / "a.csv"), ",", "log1p", 0, 0)
        assert data.rows.X.data == pytest.approx(np.log([2, 100]))
        assert ratings.ratings_file(str(tmp_path / "a.csv"), ",", "binary", 0, 0).rows.X.data.tolist() == [1, 1]
        with pytest.raises(UsageError, match=r"there is no data.scale=log; did you mean log1p"):
            ratings.ratings_file(str(tmp_path / "a.csv"), ",", "log", 0, 0)
        with pytest.raises(UsageError, match=r"data.least is 5; it must be above data.give=5"):
            ratings.ratings_file(str(tmp_path / "a.csv"), ",", "none", 5, 5)

    def test_movielens_is_read_from_its_archive(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "ml-latest-small.zip", "w") as packed:
            packed.writestr("ml-latest-small/ratings.csv", "userId,movieId,rating,timestamp\n1,3,4.5,9\n2,1,0.5,9\n")
            packed.writestr("ml-latest-small/movies.csv", 'movieId,title,genres\n1,"Toys, a story",x\n3,Heat,y\n')
        data = ratings.movielens(f"{ANYWHERE}ml-latest-small.zip", str(tmp_path), "none", 0, 0, nobody)
        assert data.rows.X.toarray().tolist() == [[0, 4.5], [0.5, 0]]
        assert data.items == ("Toys, a story", "Heat")


class Site(ThreadingHTTPServer):
    """Files over HTTP, and how often they were asked for."""

    def __init__(self, folder: Path):
        self.asked: list[str] = []
        site = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                super().do_GET()

            def log_message(self, *words: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "site").mkdir()
    with Site(tmp_path / "site") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RLKIT_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


class TestDownloads:
    def test_a_file_is_downloaded_once_and_checked_afterwards(
        self, site: Site, tmp_path: Path, own_cache: Path
    ) -> None:
        (tmp_path / "site" / "a.txt").write_bytes(b"hello")
        said: list[str] = []
        place = DataSource("toy", site.url, notify=said.append)
        assert [read(place, "a.txt") for _ in range(2)] == [b"hello", b"hello"]
        assert site.asked == ["/a.txt"]
        assert place.root.parent == own_cache / "toy"
        assert said == [f"downloading {site.url}a.txt to {place.root / 'a.txt'}"]
        (place.root / "a.txt").write_bytes(b"other")
        with pytest.raises(RunError, match=r"a.txt is not what was downloaded \(a.txt.sha256\); delete both"):
            read(place, "a.txt")

    def test_archives_and_packed_files_are_unpacked(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "site" / "a.gz").write_bytes(gzip.compress(b"packed"))
        assert read(DataSource("toy", site.url), "a.gz") == b"packed"
        with zipfile.ZipFile(tmp_path / "site" / "b.zip", "w") as archive:
            archive.writestr("folder/b.txt", b"inside")
        place = DataSource("other", f"{site.url}b.zip")
        assert read(place, "b.txt") == b"inside"
        with pytest.raises(RunError, match=r"b.zip holds no c.txt"):
            read(place, "c.txt")

    @pytest.mark.parametrize("content", [b"", b"<html>", b"\x1f\x8b", b"PK\x05\x06", "cut.zip", "cut.tar.gz"], ids=str)
    def test_a_damaged_archive_is_named(self, content: bytes | str, tmp_path: Path) -> None:
        if isinstance(content, str):
            (tmp_path / "inside").mkdir()
            (tmp_path / "inside" / "a.txt").write_text("some text" * 100)
            kind = {"cut.zip": "zip", "cut.tar.gz": "gztar"}[content]
            whole = Path(shutil.make_archive(str(tmp_path / "whole"), kind, tmp_path / "inside")).read_bytes()
            content = whole[: len(whole) // 2]
        for name in ("b.zip", "a.gz"):
            (tmp_path / name).write_bytes(content)
        with pytest.raises(RunError, match=r"b\.zip cannot be read: .*; get it again$|b\.zip holds no a\.txt"):
            read(DataSource("toy", "http://x/b.zip", str(tmp_path)), "a.txt")
        if content[:2] == b"\x1f\x8b":
            with pytest.raises(RunError, match=r"a\.gz cannot be read: it is packed with gzip, and damaged: "):
                read(DataSource("toy", None, str(tmp_path)), "a.gz")

    def test_what_is_not_the_published_content_is_not_kept(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "site" / "a.txt").write_bytes(b"damaged")
        md5_of_hello = "5d41402abc4b2a76b9719d911017c592"
        place = DataSource("toy", site.url, checksums={"a.txt": md5_of_hello})
        with pytest.raises(RunError, match="its content is not the published one"):
            read(place, "a.txt")
        assert list(place.root.iterdir()) == []
        (tmp_path / "site" / "a.txt").write_bytes(b"hello")
        assert read(place, "a.txt") == b"hello"

    def test_offline_one_line_says_which_file_to_put_where(self, own_cache: Path) -> None:
        with pytest.raises(RunError) as caught:
            images.mnist(ANYWHERE, None, "test", lambda line: None)
        line = str(caught.value)
        assert line.startswith(f"cannot download {ANYWHERE}t10k-images-idx3-ubyte.gz (")
        root = DataSource("mnist", ANYWHERE).root
        assert root.parent == own_cache / "mnist"
        assert f"put it into {root}, or name a folder that holds it with data.folder=…" in line
        assert "\n" not in line
        assert not list(own_cache.rglob("*.*"))

    def test_what_is_missing_at_its_origin_is_told(self, site: Site) -> None:
        with pytest.raises(
            RunError, match=r"cannot download .*a.txt \(404 Client Error: File not found for url: .*\): get a.txt from"
        ):
            read(DataSource("toy", site.url), "a.txt")

    def test_what_no_program_can_download_is_told(self, own_cache: Path) -> None:
        with pytest.raises(UsageError, match=r"cannot be downloaded by a program: get train.csv from https://page"):
            tables.house_prices(None, "https://page", None, nobody)

    def test_a_users_folder_is_never_downloaded_into(self, site: Site, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"data.folder=.* holds no a.txt; put it there"):
            read(DataSource("toy", site.url, str(tmp_path)), "a.txt")
        assert site.asked == []

    def test_a_users_own_copy_that_differs_is_used_and_told(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("mine")
        said: list[str] = []
        place = DataSource("toy", None, str(tmp_path), checksums={"a.txt": "0" * 64}, notify=said.append)
        assert read(place, "a.txt") == b"mine"
        assert "is not the published file" in said[0]

    def test_a_connection_that_ends_early_leaves_nothing(self, own_cache: Path) -> None:
        class Short(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"hello")

            def log_message(self, *words: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Short) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            with pytest.raises(
                RunError, match=r"cannot download .*a.txt \(.*5 bytes read, 95 more expected.*\): get a.txt"
            ):
                read(DataSource("toy", f"http://127.0.0.1:{server.server_port}/"), "a.txt")
            server.shutdown()
        assert not list(own_cache.rglob("*.*"))

    def test_the_cache_is_the_platforms(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("RLKIT_DATA")
        assert cache.cache_folder() == Path(platformdirs.user_cache_dir("rlkit"))


@real
class TestRealFiles:
    def test_house_prices(self) -> None:
        data = tables.house_prices(None, "", shared("house_prices"), nobody)
        assert data.rows.X.shape == (1460, 79)
        assert len(text_columns(data.rows.X)) == 43
        masonry = data.rows.X[:, data.features.index("MasVnrType")]
        assert ([*masonry].count("None"), [*masonry].count(None)) == (864, 8)
        three = tables.house_prices(["OverallQual", "GrLivArea", "GarageCars"], "", shared("house_prices"), nobody)
        assert three.unlabeled is not None
        assert three.ids is not None
        assert (three.rows.X.dtype, three.unlabeled.X.shape) == (np.float64, (1459, 3))
        assert three.ids[1][np.isnan(three.unlabeled.X[:, 2])].tolist() == [2577]
        assert three.ids[1][[0, -1]].tolist() == [1461, 2919]

    def test_mnist(self) -> None:
        data = images.mnist(ANYWHERE, shared("mnist"), "test", nobody)
        assert data.rows.y is not None
        assert data.rows.X.shape == (10_000, 784)
        assert (data.rows.X.mean(), data.rows.X.std()) == pytest.approx((33.791, 79.172), abs=1e-3)
        assert data.rows.y[:5].tolist() == [7, 2, 1, 0, 4]
        assert np.bincount(data.rows.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        assert ((data.rows.X == 0).all(0)).sum() == 116

    def test_movie_reviews(self) -> None:
        data = texts.movie_reviews(f"{ANYWHERE}a.tar.gz", shared("movie_reviews"), nobody)
        assert np.bincount(data.rows.y).tolist() == [5331, 5331]
        assert data.rows.X[0] == "simplistic , silly and tedious ."
        words = [len(text.split()) for text in data.rows.X]
        assert (min(words), max(words), round(np.mean(words))) == (1, 59, 21)

    def test_lastfm(self) -> None:
        data = ratings.lastfm(f"{ANYWHERE}a.zip", shared("lastfm"), "none", 15, 35, nobody)
        matrix = data.rows.X
        assert (matrix.shape, matrix.nnz) == ((1892, 17632), 92_834)
        assert matrix.nnz / np.prod(matrix.shape) == pytest.approx(0.002783, abs=1e-6)
        assert (matrix.data.min(), matrix.data.max(), np.median(matrix.data)) == (1, 352_698, 260)
        row = int(np.searchsorted(data.extra["users"], 1236))
        plays = matrix[[row]].toarray()[0]
        scaled = (np.sort(plays)[::-1][:3] - 1) / 352_697
        assert scaled == pytest.approx([0.196486, 0.052734, 0.043204], abs=1e-6)
        top = int(matrix.data.argmax())
        user = int(np.searchsorted(matrix.indptr, top, side="right")) - 1
        assert (data.extra["users"][user], data.extra["items"][matrix.indices[top]]) == (1642, 72)

"""Images: handwritten digits, articles of clothing, small photographs, a folder of files, and one file's pixels."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.config.messages import nearest
from rlkit.core.ranges import PositiveInt
from rlkit.core.resources import require_memory
from rlkit.core.types import Array, FromRun, RunError, UsageError
from rlkit.learners.datasets.cache import DataSource, read
from rlkit.learners.datasets.dataset import Dataset, Rows

CLOTHES = ("t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PARTS = {"train": ("train",), "test": ("t10k",), "all": ("train", "t10k")}
CHECKSUMS = {
    "t10k-images-idx3-ubyte.gz": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte.gz": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of MNIST's files, unpacked."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
THUMBNAIL = (200, 400)
"""Greatest width and height of the image whose pixels are clustered."""


def mnist(url: str, folder: str | None, part: str, notify: FromRun[Callable[[str], None]]) -> Dataset:
    """Return MNIST: 28 x 28 gray images of digits, flat, 0 to 255.

    Args:
        url: of the folder of the four files.
        folder: the user's own folder with them; of ``part=test`` two are enough.
        part: train (60,000), test (10,000), or all: fitted on train and scored on test.
        notify: takes a line for the user.

    Raises:
        UsageError: the user's folder does not hold the files, or there is no such part.
        RunError: they cannot be downloaded, or are not of the format.
    """
    place = DataSource("mnist", url, folder, checksums=CHECKSUMS, notify=notify)
    return _idx_dataset(place, part, tuple("0123456789"))


def fashion_mnist(url: str, folder: str | None, part: str, notify: FromRun[Callable[[str], None]]) -> Dataset:
    """Return Fashion-MNIST: 28 x 28 gray images of clothes; arguments as in `mnist`."""
    return _idx_dataset(DataSource("fashion_mnist", url, folder, notify=notify), part, CLOTHES)


def _idx_dataset(place: DataSource, part: str, classes: tuple[str, ...]) -> Dataset:
    if part not in PARTS:
        raise UsageError(f"there is no data.part={part}{nearest(part, PARTS)}")
    halves = [_idx_rows(place, prefix) for prefix in PARTS[part]]
    held_out = halves[1] if len(halves) == 2 else None
    return Dataset("classification", halves[0], (), "class", classes, (1, 28, 28), held_out)


def _idx_rows(place: DataSource, prefix: str) -> Rows:
    images = idx(read(place, f"{prefix}-images-idx3-ubyte.gz"), f"{prefix}-images-idx3-ubyte")
    labels = idx(read(place, f"{prefix}-labels-idx1-ubyte.gz"), f"{prefix}-labels-idx1-ubyte")
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise RunError(f"{place.root}: {list(images.shape)} images do not go with {list(labels.shape)} labels")
    return Rows(images.reshape(len(images), -1).astype(np.float32), labels.astype(np.int64))


def idx(content: bytes, name: str) -> Array:
    """Return the array [...] uint8 in an IDX file: a magic number, a big-endian length for each dimension, the bytes.

    Raises:
        RunError: it is no such file, or is truncated.
    """
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise RunError(f"{name} is no IDX file of bytes: it starts with {content[:4].hex(' ')}")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    shape = struct.unpack(f">{dimensions}I", content[4:start]) if len(content) >= start else ()
    if len(content) - start != int(np.prod(shape, dtype=np.int64)) or len(shape) != dimensions:
        raise RunError(f"{name} holds {len(content):,} bytes, which do not go with its shape {list(shape)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def cifar10(url: str, folder: str | None, notify: FromRun[Callable[[str], None]]) -> Dataset:
    """Return CIFAR-10: 50,000 color images of 32 x 32 to learn from and 10,000 held out, 0 to 255.

    Args:
        url: of the archive of the binary version, which needs no pickle.
        folder: the user's own folder with ``data_batch_1.bin`` to 5 and ``test_batch.bin``, or the archive.
        notify: takes a line for the user.

    Raises:
        UsageError: the user's folder does not hold the files.
        RunError: they cannot be downloaded, or are not of the format.
    """
    place = DataSource("cifar10", url, folder, notify=notify)
    train = [_cifar_rows(place, f"data_batch_{i}.bin") for i in range(1, 6)]
    X, y = (np.concatenate(parts) for parts in zip(*train, strict=True))
    held_out = Rows(*_cifar_rows(place, "test_batch.bin"))
    return Dataset("classification", Rows(X, y), (), "class", THINGS, (3, 32, 32), held_out)


def _cifar_rows(place: DataSource, file: str) -> tuple[Array, Array]:
    content = np.frombuffer(read(place, file), np.uint8)
    if not len(content) or len(content) % 3073:
        raise RunError(f"{place.root / file} holds {len(content):,} bytes, which are no records of 3,073")
    records = content.reshape(-1, 3073)
    return records[:, 1:].astype(np.float32), records[:, 0].astype(np.int64)


def image_folder(path: str, size: Sequence[PositiveInt], grey: bool) -> Dataset:
    """Return the images in the folders of a folder, each folder a class; or those in the folder, without classes.

    Args:
        path: the folder.
        size: height and width that every image is brought to.
        grey: one channel instead of three.

    Raises:
        UsageError: there are no images.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise UsageError(f"data.path={path} is no folder of images")
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir())
    by_class = [_picture_files(folder) for folder in folders] if folders else [_picture_files(root)]
    files = [file for group in by_class for file in group]
    if not files:
        raise UsageError(f"data.path={path} holds no images ({', '.join(SUFFIXES)}), nor folders of them")
    if len(size) != 2:
        raise UsageError(f"data.size is {list(size)}; it must be [height, width], e.g. [28,28]")
    area = math.prod(size) * (1 if grey else 3)
    what = f"{len(files):,} images of {size[0]:,} x {size[1]:,}"
    require_memory(8 * area * len(files), what, "set {size} lower")
    X = np.stack([flat_image(file, size, grey) for file in files])
    shape = (1 if grey else 3, int(size[0]), int(size[1]))
    if not folders:
        return Dataset("clustering", Rows(X), image_shape=shape)
    y = np.repeat(np.arange(len(folders)), [len(group) for group in by_class])
    names = tuple(folder.name for folder in folders)
    return Dataset("classification", Rows(X, y), (), "folder", names, shape)


def _picture_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def flat_image(file: Path, size: Sequence[int], grey: bool) -> Array:
    """Return an image as a row [channels * height * width] float32, 0 to 255.

    Raises:
        UsageError: it cannot be read.
    """
    image = _opened(file).convert("L" if grey else "RGB").resize((int(size[1]), int(size[0])))
    pixels = np.asarray(image, np.float32)
    return (pixels[None] if grey else pixels.transpose(2, 0, 1)).ravel()


def _opened(file: Path) -> Any:
    from PIL import Image

    try:
        return Image.open(file)
    except OSError as error:
        raise UsageError(f"{file} is no image that can be read: {error.strerror or error}") from error


def image(path: str) -> Dataset:
    """Return the pixels of an image, [pixels, 3] from 0 to 255, to be put into clusters of like colors.

    It is made smaller to fit into 200 x 400; what is transparent counts as it is without transparency.

    Args:
        path: a file, or ``china.jpg`` or ``flower.jpg``, which scikit-learn brings.

    Raises:
        UsageError: it cannot be read.
    """
    file = Path(path).expanduser()
    if not file.exists() and path in ("china.jpg", "flower.jpg"):
        import sklearn.datasets

        file = Path(sklearn.datasets.__file__).with_name("images") / path
    image = _opened(file).convert("RGB")
    # Box sampling mixes colors where they meet; nearest keeps flat ones as they are.
    width, height = image.size
    scale = max(width / THUMBNAIL[0], height / THUMBNAIL[1], 1)
    small = image.resize((max(1, round(width / scale)), max(1, round(height / scale))), 0)
    pixels = np.asarray(small, np.uint8)
    X = pixels.reshape(-1, 3).astype(np.float64)
    return Dataset("clustering", Rows(X), ("red", "green", "blue"), extra={"image": pixels})

"""Fashion-MNIST: pictures of clothes, as large and as many as the digits of MNIST, but harder."""

from __future__ import annotations

from pathlib import Path

from pushforward.data.fetching import Known, cache_folder, obtain
from pushforward.data.idx import parse_idx
from pushforward.data.raw import Raw

__all__ = ["CLASSES", "read_fashion"]

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

# Where the Debian package dataset-fashion-mnist puts them.
SYSTEM = Path("/usr/share/datasets/fashion-mnist")

MIRRORS = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)

# The size and the sha256 of the decompressed files.
FILES = {
    "train-images-idx3-ubyte": (
        47040016,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train-labels-idx1-ubyte": (
        60008,
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "t10k-images-idx3-ubyte": (
        7840016,
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "t10k-labels-idx1-ubyte": (
        10008,
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}


def read_fashion(test: bool = False, labels: bool = True) -> Raw:
    """The 60,000 training or 10,000 test pictures of Fashion-MNIST, with their classes.

    Gray pictures of 28 x 28 pixels, 8 bits each, in ten classes of equal size (Xiao, Rasul &
    Vollgraf 2017, https://arxiv.org/abs/1708.07747; MIT license). Read from the Debian package
    dataset-fashion-mnist if it is installed, else from the cache folder (`$PUSHFORWARD_CACHE` or
    `~/.cache/pushforward`), into which the files are downloaded once: 31 MB in all.

    Raises `InputError` if they cannot be downloaded, or do not have the known checksum.
    """
    part = "t10k" if test else "train"
    return Raw(
        parse_idx(*_content(f"{part}-images-idx3-ubyte")),
        parse_idx(*_content(f"{part}-labels-idx1-ubyte")) if labels else None,
        "Fashion-MNIST, test part" if test else "Fashion-MNIST",
        classes=CLASSES,
    )


def _content(name: str) -> tuple[bytes, str]:
    size, sha256 = FILES[name]
    file = Known(name, size, sha256, tuple(f"{mirror}{name}.gz" for mirror in MIRRORS))
    hint = ", or install the Debian package dataset-fashion-mnist"
    return obtain(file, cache_folder() / "fashion-mnist", [SYSTEM], hint), name

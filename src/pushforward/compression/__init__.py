"""Lossless compression by a model with latents: bits-back coding."""

from pushforward.compression.archiving import Unpacked, compress, decompress, read
from pushforward.compression.bits_back import LatentCode, decode, encode
from pushforward.compression.container import Archive

__all__ = [
    "Archive",
    "LatentCode",
    "Unpacked",
    "compress",
    "decode",
    "decompress",
    "encode",
    "read",
]

"""Lossless compression by a model with latents: bits-back coding."""

from pushforward.compression.bits_back import LatentCode, decode, encode
from pushforward.compression.container import Archive

__all__ = ["Archive", "LatentCode", "decode", "encode"]

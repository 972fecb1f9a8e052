"""What the names of built-in data stand for, as in `_names`: nothing is imported here."""

from __future__ import annotations

from typing import Any

__all__ = ["DATA"]

DATA: dict[str, Any] = {
    "digits": "data.digits.read_digits",
    "fashion-mnist": "data.fashion.read_fashion",
    "fashion-mnist-test": ("data.fashion.read_fashion", {"test": True}),
    "scenes": "data.scene_data.read_scenes",
    "scenes-held-out": ("data.scene_data.read_scenes", {"held_out": True}),
    "qm9": "molecules.read_qm9",
    "qm9-validation": ("molecules.read_qm9", {"part": "validation"}),
    "qm9-test": ("molecules.read_qm9", {"part": "test"}),
    "photographs": "data.photographs.read_photographs",
    "photographs-test": ("data.photographs.read_photographs", {"test": True}),
    "two_moons": "data.toys.two_moons",
    "8gaussians": "data.toys.gaussians_8",
    "25gaussians": "data.toys.gaussians_25",
    "checkerboard": "data.toys.checkerboard",
    "swiss_roll": "data.toys.swiss_roll",
    "pinwheel": "data.toys.pinwheel",
    "markov-letters": "data.markov_letters.markov_letters",
}
"""Toy distributions, pictures, texts and molecules."""

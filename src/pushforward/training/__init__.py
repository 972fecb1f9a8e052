"""Training: one loop for every model, and checkpoints that resume exactly."""

from pushforward.training.fitting import fit
from pushforward.training.rectifying import Rectification, Round, rectify, straightness
from pushforward.training.run import Run
from pushforward.training.settings import Settings
from pushforward.training.sizing import sized
from pushforward.training.trackers import JsonLines, TensorBoard, Tracker

__all__ = [
    "JsonLines",
    "Rectification",
    "Round",
    "Run",
    "Settings",
    "TensorBoard",
    "Tracker",
    "fit",
    "rectify",
    "sized",
    "straightness",
]

"""Data: one door in, `load`; one form inside, `Data`; one door out, `write`; a doctor, `examine`.

`pushforward list data` names the built-in data sets. Files of pictures, parquet tables and the
digits need the extra `data`; arrays, `.npy`, `.npz`, text tables and the toy distributions need
nothing.
Fashion-MNIST is read from a Debian package, or downloaded once. Scenes of colored shapes with
captions are drawn by `render_scenes`, and read from pictures by `parse_scenes`.
"""

from pushforward.data.alphabet import Alphabet
from pushforward.data.captions import Caption
from pushforward.data.dataset import Data
from pushforward.data.doctor import Finding, examine
from pushforward.data.field_files import to_xarray
from pushforward.data.field_patches import in_patches, patches_of
from pushforward.data.given import condition_on, joint, joint_table
from pushforward.data.joined_texts import joined_texts
from pushforward.data.loading import load
from pushforward.data.scene_parser import matches_captions, parse_scenes
from pushforward.data.scenes import Scene, SceneShape, render_scenes
from pushforward.data.schema import Column, Schema
from pushforward.data.writing import write

__all__ = [
    "Alphabet",
    "Caption",
    "Column",
    "Data",
    "Finding",
    "Scene",
    "SceneShape",
    "Schema",
    "condition_on",
    "examine",
    "in_patches",
    "joined_texts",
    "joint",
    "joint_table",
    "load",
    "matches_captions",
    "parse_scenes",
    "patches_of",
    "render_scenes",
    "to_xarray",
    "write",
]

"""Data: one door in, `load`; one form inside, `Data`; one door out, `write`; a doctor, `examine`.

`pushforward list data` names the built-in data sets. Files of pictures, parquet tables and the
digits need the extra `data`; arrays, `.npy`, `.npz`, text tables and the toy distributions need
nothing.
Fashion-MNIST is read from a Debian package, or downloaded once.
"""

from pushforward.data.dataset import Data
from pushforward.data.doctor import Finding, examine
from pushforward.data.loading import load
from pushforward.data.schema import Column, Schema
from pushforward.data.writing import write

__all__ = ["Column", "Data", "Finding", "Schema", "examine", "load", "write"]

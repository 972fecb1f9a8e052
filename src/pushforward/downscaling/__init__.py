"""Fine fields from coarse ones that have no pairs.

A bridge between two stores, `pushforward bridge --source coarse.zarr --target fine.zarr`, starts
from coarse fields on the grid of the fine ones: `refined` brings them there, by the operator that
`refinement` reads off both grids and that also constrains and judges what comes out.
"""

from pushforward.downscaling.refined import refined, refinement_of
from pushforward.downscaling.refinement import Refinement, refinement

__all__ = ["Refinement", "refined", "refinement", "refinement_of"]

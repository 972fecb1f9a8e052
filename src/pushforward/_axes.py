"""What the axes of short names are called, and what their objects are."""

from __future__ import annotations

__all__ = ["KINDS", "ONE"]

ONE: dict[str, str] = {
    "bridges": "method",
    "data": "built-in data set",
    "debiasings": "bias correction",
    "discrepancies": "discrepancy",
    "energy-training": "training of energies",
    "guidance": "guidance",
    "learned-samplers": "learned sampler",
    "posteriors": "posterior method",
    "rates": "set of rates",
    "processes": "process",
    "score-matching": "score matching",
    "times": "distribution of training times",
}
"""What messages call one of an axis, where it is not the axis without its `s`."""

KINDS: dict[str, str] = {
    "bridges": "schrodinger.Method",
    "couplings": "couplings.Coupling",
    "debiasings": "downscaling.Debiasing",
    "downscalers": "downscaling.Downscaler",
    "grids": "grids.Grid",
    "learned-samplers": "learned_samplers.PathPair",
    "noises": "inverse.Noise",
    "operators": "inverse.Operator",
    "paths": "processes.GenerativeProcess",
    "rates": "processes.Rates",
    "schedules": "schedules.Schedule",
}
"""The class that every object of an axis has, where there is one."""

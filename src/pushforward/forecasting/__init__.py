"""The next frames of fields, given the past ones.

A model of windows, `data.load(..., forecast="20:8")`, forecasts ensembles of the frames that follow
a store, `forecast`, and is judged lead by lead beside what anybody has, `verify`.
"""

from pushforward.forecasting.advection import advected, motion
from pushforward.forecasting.forecast import forecast
from pushforward.forecasting.forecaster import Forecaster
from pushforward.forecasting.recent import Recent, recent_frames
from pushforward.forecasting.references import reference_forecasts
from pushforward.forecasting.rolling import rolled_out
from pushforward.forecasting.scores import EnsembleScores, scored, skill
from pushforward.forecasting.verification import Verification, ensembles, verify, with_leads

__all__ = [
    "EnsembleScores",
    "Forecaster",
    "Recent",
    "Verification",
    "advected",
    "ensembles",
    "forecast",
    "motion",
    "recent_frames",
    "reference_forecasts",
    "rolled_out",
    "scored",
    "skill",
    "verify",
    "with_leads",
]

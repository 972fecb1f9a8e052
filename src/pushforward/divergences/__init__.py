"""Divergences of two distributions.

Closed forms for normal distributions: `gaussian`.
"""

from pushforward.divergences import gaussian

__all__ = ["gaussian"]

"""Bijections with their log-determinants."""

from pushforward.transforms.standardize import Bijection, Standardize

__all__ = ["Bijection", "Standardize"]

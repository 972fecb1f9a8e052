"""Bijections with their log-determinants."""

from pushforward.transforms.standardize import Bijection, Standardize
from pushforward.transforms.transform import Composed, Inverse, Transform

__all__ = ["Bijection", "Composed", "Inverse", "Standardize", "Transform"]

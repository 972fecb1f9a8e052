"""Reports: one self-contained page per run, and pictures of samples."""

from pushforward.report.pictures import save_picture
from pushforward.report.writing import write

__all__ = ["save_picture", "write"]

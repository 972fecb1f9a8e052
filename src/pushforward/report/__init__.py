"""Reports: one self-contained page per run or comparison, and pictures of samples."""

from pushforward.report.arviz import arviz_dict
from pushforward.report.calibration_pictures import calibration_page, calibration_picture
from pushforward.report.certificate import certificate_page
from pushforward.report.chain_page import chain_page
from pushforward.report.comparison import Comparison, Entry, compare
from pushforward.report.comparison_page import write_comparison
from pushforward.report.evidence_page import evidence_page
from pushforward.report.folds import CrossValidation, cross_validate
from pushforward.report.glance import Glance, glance
from pushforward.report.pictures import save_picture
from pushforward.report.side_by_side import SideBySide, compare_samples, side_by_side
from pushforward.report.writing import write

__all__ = [
    "Comparison",
    "CrossValidation",
    "Entry",
    "Glance",
    "SideBySide",
    "arviz_dict",
    "calibration_page",
    "calibration_picture",
    "certificate_page",
    "chain_page",
    "compare",
    "compare_samples",
    "cross_validate",
    "evidence_page",
    "glance",
    "save_picture",
    "side_by_side",
    "write",
    "write_comparison",
]

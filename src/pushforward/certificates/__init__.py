"""Certificates of samplers: how far their samples can be from the data, and what makes them so."""

from pushforward.certificates.certificate import Certificate, Term, total_variation_bound
from pushforward.certificates.certifying import certify
from pushforward.certificates.laws import DrawnLaw, KnownLaw, NormalLaw
from pushforward.certificates.schemes import Scheme, StepCost, scheme_of, step_costs

__all__ = [
    "Certificate",
    "DrawnLaw",
    "KnownLaw",
    "NormalLaw",
    "Scheme",
    "StepCost",
    "Term",
    "certify",
    "scheme_of",
    "step_costs",
    "total_variation_bound",
]

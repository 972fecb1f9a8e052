"""Certificates of samplers: how far their samples can be from the data, and what makes them so."""

from pushforward.certificates.budget import StepBudget, step_budget
from pushforward.certificates.certificate import Certificate, Term
from pushforward.certificates.certifying import certify
from pushforward.certificates.flows import FlowCertificate, flow_certificate
from pushforward.certificates.given_laws import GivenLaw
from pushforward.certificates.laws import DrawnLaw, KnownLaw, NoisyDraws, NormalLaw
from pushforward.certificates.published import Hypothesis, PublishedBound, published_bounds
from pushforward.certificates.published_flows import published_flow_bound
from pushforward.certificates.schemes import Scheme, StepCost, scheme_of, step_costs

__all__ = [
    "Certificate",
    "DrawnLaw",
    "FlowCertificate",
    "GivenLaw",
    "Hypothesis",
    "KnownLaw",
    "NoisyDraws",
    "NormalLaw",
    "PublishedBound",
    "Scheme",
    "StepBudget",
    "StepCost",
    "Term",
    "certify",
    "flow_certificate",
    "published_bounds",
    "published_flow_bound",
    "scheme_of",
    "step_budget",
    "step_costs",
]

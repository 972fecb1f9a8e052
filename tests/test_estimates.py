"""Results print what they know."""

from __future__ import annotations

import torch

from pushforward.estimates import LogProb


def test_one_state_prints_with_its_own_error() -> None:
    shown = str(LogProb(torch.tensor([-3.0]), torch.tensor([0.125]), "estimated", 10))
    assert shown == "LogProb(estimated): -3.0000 ± 0.1250 nats, nfe 10"


def test_what_has_not_converged_is_said() -> None:
    value, fine = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, False])
    found = LogProb(value, torch.ones(3), "estimated", 10, converged=fine)
    assert found.unconverged == 2
    assert "over 3 states (stderr of one 1.0000), 2 of them NOT CONVERGED, nfe 10" in str(found)


def test_an_error_that_is_shared_does_not_average_out() -> None:
    value = torch.tensor([1.0, 2.0, 3.0, 6.0])
    own = LogProb(value, torch.ones(4), "estimated", 1)
    shared = LogProb(value, torch.ones(4), "estimated", 1, shared=True)
    spread = float(value.std()) / 2
    assert abs(own.mean_stderr() - spread) < 1e-6
    assert abs(shared.mean_stderr() - (spread**2 + 1) ** 0.5) < 1e-6


def test_several_states_print_the_error_of_their_mean() -> None:
    value, error = torch.tensor([1.0, 2.0, 3.0, 6.0]), torch.tensor(0.01)
    shown = str(LogProb(value, torch.zeros(4), "ode", 7, error.expand(4)))
    stderr = float(value.std()) / 2
    assert f"mean 3.0000 ± {stderr:.4f} nats over 4 states" in shown
    assert "discretization error 0.01, nfe 7" in shown

"""Every step of fixed size compiles as one graph, and gives what it gives without."""

from __future__ import annotations

import itertools
import shutil

import pytest
import torch
import torch._inductor.config

import pushforward as pf
from pushforward import registry, samplers
from pushforward.errors import CapabilityError

FIXED = [
    name
    for name in registry.names("samplers")
    if registry.resolve("samplers", name).evaluations
    and name
    not in {
        *("tau-leap", "euler-leap", "pinned", "remdm", "gibbs"),
        *("confidence", "entropy-bounded"),
    }
]


# What a network predicts is made into a mean before a sampler sees it: each sampler is tried with
# one of two predictions, and one of a single step and one with a memory with both.
PREDICTED = [(name, ("v", "velocity")[k % 2]) for k, name in enumerate(FIXED)]
PREDICTED = list(
    dict.fromkeys([*PREDICTED, *itertools.product(("ddim", "adams"), ("v", "velocity"))])
)


# Five steps of Langevin dynamics are too few, compiled or not.
@pytest.mark.filterwarnings("ignore::pushforward.errors.ConvergenceWarning")
@pytest.mark.parametrize(("name", "predict"), PREDICTED)
def test_a_step_is_one_graph_and_changes_nothing(name: str, predict: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        # A random function of high frequency is too steep for five steps: rounding would grow.
        net = pf.nn.MLP(2, width=8, depth=2, frequencies=0)
        torch.nn.init.normal_(net.last.weight)
    model = pf.Diffusion(net, predict=predict, event_shape=(2,)).eval()
    compiled = samplers.Compiled(registry.resolve("samplers", name), backend="eager")
    found = model.sample(5, sampler=compiled, steps=5, seed=0)
    exact = model.sample(5, sampler=name, steps=5, seed=0)
    assert torch.allclose(found, exact, rtol=1e-3, atol=1e-3)


# Inductor itself calls what torch has deprecated.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_step_compiles_to_machine_code() -> None:
    # With noise, and one graph for all steps; several graphs are made above.
    # The compiler of C++ takes more than a second for each loop, and as long for each instruction
    # set that it tries: this network has few loops, and scalar code is enough.
    model = pf.Diffusion(pf.nn.MLP(2, width=8, depth=1, frequencies=0), event_shape=(2,)).eval()
    compiled = samplers.Compiled(registry.resolve("samplers", "ddpm"))
    if shutil.which("g++") is None or " " in torch.__file__:
        # Torch's compiler needs another one, and does not quote the path of its own libraries.
        with pytest.raises(CapabilityError, match="compiler, and torch installed in a path"):
            model.sample(5, sampler=compiled, steps=3, seed=0)
        return
    with torch._inductor.config.patch({"cpp.vec_isa_ok": False}):
        found = model.sample(5, sampler=compiled, steps=3, seed=0)
    assert torch.allclose(found, model.sample(5, sampler="ddpm", steps=3, seed=0), atol=1e-4)


def test_adaptive_steps_do_not() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)).eval()
    with pytest.raises(CapabilityError, match="steps of a fixed size"):
        model.sample(2, sampler=samplers.Compiled(registry.resolve("samplers", "rk45")), steps=4)


def test_a_learned_variance_is_compiled_too() -> None:
    torch.manual_seed(0)
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,))
    variance = pf.PosteriorVariance(model, pf.nn.MLP(2, width=8)).eval()
    sampler = samplers.Ancestral(variance=variance.at())
    plain = model.sample(5, sampler=sampler, steps=4, seed=0)
    compiled = samplers.Compiled(sampler, backend="eager")
    assert torch.allclose(model.sample(5, sampler=compiled, steps=4, seed=0), plain, atol=1e-5)


def test_what_cannot_be_compiled_says_so() -> None:
    def broken(graph, inputs):
        raise RuntimeError("no compiler here")

    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)).eval()
    sampler = samplers.Compiled(registry.resolve("samplers", "ddim"), backend=broken)
    with pytest.raises(CapabilityError, match="no compiler here"):
        model.sample(5, sampler=sampler, steps=4, seed=0)

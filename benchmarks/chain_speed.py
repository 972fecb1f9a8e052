"""Gradients a second of Hamiltonian Monte Carlo: ours, a plain loop, and other libraries.

The posterior of a logistic regression of 35 coefficients and 351 rows, single precision, a fixed
step and ten leapfrog steps a draw, for 1, 64 and 4,096 chains in one batch. Each library takes the
gradients in its own way; what is compared is the processor time of one thread for equal draws, in
turns, over that of the plain loop: leapfrog steps and an accept-reject test written out in torch.
Compilation is not counted. The libraries of the table that are not installed are left out, and
named. Memory is the peak of the process on top of what it holds before, each case in a process of
its own.

    python benchmarks/chain_speed.py --write
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before either library is loaded: one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import torch
from torch import Tensor

import record
import timing
from pushforward.mcmc import HMC, evaluate

ROWS, SIZE, STEP, LEAPFROGS = 351, 35, 0.02, 10
CHAINS = (1, 64, 4096)
CASES = ("plain loop", "pushforward", "blackjax", "numpyro")
NEEDS = {"blackjax": "blackjax", "numpyro": "numpyro"}


def data() -> tuple[Tensor, Tensor]:
    """Columns and signs of a regression."""
    noise = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, SIZE, generator=noise)
    return x, (x[:, 0] + torch.randn(ROWS, generator=noise)).sign()


def _density() -> Callable[[Tensor], Tensor]:
    x, y = data()

    def log_p(z: Tensor) -> Tensor:
        return -0.5 * z.square().sum(-1) - torch.nn.functional.softplus(-y * (z @ x.mT)).sum(-1)

    return log_p


def plain(chains: int, draws: int) -> Callable[[], object]:
    """Leapfrog steps and the test, written out."""
    log_p, noise = _density(), torch.Generator().manual_seed(1)

    def gradient(z: Tensor) -> tuple[Tensor, Tensor]:
        z = z.detach().requires_grad_(True)
        value = log_p(z)
        return value.detach(), torch.autograd.grad(value.sum(), z)[0]

    def run() -> Tensor:
        z = torch.zeros(chains, SIZE)
        value, slope = gradient(z)
        for _ in range(draws):
            p = torch.randn(chains, SIZE, generator=noise)
            q, to, at, energy = z, slope, value, value - 0.5 * p.square().sum(-1)
            for _ in range(LEAPFROGS):
                p = p + 0.5 * STEP * to
                q = q + STEP * p
                at, to = gradient(q)
                p = p + 0.5 * STEP * to
            rise = at - 0.5 * p.square().sum(-1) - energy
            taken = torch.rand(chains, generator=noise).log() < rise
            z = torch.where(taken[:, None], q, z)
            slope = torch.where(taken[:, None], to, slope)
            value = torch.where(taken, at, value)
        return z

    return run


def ours(chains: int, draws: int) -> Callable[[], object]:
    """The kernel of this library, without adaptation."""
    log_p, noise = _density(), torch.Generator().manual_seed(1)
    kernel = HMC(STEP, LEAPFROGS)

    def run() -> Tensor:
        state = evaluate(log_p, torch.zeros(chains, SIZE))
        for _ in range(draws):
            state = kernel.move(log_p, state, STEP, noise).state
        return state.x

    return run


def _jax_density() -> Callable[[Any], Any]:
    import jax
    import jax.numpy as jnp

    x, y = (jnp.array(part.numpy()) for part in data())
    return lambda z: -0.5 * (z**2).sum() - jax.nn.softplus(-y * (x @ z)).sum()


def blackjax_chains(chains: int, draws: int) -> Callable[[], object]:
    """`blackjax.hmc`, compiled, mapped over chains."""
    import blackjax
    import jax
    import jax.numpy as jnp

    kernel = blackjax.hmc(_jax_density(), STEP, jnp.ones(SIZE), LEAPFROGS)

    def one(key: Any, z: Any) -> Any:
        def step(state: Any, key: Any) -> Any:
            return kernel.step(key, state)[0], None

        return jax.lax.scan(step, kernel.init(z), jax.random.split(key, draws))[0].position

    run = jax.jit(jax.vmap(one))
    keys, start = jax.random.split(jax.random.PRNGKey(0), chains), jnp.zeros((chains, SIZE))
    return lambda: jax.block_until_ready(run(keys, start))


def numpyro_chains(chains: int, draws: int) -> Callable[[], object]:
    """`numpyro.infer.hmc.hmc`, compiled, mapped over chains, no adaptation."""
    import jax
    import jax.numpy as jnp
    from numpyro.infer import hmc

    density = _jax_density()
    init, kernel = hmc.hmc(potential_fn=lambda z: -density(z), algo="HMC")

    def one(key: Any, z: Any) -> Any:
        state = init(
            z, num_warmup=0, step_size=STEP, num_steps=LEAPFROGS, adapt_step_size=False,
            adapt_mass_matrix=False, rng_key=key,
        )  # fmt: skip
        return jax.lax.fori_loop(0, draws, lambda _, state: kernel(state), state).z

    run = jax.jit(jax.vmap(one))
    keys, start = jax.random.split(jax.random.PRNGKey(0), chains), jnp.zeros((chains, SIZE))
    return lambda: jax.block_until_ready(run(keys, start))


MAKE = {
    "plain loop": plain, "pushforward": ours, "blackjax": blackjax_chains,
    "numpyro": numpyro_chains,
}  # fmt: skip


def memory(case: str, chains: int, draws: int) -> float | None:
    """MiB of the peak beyond what is there before the first draw, in a process of its own; `None`
    where the system does not tell."""
    command = [sys.executable, __file__, "--peak", case, str(chains), str(draws)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: float | None = json.loads(done.stdout.splitlines()[-1])
    return found


def _peak(case: str, chains: int, draws: int) -> float | None:
    run = MAKE[case](chains, draws)
    forget, told = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if not told.is_file():
        return None
    # The peak so far was that of loading the libraries.
    forget.write_text("5")
    before = _kib(told, "VmRSS")
    run()
    return (_kib(told, "VmHWM") - before) / 1024


def _kib(status: Path, name: str) -> int:
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines[name].split()[0])


def text(results: list[dict[str, Any]]) -> str:
    """One row for a library and a number of chains."""
    head = ["chains", "", "time over the plain loop", "gradients a second", "MiB on top"]
    rows = [
        [f"{r['chains']:,}", r["case"], r["ratio"], f"{r['gradients a second']:,.0f}",
         "–" if r["memory"] is None else f"{r['memory']:.0f}"]
        for r in results
    ]  # fmt: skip
    return record.table(head, rows)


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few draws, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    parser.add_argument("--peak", nargs=3, metavar=("CASE", "CHAINS", "DRAWS"), help="one of them")
    options = parser.parse_args()
    timing.one_thread()
    if options.peak:
        case, chains, draws = options.peak
        print(json.dumps(_peak(case, int(chains), int(draws))))
        return
    missing = [n for n, module in NEEDS.items() if importlib.util.find_spec(module) is None]
    if missing:
        print(f"left out, not installed: {', '.join(missing)}")
    cases = [case for case in CASES if case not in missing]
    results = []
    for chains in CHAINS[:1] if options.smoke else CHAINS:
        draws = 2 if options.smoke else {1: 400, 64: 200, 4096: 10}[chains]
        runs = {case: timing.worked(MAKE[case](chains, draws)) for case in cases}
        ratios, base = timing.ratios(runs, "plain loop", 2 if options.smoke else 7)
        gradients = chains * draws * LEAPFROGS / base
        for case in cases:
            over = 1.0 if case == "plain loop" else ratios[case].median
            told = "1" if case == "plain loop" else ratios[case].text()
            results.append({
                "chains": chains, "case": case, "ratio": told,
                "gradients a second": round(gradients / over),
                "memory": memory(case, chains, draws),
            })  # fmt: skip
            print(results[-1], flush=True)
    print(text(results))
    if options.write:
        facts = {"environment": record.environment(), "results": results}
        record.save("chain_speed", facts, text(results))


if __name__ == "__main__":
    main()

"""Decay of relative entropy along the Ornstein-Uhlenbeck equation, its slope, and its inequality.

python docs/pictures/entropy_decay.py            # a minute; into docs/assets/pictures
python docs/pictures/entropy_decay.py --smoke    # small, writes nothing
"""

from __future__ import annotations

import math
from typing import Any

import torch
from matplotlib.figure import Figure

from drawing import SMOKE, Theme, draw
from line import LINE, noised
from pushforward import divergences
from pushforward.distributions import GaussianMixture, Normal

GAMMA = Normal((1,))
LAWS = {
    "$N(2, 1)$": GaussianMixture(torch.full((1, 1), 2.0, dtype=torch.float64), 1.0),
    "mixture": LINE,
    "$N(0, 0.1^2)$": GaussianMixture(torch.zeros(1, 1, dtype=torch.float64), 0.01),
}
TIMES = torch.linspace(0, 2.5, 6 if SMOKE else 51).tolist()
COARSE = [0.05, 1.0] if SMOKE else [0.05, 0.15, 0.3, 0.5, 0.75, 1.0, 1.35, 1.7, 2.05, 2.4]
DRAWS, H = 4000, 1e-3


def kl(law: GaussianMixture, t: float) -> float:
    """`KL(p_t | gamma)`, exact or by quadrature."""
    return divergences.kl(noised(t, law), GAMMA).value


def fisher(law: GaussianMixture, t: float) -> float:
    """`I(p_t | gamma)`, exact or by quadrature."""
    return divergences.fisher_divergence(noised(t, law), GAMMA).value


def drawn(law: GaussianMixture, t: float) -> tuple[float, float]:
    """`KL(p_t | gamma)` from draws of the equation, with its error."""
    generator = torch.Generator().manual_seed(round(1000 * t))
    x = law.sample(DRAWS, generator=generator)
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    x = math.exp(-t) * x + math.sqrt(-math.expm1(-2 * t)) * noise
    ratio = noised(t, law).log_prob(x) - GAMMA.log_prob(x)
    return float(ratio.mean()), float(ratio.std()) / math.sqrt(DRAWS)


def main() -> None:
    """Measure, and draw both themes."""
    values = {name: [kl(law, t) for t in TIMES] for name, law in LAWS.items()}
    rates = {name: [fisher(law, t) for t in TIMES] for name, law in LAWS.items()}
    points = {name: [drawn(law, t) for t in COARSE] for name, law in LAWS.items()}
    slopes = {
        name: [(kl(law, t - H) - kl(law, t + H)) / (2 * H) for t in COARSE]
        for name, law in LAWS.items()
    }
    for name, law in LAWS.items():
        worst = max(abs(s / fisher(law, t) - 1) for s, t in zip(slopes[name], COARSE, strict=True))
        print(f"{name}: KL {values[name][0]:.4g} at 0, {values[name][-1]:.4g} at {TIMES[-1]}; "
              f"slope and Fisher information differ by {worst:.1e} at most")  # fmt: skip

    def paint(figure: Figure, theme: Theme) -> None:
        panels: Any = figure.subplots(1, 3)
        for (name, value), color, mark in zip(values.items(), theme.colors, "os^", strict=False):
            first = value[0]
            panels[0].plot(TIMES, value, color=color, label=name)
            panels[0].plot(TIMES, [first * math.exp(-2 * t) for t in TIMES], ":", color=color,
                           linewidth=1.2)  # fmt: skip
            panels[0].errorbar(COARSE, [v for v, _ in points[name]], [e for _, e in points[name]],
                               fmt=mark, markersize=4, color=color)  # fmt: skip
            panels[1].plot(TIMES, rates[name], color=color, label=name)
            panels[1].plot(COARSE, slopes[name], mark, color=color, markersize=4)
            ratio = [2 * v / r for v, r in zip(value, rates[name], strict=True)]
            panels[2].plot(TIMES, ratio, color=color, label=name)
        panels[0].plot([], [], ":", color=theme.ink, linewidth=1.2,
                       label=r"bound $e^{-2t}\,\mathrm{KL}_0$")  # fmt: skip
        panels[0].set(title="relative entropy", ylabel=r"$\mathrm{KL}(p_t\,\|\,\gamma)$ in nats",
                      yscale="log")  # fmt: skip
        panels[0].legend(loc="lower left")
        panels[1].set(title="its slope is the Fisher information",
                      ylabel=r"$I(p_t\,|\,\gamma)$ in nats per unit of time",
                      yscale="log")  # fmt: skip
        panels[1].plot([], [], "o", color=theme.ink, markersize=4,
                       label=r"$-\frac{d}{dt}\mathrm{KL}$, differences")  # fmt: skip
        panels[1].legend(loc="upper right")
        panels[2].axhline(1, color=theme.ink, linewidth=0.8, linestyle=":")
        ratio_of = r"$2\,\mathrm{KL}(p_t\,\|\,\gamma)\;/\;I(p_t\,|\,\gamma)$"
        panels[2].set(title="log-Sobolev: at most 1", ylim=(0, 1.1), ylabel=ratio_of)
        for axes in panels:
            axes.set(xlabel="time $t$", xlim=(0, TIMES[-1]))

    draw("entropy-decay", (12, 3.8), paint)


if __name__ == "__main__":
    main()

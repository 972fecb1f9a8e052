"""What to know of a variational autoencoder and its latents, in sentences."""

from __future__ import annotations

__all__ = ["ABOUT_MEANS", "latent_warnings"]

ABOUT_MEANS = (
    "these are the decoder's means, without its noise: they vary less than the model's "
    "distribution, which log-densities, `evaluate` and `compare` are of; with fewer latents than "
    "entries they are singular, and have no density"
)
"""What whoever draws the means of a decoder should know."""


def latent_warnings(active: int, latent: int, narrowest: float | None) -> list[str]:
    """Posterior collapse, and a decoder without noise.

    Args:
        active: how many latents the data move.
        latent: of how many.
        narrowest: the floor of the decoder's deviation, if it has shrunk to it.

    >>> latent_warnings(1, 4, None)[0][:37]
    'Only 1 of 4 latents depend on the dat'
    """
    found = []
    if active == 0:
        found.append(
            "Posterior collapse: no latent depends on the data, and the decoder ignores them "
            "all: lower beta, give free_bits, or take a smaller deviation of the decoder."
        )
    elif 2 * active < latent:
        found.append(
            f"Only {active} of {latent} latents depend on the data: fewer would do, or "
            "give free_bits."
        )
    if narrowest is not None:
        found.append(
            f"The decoder's deviation has shrunk to its floor, {narrowest:g}: a constant or "
            "repeated feature makes the likelihood grow without bound, and log-densities mean "
            "little."
        )
    return found

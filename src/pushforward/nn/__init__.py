"""Networks `net(x, t, c)` that return the shape of `x`. Any module with that signature will do.

`t` has shape `(B,)` or `()`; `c` holds integer labels `(B,)`, with -1 (or `None` for all) for the
learned "no label" of classifier-free guidance.
"""

from pushforward.nn.default import default_network
from pushforward.nn.mlp import MLP
from pushforward.nn.unet import UNet

__all__ = ["MLP", "NAMES", "UNet", "default_network"]

NAMES: dict[str, type] = {"mlp": MLP, "unet": UNet}

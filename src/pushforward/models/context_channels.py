"""The state that a context holds already, such as the last of some frames."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.models.conditional_source import ConditionalSource

__all__ = ["ContextChannels"]


@configurable
class ContextChannels(ConditionalSource):
    """`x_1` as some channels of the context, without noise.

    Args:
        channels: for each channel of a state, that of the context which it starts from: of several
            leads all start from the last frame.
        given: how many channels a context has.
        sizes: of a field.

    Raises `InputError` for channels that are not there.

    >>> start = ContextChannels((1, 1), given=2, sizes=(3,))
    >>> start(torch.arange(6.0).reshape(1, 6))[0]
    tensor([[[3., 4., 5.],
             [3., 4., 5.]]])
    """

    def __init__(self, channels: tuple[int, ...], given: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.channels, self.given, self.sizes = tuple(channels), given, tuple(sizes)
        if not self.channels or not 0 <= min(self.channels) <= max(self.channels) < given:
            raise InputError(f"channels {self.channels} are not all among {given} of a context")

    def forward(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, which is zero, `(B, C, *sizes)` each.

        Raises `InputError` for contexts of another size.
        """
        if c.ndim < 2 or c[0].numel() != self.given * self._cells:
            raise InputError(
                f"a context has {self.given} channels of {self._cells} cells, not the shape "
                f"{tuple(c.shape[1:])}"
            )
        frames = c.reshape(len(c), self.given, *self.sizes)
        mean = frames[:, list(self.channels)]
        return mean, torch.zeros_like(mean)

    def on(self, sizes: tuple[int, ...]) -> ContextChannels:
        """The same channels of larger fields."""
        return ContextChannels(self.channels, self.given, sizes)

    @property
    def _cells(self) -> int:
        count = 1
        for size in self.sizes:
            count *= size
        return count


def following(data: object) -> ContextChannels:
    """The last frame of windows, for each of the leads.

    Raises `InputError` for data that are no windows of frames.
    """
    schema = data.schema  # type: ignore[attr-defined]
    if schema.windows is None or schema.frames is None:
        raise InputError(
            "a model that starts from the last frame learns from windows of frames in time: load "
            "fields with forecast=PAST:LEADS, or give start="
        )
    channels = schema.windows.last_frame(schema.frames)
    return ContextChannels(channels, schema.windows.given(schema.frames), schema.frames.sizes)

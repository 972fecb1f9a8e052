"""A network read as the prediction of a process."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import state
from pushforward.errors import InputError
from pushforward.processes import Reading
from pushforward.protocols import Time

__all__ = ["Predictor", "check_network"]

_REMEMBERED = 10_000


class Predictor(nn.Module):
    """A network `net(x, t, c)` with what its output means: the prediction of a process.

    Raises `InputError` if the network returns another shape than the reading asks for, or at a time
    where the reading is undefined.
    """

    def __init__(self, net: nn.Module, reading: Reading) -> None:
        super().__init__()
        check_network(net)
        self.net, self.reading = net, reading
        # Our networks look at a time that all states share once; any other gets plain `(B,)` times.
        self._shares_time = getattr(net, "shares_time", False)
        self._known: dict[Any, tuple[Reading, Any, Tensor, tuple[Any, ...]]] = {}

    def forward(self, x_t: Any, t: Time, c: Any = None, *told: Any) -> Any:
        """The prediction at states and times; the network gets what else is `told`."""
        row, output = self.answer(x_t, t, c, *told)
        return self.reading.read(row, output, x_t)

    def answer(self, x_t: Any, t: Time, c: Any = None, *told: Any) -> tuple[Any, Any]:
        """The row of the reading and the output of the network, as it is."""
        row, time, shape = self._at(t, x_t)
        if not self._shares_time:
            # A tensor of its own: what a network does to it in place must not reach the next call.
            time = time.repeat(state.rows(x_t)) if time.ndim == 0 else time.clone()
        if isinstance(c, Tensor) and c.is_floating_point():
            c = c.to(time.dtype)
        output = self.net(self.reading.seen(row, x_t), time, c, *told)
        if not (isinstance(output, Tensor) and output.shape == shape):
            wanted = self.reading.output_shape(state.event_shape(x_t))
            if not _fits(output, wanted, state.rows(x_t)):
                raise InputError(_misfit(self.net, output, wanted, x_t))
        return row, output

    def _at(self, t: Time, x: Any) -> tuple[Any, Tensor, tuple[Any, ...]]:
        """The row of a time, the time that the network is told, and the shape of one tensor that
        it returns.

        Those of floats are remembered: a sampler comes back to the times of its grid, and making a
        tensor takes as long as a small layer.
        """
        if isinstance(t, Tensor):
            row = self.reading.at(t)
            dtype, _ = self._float(x)
            time = torch.as_tensor(self.reading.time(row)).to(dtype)
            return row, time, self._shape(x)
        key: Any
        if isinstance(x, Tensor):
            key = (t, x.shape, x.dtype, x.device)
        else:
            key = (t, state.rows(x), state.event_shape(x), *self._float(x))
        found = self._known.get(key)
        if found is None or found[0] is not self.reading:
            row, (dtype, device) = self.reading.at(t), self._float(x)
            with torch.inference_mode(False):
                time = torch.tensor(self.reading.time(row), dtype=dtype, device=device)
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            found = self._known[key] = self.reading, row, time, self._shape(x)
        return found[1:]

    def _float(self, x: Any) -> tuple[torch.dtype, torch.device]:
        """The precision and the place of a batch; tokens have that of the network."""
        if isinstance(x, Tensor) and x.is_floating_point():
            return x.dtype, x.device
        floats = (a.dtype for a in (*state.leaves(x), *self.net.parameters()))
        dtypes = (dtype for dtype in floats if dtype.is_floating_point)
        return next(dtypes, torch.get_default_dtype()), state.device(x)

    def _shape(self, x: Any) -> tuple[Any, ...]:
        """The shape of a batch of outputs, of no meaning if they are several tensors."""
        return (state.rows(x), *self.reading.output_shape(state.event_shape(x)))


def check_network(net: Any) -> None:
    """Raise `InputError` for what is no network, or cannot be called as `net(x, t, c)`."""
    if not isinstance(net, nn.Module):
        raise InputError(f"the network is an nn.Module, not {net!r}")
    try:
        signature = inspect.signature(net.forward)
    except (TypeError, ValueError):
        return
    try:
        signature.bind("x", "t", "c")
    except TypeError:
        raise InputError(
            f"the network is called as net(x, t, c), but {type(net).__name__}.forward takes "
            f"{signature}: a network without labels takes c=None and leaves it aside"
        ) from None


def _fits(output: Any, shape: state.EventShape, n: int) -> bool:
    if isinstance(output, Tensor):
        return tuple(output.shape) == (n, *shape)
    if not isinstance(output, tuple) or len(output) != len(shape):
        return False
    pairs = zip(output, shape, strict=True)
    return all(isinstance(own, tuple) and _fits(part, own, n) for part, own in pairs)


def _misfit(net: nn.Module, output: Any, shape: state.EventShape, x_t: Any) -> str:
    what = type(output).__name__
    if isinstance(output, Tensor):
        what = str(tuple(output.shape))
    elif isinstance(output, tuple):
        what = f"{len(output)} outputs"
    given = state.event_shape(x_t)
    wish = "of the shape it is given" if shape == given else f"of shape {shape} for each state"
    return (
        f"{type(net).__name__} returned {what} for {state.rows(x_t)} states of shape {given}: a "
        f"network must return a tensor {wish}"
    )

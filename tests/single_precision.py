"""A device without double precision, as Apple's GPUs are, on any machine.

Within `single_precision()` the device `mps` is simulated on the CPU: tensors that are made there or
moved there say so, a double among them is refused, and so are sums of tensors here and there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

__all__ = ["single_precision"]

_CPU, _MPS = torch.device("cpu"), torch.device("mps")
_DEVICE = Tensor.device.__get__  # type: ignore[attr-defined]


class _There(Tensor):
    """A tensor on the device."""


class _Mode(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.device:
            return func(*args, **kwargs)
        leaves = tree_flatten((args, kwargs))[0]
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        there = [leaf for leaf in tensors if isinstance(leaf, _There)]
        if func == _DEVICE:
            return _MPS if there else _CPU
        named = [leaf for leaf in leaves if isinstance(leaf, torch.device | str)]
        asked = [torch.device(n) for n in named if str(n).split(":")[0] in ("cpu", "mps")]
        if func is Tensor.cpu:
            home = _CPU
        elif asked:
            home = asked[-1]
        elif func is Tensor.to and len(args) > 1 and isinstance(args[1], Tensor):
            home = _MPS if isinstance(args[1], _There) else _CPU
        else:
            home = _MPS if there else _CPU
            here = [x for x in tensors if not isinstance(x, _There) and x.ndim]
            if there and here and func not in (Tensor.__getitem__, Tensor.copy_):
                raise RuntimeError(f"{func} of tensors on mps and cpu")
        own = torch._C.DisableTorchFunctionSubclass()
        with own:
            args, kwargs = tree_map(_here, (args, kwargs))
            found = func(*args, **kwargs)
        return tree_map(_there, found) if home.type == "mps" else found


def _here(value: Any) -> Any:
    if isinstance(value, _There):
        return value.as_subclass(Tensor)
    if isinstance(value, torch.device) or (isinstance(value, str) and value.startswith("mps")):
        return _CPU
    return value


def _there(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    if value.dtype in (torch.float64, torch.complex128):
        raise TypeError("the device has no double precision")
    return value.as_subclass(_There)


@contextmanager
def single_precision() -> Iterator[torch.device]:
    """The device, within the block."""
    with _Mode():
        yield _MPS

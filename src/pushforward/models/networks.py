"""A network for any space: what a state is as numbers goes in, what the process reads comes out."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from pushforward import nn as nets
from pushforward import registry, state
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.models.contexts import conditions_for
from pushforward.processes import GenerativeProcess, Reading
from pushforward.processes.reading import PlainReading
from pushforward.spaces import ContinuousSpace, LinearSpace, Product, Space

__all__ = ["StateNetwork", "affine_network", "bridge_network", "networks_for"]


_FEWEST_SITES = 16
"""Sites of a sequence of symbols for which a transformer is made."""


@configurable
class StateNetwork(nn.Module):
    """A network of plain numbers as a network of states.

    Args:
        space: whose `embed` turns states into numbers.
        net: a network from these to as many numbers as `output_shape` has.
        output_shape: the shape of the output for one state, or a tuple of shapes.

    >>> import torch
    >>> from pushforward.spaces import Tokens
    >>> net = StateNetwork(Tokens(3), nets.MLP(8, width=8, out=6), (2, 3))
    >>> net(torch.tensor([[0, 3]]), torch.zeros(1)).shape
    torch.Size([1, 2, 3])
    """

    def __init__(self, space: Space, net: nn.Module, output_shape: state.EventShape) -> None:
        super().__init__()
        self.space, self.net = space, net
        self.output_shape = state.shape_from(output_shape)
        self.shares_time = getattr(net, "shares_time", False)

    def forward(self, x: Any, t: Tensor, c: Any = None) -> Any:
        """The output at states and times, in the shape that the process reads."""
        flat = self.net(self.space.embed(x).to(t.dtype), t, c).flatten(1)
        return state.unflatten(flat, self.output_shape)


def affine_network(
    data: Any,
    num_classes: int | None = None,
    context_size: int | None = None,
    periodic: tuple[bool, ...] | None = None,
) -> nn.Module:
    """The default network, with an affine part where there is no picture to see."""
    net = nets.default_network(
        data.event_shape, num_classes, context_size, image=data.kind == "image", periodic=periodic
    )
    return nets.AffineSkip(net) if isinstance(net, nets.MLP) else net


def bridge_network(
    data: Any,
    space: Space,
    reading: Reading | None,
    num_classes: int | None = None,
    context_size: int | None = None,
    net: Any = "auto",
) -> nn.Module:
    """The default network of a bridge: as above, or as a control is read on another space.

    Or `net`, the short name of another, or a partial one.
    """
    if reading is None and net == "auto":
        return affine_network(data, num_classes, context_size, space.periodic)
    read = PlainReading() if reading is None else reading
    return _network_for(net, space, read, data, None, num_classes=num_classes, context=context_size)


def networks_for(
    net: Any,
    process: GenerativeProcess,
    reading: Reading,
    data: Any,
    labels: bool,
    options: dict[str, Any],
) -> dict[str, Any]:
    """A network for some data, a `pushforward.data.Data`, as a process reads it.

    `net` is `auto`, the short name of a network, a class of networks or a partial one, which is
    given the sizes, or a network, which is taken as it is. Labels and contexts of the data become
    those of the network if `labels` says so.

    The arguments `net` of a model, and `context_network` if contexts are no vectors, or one is
    among the `options`, from which it is taken: `models.contexts.conditions_for`.
    """
    own, vectors = options.pop("context_network", "auto"), getattr(net, "context_size", None)
    if labels and data.schema.windows is not None:
        # What is known of every forecast is never hidden.
        fixed = {"label_dropout": options.pop("label_dropout", 0.0)}
        if data.kind == "image" and isinstance(own, str) and not isinstance(net, nn.Module):
            return {**_beside_frames(net, process.space, reading, data), **fixed}
    else:
        fixed = {}
    sizes, more = conditions_for(data, labels, own, vectors)
    texts = data.vocabulary if labels else None
    made = _network_for(net, process.space, reading, data, texts, **sizes)
    return {"net": made, **more, **fixed}


def _beside_frames(net: Any, space: Space, reading: Reading, data: Any) -> dict[str, nn.Module]:
    """A network of pictures that sees the frames which are given beside the state."""
    channels, *sides = data.event_shape
    given = data.context_shape
    out: Any = reading.output_shape(space.state_shape(data.event_shape))
    sizes = {
        "num_classes": None,
        "context_size": None,
        "vocabulary": None,
        "image": True,
        "periodic": space.periodic,
        "means_apart": space.means_apart,
    }
    inner = _plain(net, (channels + given[0], *sides), out, sizes)
    return {"net": nets.PictureContext(inner, given), "context_network": nets.AsVectors()}


def _network_for(
    net: Any,
    space: Space,
    reading: Reading,
    data: Any,
    vocabulary: Any,
    *,
    num_classes: int | None,
    context: int | None,
) -> nn.Module:
    if isinstance(net, nn.Module):
        return net
    suited = space.networks(data.event_shape)
    for name, own in suited.items():
        kind = registry.find("networks", name)
        chosen = kind if net == "auto" else _kind(net)
        if kind is getattr(chosen, "func", chosen):
            given = {"num_classes": num_classes, "context": context, **own}
            given |= getattr(chosen, "keywords", {})
            found: nn.Module = kind(data.event_shape[0], **given)
            return found
    if suited and space.gaps:
        raise InputError(f"values are missing, which {' and '.join(suited)} take, and not {net!r}")
    shape = data.event_shape
    out = reading.output_shape(space.state_shape(shape))
    sizes = {
        "num_classes": num_classes,
        "context_size": context,
        "vocabulary": vocabulary,
        "image": data.kind == "image",
        "dimension": _dimension(space, shape),
        "periodic": space.periodic,
        "means_apart": space.means_apart,
    }
    symbols = getattr(reading, "symbols", None)
    if net == "auto" and symbols is not None and len(shape) == 1 and shape[0] >= _FEWEST_SITES:
        block = getattr(reading, "block", None)
        if block is not None:
            return nets.BlockTransformer(symbols, block=block)
        net = "transformer"
    if net != "auto" and _reads(_kind(net), "symbols"):
        # Sequences of symbols and their logits, as they are.
        sizes = {"num_classes": num_classes, "context": context}
        made: nn.Module = _kind(net)(out[-1], **{k: n for k, n in sizes.items() if n is not None})
        return made
    of_sets = getattr(reading, "network_sizes", None)
    if of_sets is not None and (net == "auto" or _reads(_kind(net), "sets")):
        kind = nets.default_set_network if net == "auto" else _kind(net)
        of_points: nn.Module = kind(
            **of_sets(shape)._asdict(), num_classes=num_classes, context=context
        )
        return of_points
    first = space.units(shape).standardized(state.take(data.x, slice(0, 1)))
    seen = tuple(space.embed(first).shape[1:])
    if seen == shape and all(isinstance(size, int) for size in out):
        return _plain(net, shape, out, sizes)
    inner = _plain(net, seen, (state.numel(out),), sizes)
    return StateNetwork(space, inner, out)


def _dimension(space: Space, shape: Any) -> int | None:
    """Of a space of events, where its parts have one."""
    if isinstance(space, Product):
        parts = [_dimension(part, own) for part, own in zip(space.factors, shape, strict=True)]
        return None if None in parts else sum(size for size in parts if size is not None)
    if not isinstance(space, ContinuousSpace):
        return None
    if isinstance(space, LinearSpace) and any(isinstance(size, tuple) for size in shape):
        raise InputError(
            f"states of parts {shape} are none of {space}: say what they are of, such as "
            "process=processes.JumpDiffusion(space=spaces.PointCloud()) for sets of points"
        )
    return space.dimension(shape)


def _kind(net: Any) -> Any:
    """The class that a short name stands for, or one that is given."""
    return net if callable(net) else registry.find("networks", net)


def _reads(kind: Any, what: str) -> bool:
    """Whether a class of networks, or a partial one, takes tokens, or sets, as they are."""
    return getattr(getattr(kind, "func", kind), f"reads_{what}", False)


def _plain(
    net: Any, shape: tuple[int, ...], out: tuple[int, ...], sizes: dict[str, Any]
) -> nn.Module:
    """A network from tensors to tensors."""
    if net == "auto":
        return nets.default_network(shape, **sizes, out_shape=out)
    kind = _kind(net)
    options = {"num_classes": sizes["num_classes"], "context": sizes["context_size"]}
    if sizes["vocabulary"] is not None:
        options["encoder"] = nets.TextEncoder(**vars(sizes["vocabulary"]))
    if sizes["periodic"] is not None and nets.UNet in (kind, getattr(kind, "func", None)):
        if len(shape) != 3:
            raise InputError(
                f"{net!r} is a network of pictures, and these fields have {len(shape) - 1} "
                "dimension: take net=auto or net=mlp"
            )
        options |= {"periodic": sizes["periodic"], "positions": not all(sizes["periodic"])}
        options["mean_bypass"] = sizes["means_apart"]
    # Networks of pictures are made for their channels.
    of_vectors = nets.MLP in (kind, getattr(kind, "func", None))
    if out != shape:
        if not of_vectors and (len(shape) != 3 or out[1:] != shape[1:]):
            raise InputError(
                f"{net!r} is a network of pictures, which cannot make {out} of {shape}: take "
                "net=auto or net=mlp"
            )
        options |= {"out": out} if of_vectors else {"out_channels": out[0]}
    made: nn.Module = kind(shape if of_vectors else shape[0], **options)
    return made

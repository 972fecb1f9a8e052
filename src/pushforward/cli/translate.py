"""`pushforward translate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pushforward.cli.options import (
    BatchSize,
    Checkpoint,
    Device,
    KeepNonfinite,
    Label,
    Reading,
    Run,
    Sampler,
    Seed,
    StatesOut,
    Steps,
    Trust,
    accepted,
    is_quiet,
)

__all__ = ["translate"]

_FEW = 64
"""Fields that a bridge of patches keeps of a domain: it is told here where to start from."""


def translate(
    context: typer.Context,
    run: Run,
    file: Annotated[
        str, typer.Argument(help="States to carry over: data as for `train`.", metavar="DATA")
    ],
    words: Reading = None,
    backward: Annotated[
        bool, typer.Option("--backward", help="Carry states of the target back to the source.")
    ] = False,
    n: Annotated[
        int | None,
        typer.Option("-n", "--n", help="Draw the result for each state this many times."),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Of coarse fields: put their waves, or means over cells, in the place of those of "
            "what comes out, whose coarse fields are then the given ones (without "
            "waves of half their grid, where coarse points are every f-th fine one).",
        ),
    ] = False,
    out: StatesOut = "translated.npz",
    sampler: Sampler = None,
    steps: Steps = None,
    seed: Seed = 0,
    label: Label = None,
    batch_size: BatchSize = 512,
    keep_nonfinite: KeepNonfinite = False,
    device: Device = "auto",
    checkpoint: Checkpoint = None,
    trust: Trust = None,
) -> None:
    """Carry states from one distribution to the other with a trained model.

    A model of labels takes those of DATA, or --class for all, and they are written again.
    Writes one state for each in DATA, in their order; with `-n` an array `(n, states, ...)`, or in
    a table the draws one after the other. Random, unless `--sampler heun` follows the ODE. Coarse
    fields are brought to the grid of the target first, and what is written has their times.
    """
    import torch

    from pushforward import state
    from pushforward.cli.domains import on_whole_domain
    from pushforward.cli.refusals import require_memory
    from pushforward.cli.rundata import load_like, schema_of
    from pushforward.cli.writing import (
        check_suffix,
        checked,
        label_of,
        require_finite,
        write_states,
    )
    from pushforward.data.row_coordinates import with_row_coordinates
    from pushforward.downscaling import refinement_of
    from pushforward.errors import InputError
    from pushforward.models import load
    from pushforward.models.row_memory import advising
    from pushforward.parallel import launch
    from pushforward.training.progress import Progress

    check_suffix(out)
    model = load(run, trust=tuple(trust or ()), checkpoint=checkpoint)
    if not model.maps_distributions:
        raise InputError(
            f"a {type(model).__name__} maps noise to data: translate takes a model between two "
            "data sets, from `pushforward bridge` or `train --source`"
        )
    code = label_of(Path(run), label)
    loaded = load_like(
        Path(run),
        file,
        model,
        False if code is not None else None,
        words=words or (),
        command=context.command,
        refine=not backward,
        whole=True,
    )
    model = on_whole_domain(model, schema_of(Path(run)), loaded.x[:_FEW])
    x, c = loaded.x, loaded.c if code is None else code
    if exact and backward:
        raise InputError("--exact is for coarse fields, which --backward does not start from")
    constraint = refinement_of(file, loaded.schema) if exact else None
    own = loaded.num_classes is not None and n is None
    rows = len(loaded) * (1 if n is None else n)
    require_memory(rows, state.numel(model.event_shape))
    checked(out, Path(run), model, rows, labeled=own)
    where = launch(device).device
    model.to(where)
    carry = model.backward if backward else model.forward
    asked = accepted(carry, sampler=sampler, steps=steps, n=n)
    with Progress("translating", 1, show=not is_quiet(context)) as progress:

        def carried(few: slice) -> Any:
            own = c if c is None or isinstance(c, int) else state.take(c, few)
            start = state.to(state.take(x, few), where)
            return carry(start, own, seed=seed, batch_size=batch_size, progress=progress, **asked)

        with advising(lambda k: carried(slice(0, k)), min(len(loaded), batch_size)):
            y = carried(slice(None))
    if constraint is not None:
        draws = [y] if n is None else list(y)
        met = [constraint.constrained(one.cpu(), x[:].cpu()) for one in draws]
        y = met[0] if n is None else torch.stack(met)
    if not keep_nonfinite:
        require_finite(y if n is None else state.map_leaves(lambda a: a.flatten(0, 1), y), out)
    written = c if code is not None or loaded.num_classes is not None else None
    fields = None if loaded.schema.fields is None else with_row_coordinates(file, loaded)
    write_states(out, y, model.space, Path(run), labels=written, draws=n, fields=fields)
    typer.echo(out)

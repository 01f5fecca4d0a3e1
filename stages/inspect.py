"""Stage: the content of a store."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from pipeline.config.partitions import PARTITIONS
from stages.command import Stage

PNG = click.Path(path_type=Path, dir_okay=False)


@click.command("inspect", cls=Stage)
@click.argument("store")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--sheet", type=PNG, help="Draw a contact sheet, gray and true, of at most 100 images into this PNG.")
@click.option("--rows", metavar="ROWS", help="Rows to draw on the sheet: 0,5,10-20. Default: all.")
@click.option("--id", "ids", multiple=True, metavar="ID", help="Id of an image to draw on the sheet. May be repeated.")
@click.option("--partition", type=click.Choice(PARTITIONS), help="Draw only this partition on the sheet.")
@click.option("--plot", type=PNG, help="Draw histograms of L, a and b, and the embeddings' norms and spectrum.")
@click.option("--neighbours", default="", metavar="ID", help="Find the images with the nearest embeddings.")
@click.option("--count", type=click.IntRange(1, 99), help="Number of neighbours. Default: 8.")
@click.option("--to", type=PNG, help="Draw the neighbours into this PNG.")
def command(
    store: str,
    as_json: bool,
    sheet: Path | None,
    rows: str | None,
    ids: tuple[str, ...],
    partition: str | None,
    plot: Path | None,
    neighbours: str,
    count: int | None,
    to: Path | None,
) -> None:
    """Describe STORE, for example data/sample/images.zarr, and check every shard.

    --sheet, --plot and --neighbours use the images and the embeddings of one folder, whichever of them is named, and
    replace existing PNG files.
    """
    _refuse_useless(sheet, rows is not None or ids or partition, neighbours, to or count, plot, to)
    if sheet or plot or neighbours:
        told = _look(store, sheet, (rows, ids, partition or ""), plot, neighbours, count or 8, to)
        if as_json:
            click.echo(json.dumps(told, indent=2, sort_keys=True))
        for each in [] if as_json or not neighbours else told["neighbours"]["nearest"]:
            relation = f"  ({each['relation']})" if each["relation"] else ""
            click.echo(f"{each['distance']:6.3f}  {each.get('id') or 'row ' + str(each['row'])}{relation}")
        return
    from pipeline.inspection.describe import describe, open_store

    described = describe(open_store(store))
    if as_json:
        click.echo(json.dumps(described, indent=2, sort_keys=True))
    else:
        _show(described)


def _refuse_useless(
    sheet: Path | None, chosen: object, neighbours: str, of_neighbours: object, plot: Path | None, to: Path | None
) -> None:
    from pipeline.core.errors import InputError

    if chosen and not sheet:
        raise InputError("--rows, --id and --partition choose the images of a sheet: expected --sheet PNG with them")
    if of_neighbours and not neighbours:
        raise InputError("--to and --count are of neighbours: expected --neighbours ID with them, received none")
    given = [path for path in (sheet, plot, to) if path]
    if len({path.absolute() for path in given}) < len(given):
        raise InputError("--sheet, --plot and --to: expected a PNG each, received one for two of them; name another")
    for path in given:
        if path.suffix.lower() != ".png":
            raise InputError(f"{path}: expected the name of a PNG to write, received another; let it end in .png")


def _look(
    store: str,
    sheet: Path | None,
    chosen: tuple[str | None, tuple[str, ...], str],
    plot: Path | None,
    neighbours: str,
    count: int,
    to: Path | None,
) -> dict[str, Any]:
    """Draw what is asked for, say so on standard error, and return it as JSON values."""
    from pipeline.inspection import dataset as datasets
    from pipeline.inspection import neighbours as near
    from pipeline.inspection import views

    dataset = datasets.open_dataset(store)
    told: dict[str, Any] = {}
    if sheet:
        rows = datasets.select(dataset, *chosen)
        shown = views.draw_sheet(dataset, rows, sheet)
        part = f" of {len(rows)}, evenly chosen" if len(shown) < len(rows) else ""
        click.echo(f"inspect: {sheet} shows {len(shown)} {'image' if len(rows) == 1 else 'images'}{part}", err=True)
        told["sheet"] = {"path": str(sheet), "rows": shown, "of": len(rows)}
    if plot:
        told["plot"] = {"path": str(plot), **views.draw_contents(dataset, plot)}
        click.echo(f"inspect: {plot} shows the spread of values", err=True)
    if neighbours:
        row = dataset.row(neighbours)
        found = near.nearest(dataset, row, count)
        names = [{"id": dataset.index[each.row]["id"]} if dataset.index else {} for each in found]
        nearest = [{**asdict(each), **name} for each, name in zip(found, names, strict=True)]
        told["neighbours"] = {"row": row, "nearest": nearest}
        if to:
            near.draw_neighbours(dataset, row, found, to)
            click.echo(f"inspect: {to} shows the {len(found)} nearest", err=True)
    return told


def _show(described: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True)
    state = "complete" if described["complete"] else "NOT COMPLETE"
    console.print(
        f"{described['path']}: {described['kind']}, {state}, "
        f"{described['shards_finished']} of {described['shards']} shards finished"
    )
    for name, array in described["arrays"].items():
        table = Table(title=name, title_justify="left", show_header=False, box=None)
        share = array["bytes_on_disk"] / array["bytes_raw"] if array["bytes_raw"] else 0.0
        size = f"{array['bytes_on_disk'] / 1e6:.2f} MB of {array['bytes_raw'] / 1e6:.2f} MB raw ({share:.0%})"
        table.add_row("shape", f"{tuple(array['shape'])} {array['dtype']} ({', '.join(array['dimensions'])})")
        table.add_row("chunks", f"{tuple(array['chunks'])} in shards of {tuple(array['shards'])}")
        table.add_row("codecs", "; ".join(array["codecs"]))
        table.add_row("size", size)
        if "min" in array:
            values = f"{array['min']:.4g} to {array['max']:.4g}, mean {array['mean']:.4g}"
            table.add_row("values", values + (f", {array['not_finite']} not finite" if array["not_finite"] else ""))
        console.print(table)
    console.print("made by", style="italic")
    console.print_json(json.dumps(described.get("manifest", described["attributes"]), sort_keys=True))

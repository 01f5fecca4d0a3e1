"""Stage: describe and draw the content of stores."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.config.partitions import PARTITIONS
from stages.command import Stage

if TYPE_CHECKING:
    from pipeline.inspection.dataset import Dataset

PNG = click.Path(path_type=Path, dir_okay=False)


@click.command("inspect", cls=Stage)
@click.argument("store")
@click.option("--json", "as_json", is_flag=True, help="Print the description as JSON.")
@click.option("--sheet", type=PNG, help="Draw a contact sheet of at most 100 images, gray and true, into this PNG.")
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
    """Describe a store, or draw from it.

    STORE is, for example, data/sample/images.zarr; every shard is checked.

    --sheet, --plot and --neighbours use the images and the embeddings of one folder, whichever of the two STORE names,
    and replace existing PNG files.
    """
    from pipeline.core.errors import InputError
    from pipeline.inspection.dataset import open_dataset, select
    from pipeline.inspection.describe import describe, open_store

    if (rows is not None or ids or partition) and not sheet:
        raise InputError("--rows, --id and --partition need --sheet PNG")
    if (to or count) and not neighbours:
        raise InputError("--to and --count need --neighbours ID")
    pictures = [path for path in (sheet, plot, to) if path]
    if len({path.absolute() for path in pictures}) < len(pictures):
        raise InputError("--sheet, --plot and --to: expected different files, received one twice; rename one")
    for path in pictures:
        if path.suffix.lower() != ".png":
            raise InputError(f"{path}: expected a file name ending in .png, received another; rename it")

    result: dict[str, Any] = {}
    if pictures or neighbours:
        dataset = open_dataset(store)
        if sheet:
            result["sheet"] = _draw_sheet(dataset, select(dataset, rows, ids, partition or ""), sheet)
        if plot:
            result["plot"] = _draw_plot(dataset, plot)
        if neighbours:
            result["neighbours"] = _find_neighbours(dataset, dataset.row(neighbours), count or 8, to)
    else:
        result = describe(open_store(store))
    if as_json:
        click.echo(json.dumps(result, indent=2, sort_keys=True))
    elif neighbours:
        for each in result["neighbours"]["nearest"]:
            relation = f"  ({each['relation']})" if each["relation"] else ""
            click.echo(f"{each['distance']:6.3f}  {each.get('id') or 'row ' + str(each['row'])}{relation}")
    elif not pictures:
        _show(result)


def _draw_sheet(dataset: "Dataset", rows: list[int], path: Path) -> dict[str, Any]:
    from pipeline.inspection.views import draw_sheet

    shown = draw_sheet(dataset, rows, path)
    part = f" of {len(rows)}, evenly spaced" if len(shown) < len(rows) else ""
    click.echo(f"inspect: {path} shows {len(shown)} {'image' if len(rows) == 1 else 'images'}{part}", err=True)
    return {"path": str(path), "rows": shown, "of": len(rows)}


def _draw_plot(dataset: "Dataset", path: Path) -> dict[str, Any]:
    from pipeline.inspection.views import draw_contents

    summary = draw_contents(dataset, path)
    click.echo(f"inspect: {path} shows the distribution of values", err=True)
    return {"path": str(path), **summary}


def _find_neighbours(dataset: "Dataset", row: int, count: int, path: Path | None) -> dict[str, Any]:
    from pipeline.inspection.neighbours import draw_neighbours, nearest

    neighbours = nearest(dataset, row, count)
    if path:
        draw_neighbours(dataset, row, neighbours, path)
        click.echo(f"inspect: {path} shows the {len(neighbours)} nearest images", err=True)
    ids = [{"id": dataset.index[each.row]["id"]} if dataset.index else {} for each in neighbours]
    return {"row": row, "nearest": [asdict(each) | name for each, name in zip(neighbours, ids, strict=True)]}


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

"""Stage: what is in a store."""

import json
from pathlib import Path
from typing import Any

import click

from stages import common


@click.command("inspect", cls=common.Stage)
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(store: Path, as_json: bool) -> None:
    """Show what STORE, for example data/sample/images.zarr, holds."""
    from pipeline.inspection import describe, open_store

    described = describe(open_store(store))
    if as_json:
        click.echo(json.dumps(described, indent=2, sort_keys=True))
    else:
        _show(described)


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


if __name__ == "__main__":
    command(prog_name="python -m stages.inspect")

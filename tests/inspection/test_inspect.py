"""The command `inspect`: the selection of images, refused input, and the same by hand."""

import re
import socket
import threading

import pytest
import zarr
from inspected import opened
from tiny import INCEPTION, ROOT, python, refused

from pipeline.inspection import neighbours
from pipeline.inspection.dataset import select
from pipeline.storage.store import Store

pytestmark = pytest.mark.filterwarnings("error")


def test_images_are_selected_by_row_id_or_partition(prepared):
    dataset = opened(prepared)
    ids = [row["id"] for row in dataset.index]
    assert select(dataset) == list(range(15))
    assert select(dataset, "3, 0-2,14") == [3, 0, 1, 2, 14]
    assert select(dataset, ids=[ids[4], ids[2], "7"]) == [4, 2, 7]
    for partition in ("train", "validation", "test"):
        assert select(dataset, partition=partition) == prepared.rows(partition).tolist()


@pytest.mark.parametrize("rows", ["15", "5-4", "-1", "x", "", "1,,2", "0-99999999999", "٣"])
def test_rows_that_do_not_exist_are_refused(inspect, prepared, rows):
    result = inspect(prepared.images.path, "--sheet", "out.png", "--rows", rows or ",")
    refused(result, "--rows: expected numbers from 0 to 14")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--rows", "3"], ["--rows, --id and --partition", "--sheet PNG"]),
        (["--to", "x.png"], ["--to and --count", "--neighbours ID"]),
        (["--sheet", "x.jpg"], ["x.jpg: expected", ".png"]),
        (["--plot", "x"], ["x: expected", ".png"]),
        (["--neighbours", "nobody"], ["image 'nobody': expected an id", "0 to 14"]),
        (["--neighbours", "15"], ["image '15'"]),
        (["--sheet", "x.png", "--id", "nobody"], ["image 'nobody'"]),
        (["--sheet", "x.png", "--partition", "tset"], ["'tset' is not one of 'train', 'validation', 'test'"]),
        (["--sheet", "x.png", "--rows", ""], ["--rows: expected numbers from 0 to 14"]),
        (["--sheet", "x.png", "--plot", "./x.png"], ["--sheet, --plot and --to"]),
        (["--count", "3"], ["--to and --count", "--neighbours ID"]),
        (["--sheet", "x.png", "--partition", "test", "--rows", "1"], ["expected one of --rows, --id and --partition"]),
    ],
)
def test_useless_options_are_refused_and_nothing_is_written(inspect, prepared, tmp_path, arguments, expected):
    refused(inspect(prepared.images.path, *arguments), *expected)
    assert not list(tmp_path.iterdir())


def test_a_url_is_refused_with_the_code_that_opens_it(inspect):
    url = "https://example.org/images.zarr"
    refused(inspect(url), url, f'zarr.open_group("{url}"')


def test_stores_that_do_not_belong_together_are_refused(inspect, dataset):
    Store(dataset.embeddings.path, INCEPTION.layout()).complete({"images": "0" * 64})
    refused(inspect(dataset.images.path, "--plot", "x.png"), "embeddings.zarr: expected embeddings of the 15 images")


def test_a_damaged_shard_is_named_and_the_old_picture_is_kept(inspect, dataset, tmp_path):
    path = dataset.images.shard_file("ab", 1)
    path.write_bytes(path.read_bytes()[:-1])
    (tmp_path / "x.png").write_bytes(b"before")
    refused(inspect(dataset.images.path, "--sheet", "x.png", "--rows", "14"), "(ab of images 8 to 14) is damaged")
    assert (tmp_path / "x.png").read_bytes() == b"before"
    assert inspect(dataset.images.path, "--sheet", "x.png", "--rows", "0").exit_code == 0  # in another shard


def test_the_documentation_shows_the_script_and_its_output(prepared):
    page = (ROOT / "docs" / "caches.md").read_text()
    script = (ROOT / "docs" / "caches.py").read_text().split('"""', 2)[2]
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    assert code.split() == script.split()
    done = python(ROOT / "docs" / "caches.py", prepared.folder)
    assert done.returncode == 0, done.stderr
    shown = "".join(re.findall(r"```text\n(.*?)```", page, re.DOTALL))

    def plain(text):  # names and numbers are those of another dataset
        return [re.sub(r"[\w.-]*\d[\w.-]*", "#", re.sub(r"[\[\]()]", " ", line)).split() for line in text.splitlines()]

    assert plain(done.stdout) == plain(shown)
    near = neighbours.nearest(opened(prepared), 3, 3)
    index = opened(prepared).index
    line = f"nearest to {index[3]['id']} are {' '.join(index[each.row]['id'] for each in near)}"
    assert line in done.stdout.splitlines()


def test_a_store_on_a_web_server_can_be_opened(prepared, capsys):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    (code,) = re.findall(r"```py\n(.*?)```", (ROOT / "docs" / "caches.md").read_text(), re.DOTALL)
    app = Starlette(routes=[Mount("/", StaticFiles(directory=prepared.folder))])
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            exec(code.replace("https://example.org/data/sample", url), {"zarr": zarr})
        finally:
            server.should_exit = True
            thread.join()
    mean = prepared.images.read("L", 3, 4).mean().round(1)
    assert capsys.readouterr().out == f"L (15, 224, 224) mean of image 3: {mean}\n"

"""The page of results: missing, damaged and foreign files, and how it replaces an older page."""

import re
import shutil
from pathlib import Path

import fake_results
import pytest
import yaml
from click.testing import CliRunner
from pages import Page, card, data

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.results import page
from pipeline.results.page import write_report


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


DAMAGES = {
    "no metrics": ("metrics.csv", None, "metrics.csv does not exist"),
    "empty metrics": ("metrics.csv", "", "an empty file"),
    "broken number": ("metrics.csv", fake_results.METRIC_HEADER + "\nr,sample,test,3,model,rmse,wide,,,\n", "'wide'"),
    "another's metrics": (
        "metrics.csv",
        fake_results.METRIC_HEADER + "\nx,sample,test,3,model,rmse,1,,,\n",
        "expected the run r, received x",
    ),
    "no yaml": ("run.yaml", None, "run.yaml"),
    "bad yaml": ("run.yaml", "a: [", "expected a YAML file"),
    "dataset that leaves": ("run.yaml", "dataset: ../../elsewhere\n", "is not a valid dataset name"),
    "odd yaml": ("run.yaml", "embedding: [1]\nfindings: 3\nepochs: {a: 1}\nsettings: []\n", None),
    "no images": ("per_image.csv", None, "per_image.csv does not exist"),
    "binary images": ("per_image.csv", b"\xff\xfe\x00\x01", "per_image.csv: expected the columns"),
    "images twice": (
        "per_image.csv",
        fake_results.IMAGE_HEADER + "\nr,s,test,i,g,1,model,psnr,1\nr,s,test,i,g,1,model,psnr,2\n",
        "per_image.csv: expected",
    ),
    "no rows": ("per_image.csv", fake_results.IMAGE_HEADER + "\n", None),
    "no differences": ("differences.csv", None, "differences.csv does not exist"),
    "no curves": ("curves.svg", None, None),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_missing_or_damaged_file_costs_a_sentence_and_not_the_page(fake, damage):
    name, content, sentence = DAMAGES[damage]
    fake_results.add_run(fake, "base_lr1e-4", images=3)
    folder = fake_results.add_run(fake, "r", images=3)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    write_report(fake.results, fake.pictures)
    for path in (fake.results / "index.html", fake.results / "report" / "r.html"):
        text = Page(path).text
        assert "base_lr1e-4" in text or path.name == "r.html"
        assert sentence is None or sentence in text
        assert str(fake.results) not in text
    if sentence:
        assert "files missing or damaged" in card(fake.results / "index.html", "r")
    assert not (fake.results.parent / "elsewhere").exists()


def test_folders_that_are_no_runs_are_named(fake):
    for name in ("notes", "two\nlines", ".hidden"):
        (fake.results / name).mkdir(parents=True)
    (fake.results / "two\nlines" / "run.yaml").write_text("run: lines\n")
    text = Page(write_report(fake.results, fake.pictures)).text
    assert "There are no runs yet." in text
    assert "notes: contains neither metrics.csv nor run.yaml." in text and r"'two\nlines': not a usable name" in text
    assert "hidden" not in text


@pytest.mark.parametrize("mine", ["report/thesis.txt", "index.html", "photo.jpg", "metrics.csv"])
def test_a_folder_of_other_files_is_left_alone(tmp_path, mine):
    path = tmp_path / "mine" / mine
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(InputError, match=rf"\b{mine.partition('/')[0]}\b"):
        write_report(tmp_path / "mine", lambda _: tmp_path)
    assert tree(tmp_path / "mine") == {Path(mine): b"mine"}


def test_a_page_of_an_earlier_version_is_replaced(fake):
    fake_results.add_run(fake, "base_lr1e-4", images=3)
    write_report(fake.results, fake.pictures)
    old = fake.results / "report" / "compare.html"
    old.write_text("DeepColor")
    manifest = files.read_json(fake.results / "report.json")
    manifest["files"]["report/compare.html"] = files.digest_file(old)
    files.write_json(fake.results / "report.json", manifest)
    write_report(fake.results, fake.pictures)
    assert not old.exists() and (old.parent / "base_lr1e-4.html").exists()


def test_pictures_are_copied_where_they_cannot_be_linked(fake, monkeypatch):
    fake_results.add_run(fake, "base_lr1e-4", images=3)

    def refuse(*_):
        raise OSError("another device")

    monkeypatch.setattr(page.os, "link", refuse)
    write_report(fake.results, fake.pictures)
    copied = fake.results / "report" / "pictures" / "sample" / "true" / "000003.jpg"
    assert copied.read_bytes() == (fake.pictures("sample") / "true" / "000003.jpg").read_bytes()


def test_pictures_of_the_truth_may_be_missing(fake):
    fake_results.add_run(fake, "base_lr1e-4", images=3)
    (fake.pictures("sample") / "gray" / "000003.jpg").unlink()
    write_report(fake.results, fake.pictures)
    assert data(fake, "base_lr1e-4")["withoutTruth"] == [3]
    write_report(fake.results, lambda _: fake.data / "none")
    assert data(fake, "base_lr1e-4")["withoutTruth"] == [3, 5, 7]
    assert "pictures of the dataset sample are missing" in Page(fake.results / "report" / "base_lr1e-4.html").text


def test_a_picture_that_is_missing_leaves_its_place_free(fake):
    fake_results.add_run(fake, "base_lr1e-4", images=3)
    (fake.pictures("sample") / "true" / "000003.jpg").unlink()
    for path in (write_report(fake.results, fake.pictures), fake.results / "report" / "base_lr1e-4.html"):
        strip = path.read_text().split("<span>true</span>")[1].split("</div>")[0]
        assert re.findall(r"no picture|0000\d\d", strip) == ["no picture", "000005", "000007"]


def test_the_truth_of_other_images_is_not_shown_beside_a_run(fake):
    for run, images in (("base_lr1e-4", "now"), ("base_lr1e-3", "before"), ("base_lr1e-2", None)):
        fake_results.add_run(fake, run, images=3)
        path = fake.results / run / "run.yaml"
        told = yaml.safe_load(path.read_text()) | ({"fingerprints": {"images": images}} if images else {})
        path.write_text(yaml.safe_dump(told))
    files.write_json(fake.pictures("sample").with_name("images.json"), {"fingerprint": "now"})
    write_report(fake.results, fake.pictures)
    without = {run: data(fake, run)["withoutTruth"] for run in ("base_lr1e-4", "base_lr1e-3", "base_lr1e-2")}
    assert without == {"base_lr1e-4": [], "base_lr1e-3": [3, 5, 7], "base_lr1e-2": []}


def test_the_same_results_give_the_same_bytes(written, tmp_path):
    other = fake_results.small(tmp_path)
    write_report(other.results, other.pictures)
    write_report(other.results, other.pictures)
    assert tree(written.results / "report") == tree(other.results / "report")
    assert (written.results / "index.html").read_bytes() == (other.results / "index.html").read_bytes()


def test_what_fails_leaves_the_old_page(fake, monkeypatch):
    fake_results.add_run(fake, "base_lr1e-4", images=3)
    write_report(fake.results, fake.pictures)
    before = tree(fake.results)
    fake_results.add_run(fake, "base_lr1e-3", images=3)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(page, "script_data", killed)
        write_report(fake.results, fake.pictures)
    assert {path: tree(fake.results)[path] for path in before} == before
    # A kill between the two renames: the old page comes back before anything else is done.
    (fake.results / "report").rename(fake.results / ".report.deepcolor.old")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(page, "script_data", killed)
        write_report(fake.results, fake.pictures)
    assert {path: tree(fake.results)[path] for path in before} == before
    # A kill leaves its unfinished folder behind; the next run clears it away, and a run that is gone goes.
    (fake.results / ".report.deepcolor.tmp" / "data").mkdir(parents=True)
    (fake.results / ".report.new" / "data").mkdir(parents=True)
    shutil.rmtree(fake.results / "base_lr1e-4")
    write_report(fake.results, fake.pictures)
    assert [path.name for path in fake.results.glob(".*")] == [".report.lock"]
    assert not (fake.results / "report" / "base_lr1e-4.html").exists()
    assert (fake.results / "report" / "base_lr1e-3.html").exists()


def test_the_stage_writes_the_page_where_it_is_told(fake, monkeypatch, tmp_path):
    from stages.report import command

    monkeypatch.chdir(tmp_path)
    fake_results.add_run(fake, "base_lr1e-4", images=3)
    arguments = ["--results", str(fake.results), "--data", str(fake.data)]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0 and f"open {fake.results / 'index.html'} in a browser" in result.output
    assert data(fake, "base_lr1e-4")["withoutTruth"] == []

"""The page, as files: what it says of good, bad and damaged runs, and that it appears whole."""

import html
import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import fake_results
import pytest
import yaml
from click.testing import CliRunner

from pipeline.core import files
from pipeline.core.errors import InputError
from pipeline.evaluation.paired import ONE_COLOUR
from pipeline.results import page, page_views
from pipeline.results.page import write_report


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Four runs and their page: read it, never write to it."""
    fake = fake_results.small(tmp_path_factory.mktemp("page"))
    write_report(fake.results, fake.pictures)
    return fake


@pytest.fixture
def fake(tmp_path):
    made = fake_results.Fake(tmp_path / "results", tmp_path / "data")
    fake_results.add_truth(made, images=3)
    return made


class Page(HTMLParser):
    """Text, elements and links of a page."""

    VOID = ("meta", "link", "img", "input", "br")

    def __init__(self, path):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open, f"{path}: not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def links(self):
        for _, attributes in self.elements:
            for name in ("href", "src"):
                if name in attributes and not attributes[name].startswith("data:"):
                    yield attributes[name]


def pages(fake):
    return [fake.results / "index.html", *sorted((fake.results / "report").glob("*.html"))]


def data(fake, run):
    text = (fake.results / "report" / "data" / f"{run}.js").read_text()
    assert text.startswith("const run = ") and text.endswith(";\n")
    return json.loads(text.removeprefix("const run = ").removesuffix(";\n"))


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_link_leads_to_a_file_of_the_folder(written):
    seen = 0
    for path in pages(written):
        for link in Page(path).links():
            parts = urlsplit(link)
            assert not parts.scheme and not parts.netloc
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name}: {link}"
            assert target.is_relative_to(written.results)
            seen += 1
    assert seen > 100


def test_no_markup_of_names_ids_or_findings_comes_through(written):
    for path in pages(written):
        page = Page(path)
        assert not any("onerror" in attributes for _, attributes in page.elements)
        assert not any(tag == "b" for tag, _ in page.elements)
    assert f"{fake_results.NASTY} " in Page(written.results / "index.html").text
    assert "(16.5). <b>&amp;</b>" in Page(written.results / "index.html").text
    script = (written.results / "report" / "data" / f"{fake_results.NASTY}.js").read_text()
    assert not set("<>&") & set(script)
    assert data(written, fake_results.NASTY)["ids"][0] == fake_results.NASTY_ID


def test_scripts_come_from_files_alone(written):
    for path in pages(written):
        page = Page(path)
        (policy,) = [a["content"] for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert all("src" in attributes for tag, attributes in page.elements if tag == "script")
        assert not any(name == "style" or name.startswith("on") for _, a in page.elements for name in a)


def test_runs_stand_in_the_order_of_validation_rmse_and_datasets_apart(written):
    rows = re.findall(r'<th scope="row" data-value="([^"]*)">', (written.results / "index.html").read_text())
    assert [html.unescape(row) for row in rows] == ["arch1_lr1e-2", fake_results.NASTY, "base_lr1e-4", "base_lr1e-1"]
    text = Page(written.results / "index.html").text
    assert text.index("Dataset kaggle") < text.index("arch1_lr1e-2") < text.index("Dataset sample")
    assert "no run is ranked or chosen by a test score" in text


def card(page, run):
    """The badges and findings that the overview shows of a run."""
    text = page.read_text()
    return re.search(rf'<article class="card">\n<h4><a href="report/{run}.html">.*?</article>', text, re.S)[0]


def test_a_bad_run_is_called_bad_in_plain_sight(written):
    index = written.results / "index.html"
    bad = card(index, "bad%3C.*?")
    assert "RMSE no better than mean colour</strong>" in bad and "RANDOM embedding weights</strong>" in bad
    assert "accuracy no better than majority</strong>" in bad and "RMSE no better than gray" not in bad
    nan = card(index, "base_lr1e-1")
    for text in ("diverged", "RMSE no better than mean colour", "RMSE no better than gray"):
        assert f'<strong class="badge bad">{text}</strong>' in nan
    assert "badge" not in card(index, "base_lr1e-4")
    page = Page(written.results / "report" / f"{fake_results.NASTY}.html").text
    assert "RANDOM embedding weights. The network that embeds the images was never trained" in page


def test_the_sweep_of_every_dataset_is_shown(fake):
    fake_results.add_run(fake, "base_lr1e-4", images=3)
    for dataset in ("sample", "kaggle"):
        fake_results.figure(fake.results / f"sweep_{dataset}.svg", dataset)
    write_report(fake.results, fake.pictures)
    links = list(Page(fake.results / "index.html").links())
    assert {"sweep_kaggle.svg", "sweep_sample.svg"} <= set(links)


def test_a_run_that_answers_one_colour_is_called_so(fake):
    fake_results.add_run(fake, "base_lr1e-4", images=3, findings=[f"{ONE_COLOUR}, a = 128, b = 128."])
    write_report(fake.results, fake.pictures)
    assert '<strong class="badge bad">one colour everywhere</strong>' in card(
        fake.results / "index.html", "base_lr1e-4"
    )


@pytest.mark.parametrize("verdict", ["worse", "no clear difference", "anything else"])
def test_a_run_is_called_better_only_where_the_interval_says_so(fake, verdict):
    folder = fake_results.add_run(fake, "base_lr1e-4", images=3)
    path = folder / "differences.csv"
    text = path.read_text()
    lines = [line.replace("better", verdict) if ",mean,rmse," in line else line for line in text.splitlines(True)]
    path.write_text("".join(lines))
    write_report(fake.results, fake.pictures)
    assert "RMSE no better than mean colour</strong>" in card(fake.results / "index.html", "base_lr1e-4")


def test_scores_stand_with_intervals_and_the_papers_figure_with_the_difference(written):
    text = (written.results / "index.html").read_text()
    assert ">12.00<small>11.40 to 12.60</small>" in text
    assert "<small>paper 0.5600</small><small>ours +0.0754</small>" in text
    assert ">18.75<small>17.81 to 19.69</small>" in text  # gray
    assert "No interval (test, validation, train): 3 groups, fewer than 10." in text
    assert ">NaN<small>paper 0.5600</small><small>ours NaN</small>" in text


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
    "dataset that leaves": ("run.yaml", "dataset: ../../elsewhere\n", "cannot be the name of a dataset's folder"),
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
    with pytest.raises(InputError, match=f"expected a folder of results, received {mine.partition('/')[0]}, "):
        write_report(tmp_path / "mine", lambda _: tmp_path)
    assert tree(tmp_path / "mine") == {Path(mine): b"mine"}


def test_a_page_of_an_earlier_version_is_replaced(fake):
    fake_results.add_run(fake, "base_lr1e-4", images=3)
    write_report(fake.results, fake.pictures)
    old = fake.results / "report" / "compare.html"
    old.write_text("DeepColor")
    write_report(fake.results, fake.pictures)
    assert not old.exists() and (old.parent / "base_lr1e-4.html").exists()


def test_runs_that_were_scored_on_other_images_stand_apart(fake):
    fake_results.add_run(fake, "base_lr1e-4", images=3)
    folder = fake_results.add_run(fake, "base_lr1e-3", images=3)
    text = (folder / "metrics.csv").read_text()
    (folder / "metrics.csv").write_text(re.sub(r"(,test,3,gray,rmse,)[^,]*", r"\g<1>99", text))
    fake_results.add_run(fake, "base_lr1e-2", images=3)
    (fake.results / "base_lr1e-2" / "metrics.csv").unlink()
    text = Page(write_report(fake.results, fake.pictures)).text
    assert text.count("Dataset sample") == 2 and "Dataset sample, scored on other images" in text
    tables = text.split("Dataset sample")[1:]
    assert ["base_lr1e-4" in table for table in tables] == ["base_lr1e-3" not in table for table in tables]
    assert sum("base_lr1e-4" in table for table in tables) == 1


def test_scripts_get_the_test_images_of_the_runs_own_answer(written):
    found = data(written, "base_lr1e-4")
    assert found["rows"] == list(range(3, 27, 2)) and len(found["measures"]["ciede2000"]) == 12
    assert found["withoutPicture"] == [] and found["withoutTruth"] == []
    diverged = data(written, "base_lr1e-1")
    assert diverged["withoutPicture"] == diverged["rows"] and math.isnan(diverged["measures"]["ciede2000"][0])


def test_true_and_gray_pictures_are_the_datasets_own_files(written):
    for kind in ("true", "gray"):
        linked = written.results / "report" / "pictures" / "sample" / kind / "000003.jpg"
        assert linked.samefile(written.pictures("sample") / kind / "000003.jpg")


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
    (fake.results / "report").rename(fake.results / ".report.old")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(page, "script_data", killed)
        write_report(fake.results, fake.pictures)
    assert {path: tree(fake.results)[path] for path in before} == before
    # A kill leaves its unfinished folder behind; the next run clears it away, and a run that is gone goes.
    (fake.results / ".report.tmp" / "data").mkdir(parents=True)
    (fake.results / ".report.new" / "data").mkdir(parents=True)
    shutil.rmtree(fake.results / "base_lr1e-4")
    write_report(fake.results, fake.pictures)
    assert [path.name for path in fake.results.glob(".*")] == [".report.lock"]
    assert not (fake.results / "report" / "base_lr1e-4.html").exists()
    assert (fake.results / "report" / "base_lr1e-3.html").exists()


def test_a_large_figure_is_shown_as_its_smaller_file(fake):
    folder = fake_results.add_run(fake, "base_lr1e-4", images=3)
    (folder / "curves.svg").write_bytes(b" " * (page_views.MOST_BYTES_OF_A_FIGURE + 1))
    (folder / "curves.png").write_bytes(b"png")
    write_report(fake.results, fake.pictures)
    text = (fake.results / "report" / "base_lr1e-4.html").read_text()
    assert '<img src="../base_lr1e-4/curves.png"' in text and '<img src="../base_lr1e-4/chroma.svg"' in text


def test_the_stage_writes_the_page_where_it_is_told(fake, monkeypatch, tmp_path):
    from stages.report import command

    monkeypatch.chdir(tmp_path)
    fake_results.add_run(fake, "base_lr1e-4", images=3)
    arguments = ["--results", str(fake.results), "--data", str(fake.data)]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0 and f"open {fake.results / 'index.html'} in a browser" in result.output
    assert data(fake, "base_lr1e-4")["withoutTruth"] == []

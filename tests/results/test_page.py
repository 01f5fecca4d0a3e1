"""The page of results: what it says of good and bad runs."""

import html
import math
import re
from urllib.parse import unquote, urlsplit

import fake_results
import pytest
from pages import Page, card, data, pages

from pipeline.evaluation.paired import ONE_COLOUR
from pipeline.results import page_views
from pipeline.results.page import write_report


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
    assert "No interval (test, validation): 3 groups, fewer than 10." in text
    assert ">NaN<small>paper 0.5600</small><small>ours NaN</small>" in text


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


def test_a_large_figure_is_shown_as_its_smaller_file(fake):
    folder = fake_results.add_run(fake, "base_lr1e-4", images=3)
    (folder / "curves.svg").write_bytes(b" " * (page_views.MOST_BYTES_OF_A_FIGURE + 1))
    (folder / "curves.png").write_bytes(b"png")
    write_report(fake.results, fake.pictures)
    text = (fake.results / "report" / "base_lr1e-4.html").read_text()
    assert '<img src="../base_lr1e-4/curves.png"' in text and '<img src="../base_lr1e-4/chroma.svg"' in text

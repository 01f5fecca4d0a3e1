"""Readers of the page of results and of the model card."""

import json
import re
from html.parser import HTMLParser

from markdown_it import MarkdownIt


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


def card(page, run):
    """The badges and findings that the overview shows of a run."""
    text = page.read_text()
    return re.search(rf'<article class="card">\n<h4><a href="report/{run}.html">.*?</article>', text, re.S)[0]


class Html(HTMLParser):
    """Text, tags and code spans of rendered Markdown."""

    def __init__(self, markdown):
        super().__init__()
        self.tags, self.text, self.spans, self.rows = [], "", [], []
        self.feed(MarkdownIt("gfm-like", {"linkify": False}).render(markdown))

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "code":
            self.spans.append("")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        self.text += data
        if self.tags and self.tags[-1] == "code":
            self.spans[-1] += data
        if self.tags and self.tags[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    def handle_endtag(self, tag):
        self.tags.append("/" + tag)

    def told(self):
        return " ".join(self.text.split())

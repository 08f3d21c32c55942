"""What a browser would see of a page."""

from collections import Counter
from html.parser import HTMLParser


class Outline(HTMLParser):
    """The tags, ids, classes, links and scripts of a page, whose elements must all be closed."""

    VOID = ("meta", "br", "wbr", "path", "circle", "link", "img")

    def __init__(self, html):
        super().__init__()
        self.ids, self.scripts, self.links, self.open = [], [], [], []
        self.classes, self.tags = [], Counter()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.classes += (given.get("class") or "").split()
        self.links += [given[key] for key in ("src", "href", "data", "action") if key in given]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append([given.get("type"), ""])

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] == "script":
            self.scripts[-1][1] += text

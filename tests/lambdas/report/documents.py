"""Reads a page as a browser does: every element, attribute and text, by html.parser."""

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br"}


@dataclass
class Element:
    """One start tag, and the text directly in it."""

    name: str
    attributes: dict[str, str | None]
    text: str = ""


@dataclass
class Document(HTMLParser):
    """`elements` in order; `open` must be empty at the end."""

    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        if len(element.attributes) != len(attrs):
            self.faults.append(f"an attribute of <{tag}> comes twice")
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop().name != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if self.open:
            self.open[-1].text += data

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"a comment: {data[:40]}")

    def count(self) -> Counter[str]:
        return Counter(element.name for element in self.elements)

    def by_id(self) -> set[str]:
        return {element.attributes["id"] or "" for element in self.elements if "id" in element.attributes}

    @property
    def text(self) -> str:
        """Everything that is read, without the style."""
        return " ".join(element.text for element in self.elements if element.name != "style")


def parse(page: str) -> Document:
    document = Document()
    document.feed(page)
    document.close()
    assert document.faults == []
    assert document.open == []
    return document

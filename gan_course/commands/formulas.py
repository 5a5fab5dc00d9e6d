"""LaTeX formulas of a Markdown text as MathML, which browsers draw without a script and without a network."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from xml.etree import ElementTree

# Code is left alone; an inline formula touches its dollar signs, so that a price does not count as one.
PATTERN = re.compile(
    r"(```.*?```|`[^`\n]*`)|\$\$(.+?)\$\$|\$(?=\S)([^$\n]+?)(?<=\S)\$(?!\d)",
    flags=re.DOTALL,
)
LONGEST = 10_000  # characters of a formula: a longer text between two dollar signs is none

# What MathML needs to draw a formula. Links, classes, styles and events are not among it.
TAGS = set(
    "math menclose mfenced mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mspace msqrt "
    "mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none".split()
)
ATTRIBUTES = set(
    "accent accentunder close columnalign columnlines columnspacing columnspan depth display displaystyle fence form "
    "frame height largeop linethickness lspace mathbackground mathcolor mathsize mathvariant maxsize minsize "
    "movablelimits notation open rowalign rowlines rowspacing rowspan rspace scriptlevel separator separators side "
    "stretchy symmetric voffset width xmlns".split()
)


def replace(text: str, put: Callable[[str, str], str]) -> str:
    """``text`` with each formula, ``$...$`` or ``$$...$$``, replaced by ``put(MathML, LaTeX)``.

    What can't be read as a formula stays as it is.
    """

    def formula(match: re.Match) -> str:
        code, block, inline = match.groups()
        if code or len(match[0]) > LONGEST:
            return match[0]
        try:
            return put(mathml(block or inline, "block" if block else "inline"), match[0])
        except Exception:  # the converter stumbles over bad LaTeX in a dozen ways; the page shows it as it was typed
            return match[0]

    return PATTERN.sub(formula, text)


def mathml(latex: str, display: str = "inline") -> str:
    """One formula as MathML without anything that could do more than be seen. display: "inline" or "block"."""
    from latex2mathml.converter import convert_to_element

    root = convert_to_element(latex, display=display)
    harmless(root)
    made = ElementTree.tostring(root, encoding="unicode")
    made = re.sub(r"<mi>(log|max|min)</mi>(?!<mo)", r'<mi>\1</mi><mspace width="0.17em"/>', made)
    # A minus after an opening bracket or a relation is a sign, not a difference: no space on its right.
    return re.sub(r"(<mo[^>]*>[(=]</mo>)<mo>−", r'\1<mo form="prefix">−', made)


def harmless(element: ElementTree.Element) -> None:
    """Keep MathML's own tags and attributes; the text is text, whatever the LaTeX held."""
    element.tag = element.tag if element.tag in TAGS else "mrow"
    for name in element.attrib.keys() - ATTRIBUTES:
        del element.attrib[name]
    element.text, element.tail = plain(element.text), plain(element.tail)
    for child in element:
        harmless(child)


def plain(text: str | None) -> str | None:
    """Text as the reader is to see it: the converter writes symbols as references and leaves some backslashes."""
    if text is None:
        return None
    text = "‖" if text == r"\|" else re.sub(r"\\([_%&#${}])", r"\1", text)
    return html.unescape(text)

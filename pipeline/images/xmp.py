"""XMP: adding the origin of the colours."""

import html
import re

NAMESPACE = "https://deepcolor.invalid/xmp/1/"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced"
NOTE = "Colours made by DeepColor"  # how notes begin
# The end of RDF, with any prefix or none; comments and CDATA are matched first, so that none is found in them.
_END = re.compile(
    r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|</((?:[\w.-]+:)?)RDF\s*>|<((?:[\w.-]+:)?)RDF(\s[^<>]*)?/>", re.DOTALL
)
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def is_coloured(data: bytes) -> bool:
    """Whether the metadata in a photograph's file say that DeepColor made its colours."""
    return any(mark.encode() in data for mark in (NOTE, NAMESPACE))


def is_understood(packet: bytes) -> bool:
    """Whether a packet is RDF, to which `described` can add."""
    return _end(_text(packet)) is not None


def _end(text: str) -> re.Match[str] | None:
    return next((found for found in _END.finditer(text) if not found[0].startswith("<!")), None)


def described(packet: bytes, note: str, extension: str = "") -> bytes:
    """Add the origin of the colours to a packet, or to an empty one, and remove the orientation and the padding.

    Args:
        packet: one that `is_understood`, or nothing.
        note: the origin of the colours.
        extension: the digest of a JPEG's extended XMP, which the packet must mention.
    """
    text = _upright(packet)
    extended = f' xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{extension}"' * bool(extension)
    end = _end(text)
    outer = (end[1] or end[2] or "") if end else "rdf:"
    inner, declared = (outer, "") if outer else ("rdf:", f' xmlns:rdf="{_RDF}"')  # attributes need a prefix
    ours = (
        f'<{inner}Description{declared} {inner}about="" '
        f'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:deepcolor="{NAMESPACE}"{extended} '
        f'Iptc4xmpExt:DigitalSourceType="{html.escape(SOURCE_TYPE)}" deepcolor:Note="{html.escape(note)}"/>'
    )
    if end and end[0].startswith("</"):
        text = text[: end.start()] + ours + text[end.start() :]
    elif end:  # without any description
        text = f"{text[: end.start()]}{end[0][:-2]}>{ours}</{outer}RDF>{text[end.end() :]}"
    else:
        text = (
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
            f'<rdf:RDF xmlns:rdf="{_RDF}">{ours}</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
        )
    return text.encode("utf-8", "surrogateescape")


def upright(packet: bytes) -> bytes:
    """Remove the orientation, the origin of the colours and the padding from a packet."""
    return _upright(packet).encode("utf-8", "surrogateescape")


def _upright(packet: bytes) -> str:
    text = _text(packet)
    text = re.sub(r'\s(tiff:Orientation|Iptc4xmpExt:DigitalSourceType)\s*=\s*("[^"]*"|\'[^\']*\')', "", text)
    text = re.sub(r"<(tiff:Orientation|Iptc4xmpExt:DigitalSourceType)>.*?</\1>", "", text, flags=re.DOTALL)
    body, mark, trailer = text.rpartition("<?xpacket end")
    return body.rstrip() + mark + trailer


def _text(packet: bytes) -> str:
    encoding = "utf-8"
    if packet[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        encoding = "utf-32"
    elif packet[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif 0 in packet[:2]:
        encoding = f"utf-{32 if packet[:4].count(0) == 3 else 16}-{'be' if packet[0] == 0 else 'le'}"
    return packet.decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace").strip("\0")

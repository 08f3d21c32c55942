"""Opening MusicXML files: plain or zipped whatever their name, with or without a namespace."""

import re
import zipfile
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring

_CONTAINER = "META-INF/container.xml"
_ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']""")
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "big5": "big5hkscs"}
_WIDER |= {"euc-kr": "cp949", "ks_c_5601-1987": "cp949", "x-sjis": "cp932"}


def root_of(path: Path, warnings: list[str]) -> Element:
    """The root of a score, as `score-partwise` and without namespaces.

    Raises ParseError for what is not MusicXML.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            data = archive.read(_inner_name(archive, warnings))
    else:
        data = path.read_bytes()
    root = _parsed(data.lstrip(), warnings)  # some have empty lines first
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
    return _partwise(root)


def _parsed(data: bytes, warnings: list[str]) -> Element:
    """The root element; character sets that expat does not know, and wrong declarations, too."""
    try:
        return fromstring(data)
    except (ParseError, ValueError, LookupError):
        found = _ENCODING.match(data)
        declared = found[1].decode().lower() if found else "utf-8"
        for charset in (_WIDER.get(declared, declared), "utf-8", "cp1252"):
            try:
                root = fromstring(data.decode(charset))
            except (ParseError, UnicodeError, LookupError):
                continue
            if charset not in (declared, _WIDER.get(declared)):
                warnings.append(f"the text is not in {declared}, as it says; read as {charset}")
            return root
        raise


def _inner_name(archive: zipfile.ZipFile, warnings: list[str]) -> str:
    """Name of the score in a zip archive: as its container says, else the only score in it."""
    names = {name.replace("\\", "/"): name for name in archive.namelist()}
    try:
        container = archive.read(names[_CONTAINER])
        rootfile = fromstring(container).find("{*}rootfiles/{*}rootfile")
        name = "" if rootfile is None else rootfile.get("full-path", "")
        name = name.replace("\\", "/").removeprefix("./")
        problem = "" if name in names else f"{_CONTAINER} names no score in the archive"
    except ParseError as error:
        problem = f"{_CONTAINER} is malformed ({error})"
    except KeyError:
        problem = f"{_CONTAINER} is missing"
    if not problem:
        return names[name]
    outside = ("META-INF/", "__MACOSX/")
    scores = [
        name for name in sorted(names)
        if name.lower().endswith((".xml", ".musicxml")) and not name.startswith(outside)
    ]  # fmt: skip
    if len(scores) != 1:
        raise ParseError(f"{problem}, and the archive holds {len(scores)} scores, not one")
    warnings.append(f"{problem}; took the only score")
    return names[scores[0]]


def _partwise(root: Element) -> Element:
    """The score with bars within parts; files may hold parts within bars instead."""
    if root.tag == "score-partwise":
        return root
    if root.tag != "score-timewise":
        raise ParseError(f"<{root.tag}> is no MusicXML score")
    names = dict.fromkeys(part.get("id", "") for part in root.iterfind("measure/part"))
    parts = {name: SubElement(root, "part", {"id": name}) for name in names}
    for measure in root.findall("measure"):
        held = {part.get("id", ""): part for part in measure.findall("part")}
        for name in names:  # a part that a bar lacks is empty there
            SubElement(parts[name], "measure", measure.attrib).extend(held.get(name, []))
    return root

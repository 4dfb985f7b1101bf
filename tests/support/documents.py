"""Sample documents for conversions: good ones of every kind, and hostile ones."""

import io
import random
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_NAMESPACES = {
    "w": W,
    "r": R,
    "a": A,
    "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
    "dgm": "http://schemas.openxmlformats.org/drawingml/2006/diagram",
    "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
    "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
    "v": "urn:schemas-microsoft-com:vml",
    "wp": "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing",
    "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
}
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


def pdf(lines: Sequence[str]) -> bytes:
    """One page with these lines."""
    text = " T* ".join(f"({line}) Tj" for line in lines)
    return _pdf({4: _stream(f"BT /F1 12 Tf 14 TL 72 720 Td {text} ET".encode())})


def pdf_without_text() -> bytes:
    return _pdf({4: _stream(b"0 0 100 100 re f")})


def pdf_that_hangs(depth: int = 60) -> bytes:
    """Each form draws the next one twice: 2^depth drawings in a few KiB."""
    objects = {4: _stream(b"/X0 Do")}
    for at in range(depth):
        form = f"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X{at + 1} {11 + at} 0 R >> >>"
        objects[10 + at] = _stream(f"/X{at + 1} Do /X{at + 1} Do".encode(), form)
    objects[10 + depth] = _stream(b"", "/Type /XObject /Subtype /Form /BBox [0 0 9 9]")
    return _pdf(objects, "/XObject << /X0 10 0 R >>")


def pdf_bomb(megabytes: int) -> bytes:
    """Its page unpacks to this much."""
    packed = zlib.compress(b"0 0 m " * (megabytes * 1024 * 1024 // 6), 9)
    return _pdf({4: _stream(packed, "/Filter /FlateDecode")})


def encrypted_pdf() -> bytes:
    secret = "<" + "5a" * 32 + ">"
    encrypt = f"<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O {secret} /U {secret} >>".encode()
    return _pdf({4: _stream(b"BT ET"), 6: encrypt}, trailer=f"/Encrypt 6 0 R /ID [{secret} {secret}]")


def docx(paragraphs: Sequence[str], *, table: Sequence[Sequence[str]] = (), prolog: str = "", body: str = "") -> bytes:
    """The first paragraph is a heading. `prolog` and `body` are XML for the document's part."""
    style = '<w:pPr><w:pStyle w:val="Heading1"/></w:pPr>'
    text = "".join(
        f"<w:p>{'' if at else style}<w:r><w:t>{each}</w:t></w:r></w:p>" for at, each in enumerate(paragraphs)
    )
    rows = "".join(
        "<w:tr>" + "".join(f"<w:tc><w:p><w:r><w:t>{cell}</w:t></w:r></w:p></w:tc>" for cell in row) + "</w:tr>"
        for row in table
    )
    namespaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items())
    table_xml = f"<w:tbl>{rows}</w:tbl>" if rows else ""
    document = f"<w:document {namespaces}><w:body>{text}{table_xml}{body}</w:body></w:document>"
    return archive(
        {
            "[Content_Types].xml": _content_types(f"{_WORD}.document.main+xml"),
            "_rels/.rels": relationships(("rId1", f"{R}/officeDocument", "word/document.xml", "")),
            "word/document.xml": f"{HEAD}{prolog}{document}".encode(),
            "word/styles.xml": (
                f'{HEAD}<w:styles xmlns:w="{W}"><w:style w:type="paragraph" w:styleId="Heading1">'
                '<w:name w:val="heading 1"/></w:style></w:styles>'
            ).encode(),
        }
    )


def docx_with_linked_image(url: str) -> bytes:
    """One whose picture is somewhere else."""
    drawing = (
        '<w:p><w:r><w:drawing><wp:inline xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing">'
        '<a:graphic xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:graphicData '
        'uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic '
        'xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:blipFill><a:blip r:link="rId9"/>'
        "</pic:blipFill></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>"
    )
    links = relationships(("rId9", f"{R}/image", url, 'TargetMode="External"'))
    return with_parts(docx(["Linked"], body=drawing), {"word/_rels/document.xml.rels": links})


def docx_with_entities() -> bytes:
    """A billion laughs."""
    levels = "".join(f'<!ENTITY e{at} "{f"&e{at - 1};" * 10}">' for at in range(1, 10))
    return docx(["&e9;"], prolog=f'<!DOCTYPE w:document [<!ENTITY e0 "ha">{levels}]>')


def docx_that_reads(path: str) -> bytes:
    """It asks for a file of the machine that opens it."""
    return docx(["&file;"], prolog=f'<!DOCTYPE w:document [<!ENTITY file SYSTEM "file://{path}">]>')


def pptx_slides(slides: Mapping[str, str], table: Sequence[Sequence[str]] = ()) -> bytes:
    """Titles and texts; the table is on the last slide."""
    import pptx  # a heavy import, for those only who use it
    from pptx.util import Inches

    presentation = pptx.Presentation()
    for title, text in slides.items():
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
    if table:
        size = (Inches(1), Inches(1), Inches(4), Inches(2))
        cells = slide.shapes.add_table(len(table), len(table[0]), *size).table
        for y, row in enumerate(table):
            for x, cell in enumerate(row):
                cells.cell(y, x).text = cell
    out = io.BytesIO()
    presentation.save(out)
    return out.getvalue()


def pptx_raw() -> bytes:
    """A presentation without slides, of the parts alone that say what it is."""
    main = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
    return archive(
        {"[Content_Types].xml": _content_types(main, "ppt/presentation.xml"), "ppt/presentation.xml": b"<a/>"}
    )


def _workbook() -> Any:
    import openpyxl  # type: ignore[import-untyped]  # a heavy import, for those only who use it

    return openpyxl.Workbook()


def xlsx_cells(cells: Mapping[str, str]) -> bytes:
    """By their names: A1, B2, ..."""
    workbook = _workbook()
    for name, value in cells.items():
        workbook.active[name] = value
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def xlsx(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    workbook = _workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def xlsx_raw(sheets: Mapping[str, str], *, states: Mapping[str, str] = {}, formats: Sequence[str] = ()) -> bytes:
    """Sheets by the XML of their cells' rows; `states`: hidden or veryHidden; `formats`: number formats, of which a
    cell's `s` names one, from 1 on."""
    names = list(sheets)
    styles = "".join(f'<numFmt numFmtId="{200 + at}" formatCode="{each}"/>' for at, each in enumerate(formats))
    cells = "".join(f'<xf numFmtId="{200 + at}"/>' for at, _ in enumerate(formats))
    listed = "".join(
        f'<sheet name="{name}" sheetId="{at + 1}" r:id="rId{at + 1}" state="{states.get(name, "visible")}"/>'
        for at, name in enumerate(names)
    )
    links = [(f"rId{at + 1}", f"{R}/worksheet", f"worksheets/sheet{at + 1}.xml", "") for at, _ in enumerate(names)]
    type = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": _content_types(
            f"{type}.sheet.main+xml",
            "xl/workbook.xml",
            {
                "xl/styles.xml": f"{type}.styles+xml",
                **{f"xl/worksheets/sheet{at + 1}.xml": f"{type}.worksheet+xml" for at, _ in enumerate(names)},
            },
        ),
        "_rels/.rels": relationships(("rId1", f"{R}/officeDocument", "xl/workbook.xml", "")),
        "xl/workbook.xml": (f'{HEAD}<workbook xmlns="{S}" xmlns:r="{R}"><sheets>{listed}</sheets></workbook>').encode(),
        "xl/_rels/workbook.xml.rels": relationships(*links, ("rId90", f"{R}/styles", "styles.xml", "")),
        "xl/styles.xml": (
            f'{HEAD}<styleSheet xmlns="{S}"><numFmts count="{len(formats)}">{styles}</numFmts><fonts><font/></fonts>'
            "<fills><fill/></fills><borders><border/></borders><cellStyleXfs><xf/></cellStyleXfs>"
            f'<cellXfs><xf numFmtId="0"/>{cells}</cellXfs></styleSheet>'
        ).encode(),
    }
    for at, rows in enumerate(sheets.values()):
        sheet = f'{HEAD}<worksheet xmlns="{S}"><sheetData>{rows}</sheetData></worksheet>'
        parts[f"xl/worksheets/sheet{at + 1}.xml"] = sheet.encode()
    return archive(parts)


def zip_bomb(megabytes: int) -> bytes:
    """A DOCX of a few KiB that unpacks to this much."""
    return with_parts(docx(["Bomb"]), {"word/media/image1.xml": b"<a>" + b" " * (megabytes * 1024 * 1024)})


def many_entries(count: int) -> bytes:
    return with_parts(docx(["Many"]), {f"word/media/{at}": b"" for at in range(count)})


def csv(size: int) -> bytes:
    """At least `size` bytes of rows that are all different."""
    numbers = random.Random(7)
    rows = [f"{at},{numbers.random()},name {at}\n" for at in range(size // 32 + 1)]
    return ("id,value,name\n" + "".join(rows)).encode()


def archive(parts: Mapping[str, bytes]) -> bytes:
    return with_parts(b"", parts)


def with_parts(document: bytes, parts: Mapping[str, bytes]) -> bytes:
    """A zip file with some more parts."""
    out = io.BytesIO(document)
    with zipfile.ZipFile(out, "a" if document else "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return out.getvalue()


def _content_types(main: str, part: str = "word/document.xml", others: Mapping[str, str] = {}) -> bytes:
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="{type}"/>' for name, type in {part: main, **others}.items()
    )
    return (
        f'{HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>'
    ).encode()


def relationships(*links: tuple[str, str, str, str]) -> bytes:
    """Id, type, target and more attributes of each."""
    inner = "".join(f'<Relationship Id="{id}" Type="{type}" Target="{to}" {more}/>' for id, type, to, more in links)
    return (
        f'{HEAD}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f"{inner}</Relationships>"
    ).encode()


def _stream(content: bytes, entries: str = "") -> bytes:
    return f"<< {entries} /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream"


def _pdf(objects: Mapping[int, bytes], resources: str = "", trailer: str = "") -> bytes:
    """One page, whose content is object 4."""
    page = f"/Resources << /Font << /F1 5 0 R >> {resources} >> /Contents 4 0 R"
    whole = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {page} >>".encode(),
        5: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        **objects,
    }
    out, places = b"%PDF-1.4\n", dict[int, int]()
    for number, content in sorted(whole.items()):
        places[number] = len(out)
        out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    size = max(whole) + 1
    table = "".join(f"{places[at]:010} 00000 n \n" if at in places else f"{0:010} 65535 f \n" for at in range(size))
    end = f"xref\n0 {size}\n{table}trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + end.encode()

"""Hostile Word documents."""

from tests.support import documents
from tests.support.documents import HEAD, W, docx, relationships, with_parts
from tests.support.hostile.case import Hostile

TRACKED = 'w:id="1" w:author="a" w:date="2024-01-01T00:00:00Z"'


def p(*runs: str) -> str:
    return f"<w:p>{''.join(runs)}</w:p>"


def r(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def tc(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{p(r(text)) if not text.startswith('<') else text}</w:tc>"


def tr(*cells: str, properties: str = "") -> str:
    return f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(cells)}</w:tr>"


def tbl(*rows: str) -> str:
    return f"<w:tbl>{''.join(rows)}</w:tbl>"


def shape(text: str) -> str:
    return f"<wps:wsp><wps:txbx><w:txbxContent>{p(r(text))}</w:txbxContent></wps:txbx></wps:wsp>"


def drawing(inner: str) -> str:
    return (
        f"<w:drawing><wp:inline><a:graphic><a:graphicData>{inner}</a:graphicData></a:graphic></wp:inline></w:drawing>"
    )


def word(body: str) -> bytes:
    return docx([], body=body)


FIELD = (
    '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> PAGEREF x </w:instrText></w:r>'
    '<w:r><w:fldChar w:fldCharType="separate"/></w:r>{}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
)
VML = (
    "<w:r><w:pict><v:shape><v:textbox><w:txbxContent><w:p><w:r><w:t>old box</w:t></w:r></w:p></w:txbxContent>"
    "</v:textbox></v:shape></w:pict></w:r>"
)
FRACTION = "<m:oMath><m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r></m:den></m:f></m:oMath>"


def notes(kind: str, text: str) -> bytes:
    return f'{HEAD}<w:{kind}s xmlns:w="{W}"><w:{kind} w:id="2">{p(r(text))}</w:{kind}></w:{kind}s>'.encode()


def word_with(body: str, part: str, kind: str, content: bytes) -> bytes:
    """With one more part that the document refers to as rId7."""
    target = f"{documents.R}/{kind}"
    return with_parts(
        word(body),
        {f"word/{part}": content, "word/_rels/document.xml.rels": relationships(("rId7", target, part, ""))},
    )


CHART = (
    f'{HEAD}<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" xmlns:a="{documents.A}">'
    "<c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>Sales</a:t></a:r></a:p></c:rich></c:tx></c:title><c:plotArea>"
    "<c:barChart><c:ser><c:tx><c:strRef><c:strCache><c:pt><c:v>2024</c:v></c:pt></c:strCache></c:strRef></c:tx>"
    '<c:cat><c:strRef><c:strCache><c:pt idx="0"><c:v>North</c:v></c:pt></c:strCache></c:strRef></c:cat>'
    '<c:val><c:numRef><c:numCache><c:pt idx="0"><c:v>41</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser>'
    "</c:barChart></c:plotArea></c:chart></c:chartSpace>"
).encode()

WORD = [
    Hostile("pipes.docx", word(tbl(tr(tc("a|b"), tc("c")), tr(tc("1"), tc("2")))), ["| a\\|b | c |", "| 1 | 2 |"]),
    Hostile(
        "vmerge.docx",
        word(
            tbl(
                tr(tc("Region", '<w:vMerge w:val="restart"/>'), tc("x1"), tc("y1")),
                tr(tc("", "<w:vMerge/>"), tc("x2"), tc("y2")),
                tr(tc("wide", '<w:gridSpan w:val="2"/>'), tc("y3")),
            )
        ),
        ["| Region | x1 | y1 |", "| | x2 | y2 |", "| wide | | y3 |"],
    ),
    Hostile(
        "grid_before.docx",
        word(tbl(tr(tc("a"), tc("b")), tr(tc("below b"), properties='<w:gridBefore w:val="1"/>'))),
        ["| a | b |", "| | below b |"],
    ),
    Hostile(
        "tracked.docx",
        word(
            p(f"<w:ins {TRACKED}>{r('inserted')}</w:ins>")
            + p(f"<w:del {TRACKED}><w:r><w:delText>deleted</w:delText></w:r></w:del>", r("kept"))
            + p(f"<w:moveFrom {TRACKED}>{r('moved away')}</w:moveFrom>")
            + p(f"<w:moveTo {TRACKED}>{r('moved here')}</w:moveTo>")
        ),
        ["inserted", "kept", "moved here"],
        ["deleted", "moved away"],
    ),
    Hostile(
        "deleted_row.docx",
        word(tbl(tr(tc("stays")), tr(tc("goes"), properties=f"<w:del {TRACKED}/>"), tr(tc("end")))),
        ["stays", "end"],
        ["goes"],
    ),
    Hostile(
        "wrappers.docx",
        word(
            f"<w:customXml w:element='x'>{p(r('custom'))}</w:customXml>"
            + p(f"<w:smartTag>{r('smart')}</w:smartTag>", f"<w:dir w:val='rtl'>{r('right to left')}</w:dir>")
            + p(f"<w:fldSimple w:instr=' AUTHOR '>{r('simple field')}</w:fldSimple>")
            + p(FIELD.format(r("field result")))
            + p(
                "<w:r><w:ruby><w:rt><w:r><w:t>kana</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>kanji</w:t></w:r>"
                "</w:rubyBase></w:ruby></w:r>"
            )
            + p(r("one"), "<w:r><w:cr/></w:r>", r("two"))
        ),
        ["custom", "smart", "right to left", "simple field", "field result", "kanji", "one", "two"],
        ["AUTHOR", "PAGEREF"],
    ),
    Hostile(
        "content_controls.docx",
        word(
            f"<w:sdt><w:sdtContent>{p(r('block control'))}</w:sdtContent></w:sdt>"
            + p(f"<w:sdt><w:sdtContent>{r('inline control')}</w:sdtContent></w:sdt>")
            + tbl(
                f"<w:sdt><w:sdtContent>{tr(tc('row'), tc('control'))}</w:sdtContent></w:sdt>",
                tr(f"<w:sdt><w:sdtContent>{tc('cell control')}</w:sdtContent></w:sdt>", tc("x")),
            )
        ),
        ["block control", "inline control", "| row | control |", "| cell control | x |"],
    ),
    Hostile(
        "text_boxes.docx",
        word(
            p(
                r("before"),
                "<w:r><mc:AlternateContent><mc:Choice Requires='wps'>"
                + drawing(shape("new box"))
                + "</mc:Choice></mc:AlternateContent></w:r>",
            )
            + p(
                "<w:r><mc:AlternateContent><mc:Choice Requires='wps'>"
                + drawing(shape("both boxes"))
                + "</mc:Choice><mc:Fallback>"
                + VML.replace("old box", "both boxes")
                + "</mc:Fallback>"
                "</mc:AlternateContent></w:r>"
            )
            + p(VML)
            + p(r("after"))
        ),
        ["before", "new box", "both boxes", "old box", "after"],
        ["both boxes both boxes"],
    ),
    Hostile(
        "hidden_text.docx",
        word(p(r("seen"), r("hidden", "<w:vanish/>"), r("also seen", '<w:vanish w:val="0"/>'))),
        ["seen", "also seen"],
        ["hidden"],
    ),
    Hostile("equation.docx", word(p(r("so "), FRACTION)), ["so", "\\frac{a}{b}"]),
    Hostile(
        "footnote.docx",
        word_with(
            p(r("claim"), '<w:r><w:footnoteReference w:id="2"/></w:r>'),
            "footnotes.xml",
            "footnotes",
            notes("footnote", "the proof"),
        ),
        ["claim", "the proof"],
    ),
    Hostile(
        "endnote.docx",
        word_with(
            p(r("claim"), '<w:r><w:endnoteReference w:id="2"/></w:r>'),
            "endnotes.xml",
            "endnotes",
            notes("endnote", "the source"),
        ),
        ["claim", "the source"],
    ),
    Hostile(
        "comment.docx",
        word_with(
            p(r("statement"), '<w:r><w:commentReference w:id="2"/></w:r>'),
            "comments.xml",
            "comments",
            notes("comment", "is that so?"),
        ),
        ["statement", "is that so?"],
    ),
    Hostile(
        "header.docx",
        word_with(
            p(r("text")) + '<w:sectPr><w:headerReference w:type="default" r:id="rId7"/></w:sectPr>',
            "header1.xml",
            "header",
            f'{HEAD}<w:hdr xmlns:w="{W}">{p(r("Confidential"))}</w:hdr>'.encode(),
        ),
        ["Confidential", "text"],
    ),
    Hostile(
        "chart.docx",
        word_with(p("<w:r>" + drawing('<c:chart r:id="rId7"/>') + "</w:r>"), "charts/chart1.xml", "chart", CHART),
        ["Sales", "| | 2024 |", "| North | 41 |"],
    ),
    Hostile(
        "link.docx",
        with_parts(
            word(p(f'<w:hyperlink r:id="rId7">{r("our site")}</w:hyperlink>')),
            {
                "word/_rels/document.xml.rels": relationships(
                    ("rId7", f"{documents.R}/hyperlink", "https://example.com/a", 'TargetMode="External"')
                )
            },
        ),
        ["[our site](https://example.com/a)"],
    ),
    Hostile(
        "nested_table.docx",
        word(tbl(tr(tc("outer"), f"<w:tc>{tbl(tr(tc('in1'), tc('in2')))}{p()}</w:tc>"), tr(tc("x"), tc("y")))),
        ["| outer | in1", "in2 |", "| x | y |"],
    ),
]

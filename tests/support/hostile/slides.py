"""Hostile presentations."""

import io
from collections.abc import Callable
from typing import Any

import pptx
from lxml import etree
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
from pptx.util import Inches

from tests.support.documents import A, R
from tests.support.hostile.case import Hostile

P = "http://schemas.openxmlformats.org/presentationml/2006/main"
DGM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
MC = "http://schemas.openxmlformats.org/markup-compatibility/2006"
M = "http://schemas.openxmlformats.org/officeDocument/2006/math"
A14 = "http://schemas.microsoft.com/office/drawing/2010/main"
NAMESPACES = (
    f'xmlns:p="{P}" xmlns:a="{A}" xmlns:r="{R}" xmlns:mc="{MC}" xmlns:m="{M}" xmlns:a14="{A14}" xmlns:dgm="{DGM}"'
)
AREA = (Inches(1), Inches(1), Inches(4), Inches(2))


def deck(*slides: Callable[[Any], None]) -> bytes:
    presentation = pptx.Presentation()
    for fill in slides:
        fill(presentation.slides.add_slide(presentation.slide_layouts[6]))
    out = io.BytesIO()
    presentation.save(out)
    return out.getvalue()


def box(shapes: Any, text: str, top: float = 1, left: float = 1) -> None:
    shapes.add_textbox(Inches(left), Inches(top), Inches(3), Inches(1)).text_frame.text = text


def xml(slide: Any, text: str) -> None:
    """One more shape of the slide."""
    root = etree.fromstring(f"<root {NAMESPACES}>{text}</root>")
    slide.shapes._spTree.append(root[0])


def sp(text: str) -> str:
    return (
        '<p:sp><p:nvSpPr><p:cNvPr id="9" name="x"/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/>'
        f"<a:p>{text}</a:p></p:txBody></p:sp>"
    )


def run(text: str) -> str:
    return f"<a:r><a:t>{text}</a:t></a:r>"


def table(slide: Any) -> None:
    cells = slide.shapes.add_table(3, 3, *AREA).table
    for y in range(3):
        for x in range(3):
            cells.cell(y, x).text = f"{y}|{x}"
    cells.cell(0, 0).merge(cells.cell(1, 0))
    cells.cell(0, 0).text = "tall"
    cells.cell(2, 1).merge(cells.cell(2, 2))
    cells.cell(2, 1).text = "wide"


def groups(slide: Any) -> None:
    outer = slide.shapes.add_group_shape()
    box(outer.shapes, "in the group")
    box(outer.shapes.add_group_shape().shapes, "in the inner group", 2)


def columns(slide: Any) -> None:
    """Added from last to first, and the right one a little higher, as people place them."""
    box(slide.shapes, "bottom", 5)
    box(slide.shapes, "middle right", 2.95, 5)
    box(slide.shapes, "middle left", 3, 0.5)
    box(slide.shapes, "top", 0.5)


def chart(slide: Any) -> None:
    data = CategoryChartData()
    data.categories = ["North", "South"]
    data.add_series("2024|5", (41, None))
    frame = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *AREA, data)
    frame.chart.has_title = True
    frame.chart.chart_title.text_frame.text = "Sales"


def smart_art(slide: Any) -> None:
    points = "".join(f"<dgm:pt><dgm:t><a:p>{run(each)}</a:p></dgm:t></dgm:pt>" for each in ("plan", "build"))
    model = f"<dgm:dataModel {NAMESPACES}><dgm:ptLst>{points}</dgm:ptLst></dgm:dataModel>".encode()
    part = Part(
        PackURI("/ppt/diagrams/data1.xml"),
        "application/vnd.openxmlformats-officedocument.drawingml.diagramData+xml",
        slide.part.package,
        model,
    )
    link = slide.part.relate_to(part, f"{R}/diagramData")
    xml(
        slide,
        '<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="8" name="d"/><p:cNvGraphicFramePr/><p:nvPr/>'
        '</p:nvGraphicFramePr><p:xfrm><a:off x="0" y="0"/><a:ext cx="9" cy="9"/></p:xfrm><a:graphic>'
        f'<a:graphicData uri="{DGM}"><dgm:relIds r:dm="{link}"/></a:graphicData></a:graphic></p:graphicFrame>',
    )


def notes(slide: Any) -> None:
    box(slide.shapes, "on the slide")
    slide.notes_slide.notes_text_frame.text = "say this"


def hidden(slide: Any) -> None:
    box(slide.shapes, "skipped in the show")
    slide._element.set("show", "0")


def alternate(slide: Any) -> None:
    fraction = (
        "<m:oMath><m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r></m:den></m:f></m:oMath>"
    )
    xml(
        slide,
        f'<mc:AlternateContent><mc:Choice Requires="a14">{sp(run("so ") + f"<a14:m>{fraction}</a14:m>")}</mc:Choice>'
        f"<mc:Fallback>{sp(run('so (picture)'))}</mc:Fallback></mc:AlternateContent>",
    )


def fields(slide: Any) -> None:
    xml(slide, sp('<a:fld id="{1}" type="datetime"><a:t>2 May</a:t></a:fld><a:br/>' + run("next line")))


SLIDES = [
    Hostile("table.pptx", deck(table), ["| tall | 0\\|1 | 0\\|2 |", "| | 1\\|1 | 1\\|2 |", "| 2\\|0 | wide | |"]),
    Hostile("groups.pptx", deck(groups), ["in the group", "in the inner group"]),
    Hostile("order.pptx", deck(columns), ["top", "middle left", "middle right", "bottom"]),
    Hostile("chart.pptx", deck(chart), ["Sales", "| | 2024\\|5 |", "| North | 41 |", "| South | |"], ["None"]),
    Hostile("smart_art.pptx", deck(smart_art), ["plan", "build"]),
    Hostile("notes.pptx", deck(notes), ["on the slide", "say this"]),
    Hostile("hidden_slide.pptx", deck(hidden), ["hidden", "skipped in the show"]),
    Hostile("alternate_content.pptx", deck(alternate), ["so", "\\frac{a}{b}"], ["picture"]),
    Hostile("fields.pptx", deck(fields), ["2 May", "next line"], ["_x000B_"]),
]

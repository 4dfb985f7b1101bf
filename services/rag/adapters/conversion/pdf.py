"""PDF to Markdown. Runs in the worker process only."""

from typing import BinaryIO

from markitdown._stream_info import StreamInfo
from markitdown.converters._pdf_converter import PdfConverter


def document(file: BinaryIO, at_most: int) -> str:
    return str(PdfConverter().convert(file, StreamInfo(extension=".pdf")).markdown)

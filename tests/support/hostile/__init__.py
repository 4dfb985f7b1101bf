"""Small documents on which converters commonly fail.

What the document's own program shows on the screen has to stand in the Markdown, in its own place, and nothing else.
"""

from tests.support.hostile.sheets import SHEETS
from tests.support.hostile.slides import SLIDES
from tests.support.hostile.web import WEB
from tests.support.hostile.word import WORD

HOSTILE = [*WORD, *SLIDES, *SHEETS, *WEB]

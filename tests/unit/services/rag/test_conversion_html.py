"""HTML to Markdown: a page's own content."""

import pytest

from services.rag.adapters.conversion import html


@pytest.mark.parametrize(
    "navigation",
    [
        "<nav><ul><li><a href='/'>Home</a></li></ul></nav>",
        "<div role='navigation'><h3>Table of contents</h3></div>",
        "<form role='search'><p>Search all pages</p></form>",
    ],
)
def test_navigation_is_left_out(navigation: str) -> None:
    """It stands on every page of a site, and was half of what was embedded of some."""
    page = f"<body>{navigation}<main><h1>Cats</h1><p>They <a href='/eat'>eat</a> fish.</p></main>{navigation}</body>"
    assert html.markdown(page).split() == ["#", "Cats", "They", "[eat](/eat)", "fish."]


@pytest.mark.parametrize("mark", ["¶", "#", "§", "", " ¶ "])
def test_a_heading_s_link_to_itself_is_left_out(mark: str) -> None:
    assert html.markdown(f"<h2>Cats<a class='headerlink' href='#cats'>{mark}</a></h2>").strip() == "## Cats"


@pytest.mark.parametrize(
    "link", ["<a href='#fish'>Fish</a>", "<a href='/c#cats'>#</a>", "<a href='#x'><img alt='A' src='/a.png'></a>"]
)
def test_links_to_other_places_stay(link: str) -> None:
    assert "](" in html.markdown(f"<p>See {link}.</p>")

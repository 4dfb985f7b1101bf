"""Hostile HTML, CSV and text."""

from tests.support.hostile.case import Hostile

HTML = [
    (
        "pipes",
        "<table><tr><th>a|b<td>c</tr><tr><td><code>x|y</code><td>2</table>",
        ["| a\\|b | c |", "| `x\\|y` | 2 |"],
        [],
    ),
    (
        "rowspan",
        "<table><tr><td rowspan=2>Region<td>x1<td>y1<tr><td>x2<td>y2<tr><td colspan=2>wide<td>y3</table>",
        ["| Region | x1 | y1 |", "| | x2 | y2 |", "| wide | | y3 |"],
        [],
    ),
    (
        "rowspan to the end",
        "<table><tr><th>h1<th>h2<tr><td rowspan=0>a<td>1<tr><td>2</table><p>after",
        ["| h1 | h2 |", "| a | 1 |", "| | 2 |", "after"],
        [],
    ),
    ("no tables", "<td>lonely</td><tr><td>row</td></tr>end", ["lonely", "row", "end"], []),
    ("no rows", "<table><td>a</td><td>b</td><tr><td>c</table>", ["| a | b |", "| c | |"], []),
    (
        "huge spans",
        "<table><tr><td colspan=99999999 rowspan=99999999>a<tr><td>b</table>",
        ["| a | | |", "| | | b |"],
        ["| | | | |"],
    ),
    (
        "loose in tables",
        "<table>loose<caption>Above</caption><tr>odd<td>a</td><td>b</td></tr><td>c<thead><tr><th>d</table>",
        ["looseodd", "Above", "| a | b |", "| c | |", "| d | |"],
        [],
    ),
    (
        "layout",
        "<table><tr><td><h1>Title</h1><p>text</p><img src=data:x alt=pic></td></tr></table>",
        ["Title", "text", "pic"],
        [],
    ),
    (
        "nested table",
        "<table><tr><td>outer<td><table><tr><td>in|1<td>in2</table><tr><td>x<td>y</table>",
        ["| outer | in\\|1", "in2 |", "| x | y |"],
        [],
    ),
    (
        "blocks in cells",
        "<table><tr><th>h<tr><td><p>one</p><ul><li>two<li>three</ul><pre>a\nb</pre></table>",
        ["| h |", "| one", "two", "three", "a", "b", "|"],
        [],
    ),
    (
        "hidden",
        "<script>s1</script><style>s2</style><template>t1</template><noscript>n1</noscript><p hidden>h1</p>"
        "<p style='color:red; DISPLAY : none'>h2</p><p style='visibility:hidden'>h3</p><!-- c1 --><p>shown</p>"
        "<head><title>x</title></head>",
        ["shown"],
        ["s1", "s2", "t1", "n1", "h1", "h2", "h3", "c1"],
    ),
    (
        "links",
        "<a href='javascript:alert(1)'>run</a> <a href=' JAVA\nSCRIPT:x'>run2</a> "
        "<a href='https://example.com/a b'>site</a> <a href='mailto:a@b.c'>mail</a> <a href='/x_y'>path</a>",
        ["run", "run2", "[site](https://example.com/a%20b)", "mail", "[path](/x_y)"],
        ["alert", "SCRIPT:x"],
    ),
    (
        "images",
        "<img src='data:image/png;base64,AAAA' alt='logo'><img src='DATA:image/gif;base64,BBBB'>"
        "<img src='https://example.com/i.png' alt='chart'>",
        ["logo", "![chart](https://example.com/i.png)"],
        ["data:", "AAAA", "DATA", "BBBB"],
    ),
    ("code", "<pre><code>if a|b:\n    c  *d*\n</code></pre><p>end", ["``` if a|b: c *d* ```", "end"], []),
    (
        "unclosed",
        "<p>one<p>two<ul><li>a<li>b</ul><table><tr><td>c<td>d<tr><td>e<td>f</table>",
        ["one", "two", "* a", "* b", "| c | d |", "| e | f |"],
        [],
    ),
    ("deep", "<div>" * 1500 + "bottom" + "</div>" * 1500 + "<p>after", ["bottom", "after"], []),
    ("entities", "<p>a &lt;b&gt; &amp; &euro;&nbsp;5 &#x1F600;", ["& € 5 😀"], []),
]

CHARSETS = [
    ("windows-1252", "Größe - 5 €"), ("shift_jis", "日本語の表"), ("gb18030", "中文表格"), ("euc-kr", "한국어"),
    ("iso-8859-2", "Zażółć"), ("koi8-r", "Привет"),
]  # fmt: skip

_TABLE = ["| name | price |", "| apple, red | 1 |"]

WEB = [
    *(Hostile(f"{name}.html", text.encode(), shows, hides) for name, text, shows, hides in HTML),
    *(
        Hostile(f"in {charset}.html", f'<meta charset="{charset}"><p>{text}'.encode(charset), [text])
        for charset, text in CHARSETS
    ),
    Hostile(
        "http-equiv.html",
        '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251"><p>Привет'.encode("cp1251"),
        ["Привет"],
    ),
    Hostile("utf-16.html", "<html><p>Größe 数据".encode("utf-16"), ["Größe 数据"]),
    Hostile("utf-8 bom.html", "<meta charset=windows-1252><p>Größe 数据".encode("utf-8-sig"), ["Größe 数据"]),
    Hostile("no charset.html", "<p>Größe 数据".encode(), ["Größe 数据"]),
    Hostile("wrong charset.html", "<meta charset=no-such><p>Größe".encode(), ["Größe"]),
    Hostile("semicolons.csv", b"name;price\napple, red;1\n", _TABLE),
    Hostile("tabs.csv", b"name\tprice\napple, red\t1\n", _TABLE),
    Hostile("tabs.tsv", b"name\tprice\napple, red\t1\n", _TABLE),
    Hostile("sep.csv", b"sep=;\r\nname;price\r\napple, red;1\r\n", _TABLE, ["sep="]),
    Hostile("sep in utf-16.csv", "\ufeffsep=;\r\nname;price\r\napple, red;1\r\n".encode("utf-16-le"), _TABLE, ["sep="]),
    Hostile("quoted.csv", b'name,price\n"apple, red",1\n"semi;colon",2\n', [*_TABLE, "| semi;colon | 2 |"]),
    Hostile("decimal commas.csv", b"a;b\n1,5;2,5\n3,5;4,5\n", ["| a | b |", "| 1,5 | 2,5 |"]),
    Hostile("one column.csv", b"name\napple\n", ["| name |", "| apple |"]),
    Hostile("ragged.csv", b"a,b\n1\n1,2,3\n", ["| a | b | |", "| 1 | | |", "| 1 | 2 | 3 |"]),
    Hostile("long cell.csv", b"a,b\n" + b"x" * 150_000 + b",1\n", ["| a | b |", "x" * 150_000 + " | 1 |"]),
    Hostile("backslash.csv", b"a,b\nc\\|d,e\\\n", ["| c\\\\\\|d | e\\ |"]),
    Hostile("empty first lines.csv", b"\n\na,b\n\n1,2\n", ["| a | b |", "| 1 | 2 |"]),
    Hostile(
        "gb18030.csv",
        "名称,价格\n苹果手机价格表,一千元\n香蕉和橘子的价格,两百元\n".encode("gb18030"),
        ["| 名称 | 价格 |"],
    ),
    Hostile(
        "shift_jis.csv",
        "名前,値段\nりんごとみかん,百円\nバナナの値段です,二百円\n".encode("shift_jis"),
        ["| 名前 | 値段 |"],
    ),
    Hostile("windows-1252.txt", "Größe - 5 €, naïve café".encode("cp1252"), ["Größe - 5 €, naïve café"]),
    Hostile("utf-16.txt", "Größe 数据".encode("utf-16"), ["Größe 数据"]),
]

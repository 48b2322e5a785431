"""index.html of the gallery: every clip with its film, its plate and its strip on one page, which opens from disk.

Descriptions in their own scripts are in the pictures, where our fonts are; the page itself is in Latin letters.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ves.report.html import whole

STYLE = """
section { margin: 2.5rem 0; border-top: 1px solid #d9d9df; }
video, img { display: block; max-width: 100%; height: auto; margin: 0.7rem 0; }
nav a { margin-right: 0.9rem; }
"""
INTRO = """<h1>What the models look at</h1>
<p>Each clip is somebody speaking about a picture. <b>Film</b>: as it is spoken, what each model finds most like the
sound of that moment. <b>Words</b>: the same for single words. <b>Strip</b>: the whole clip, a small picture every
200 ms. <b>Four panels</b>, at the end: picture, heatmap, its strongest region, and that cut out.</p>
<p>Bright is alike, dark is unlike; all pictures beside each other have one scale of colours, so that a pale one is
weaker than a bright one. A white square marks the most similar patch, a blue line the object that the word names, where
it is known. No score and nobody's taste chose the clips: a hash did, so failures are among them.</p>
"""


def _clip(entry: Mapping[str, Any]) -> str:
    """One clip, its film first."""
    title, gloss = escape(entry["language"] or entry["clip_id"]), escape(entry["gloss"])
    said = escape("; ".join(word["english"] for word in entry["words"]))
    film, plate, strip = (escape(entry[key]) for key in ("film", "file", "strip"))
    return f"""<section id="{escape(entry["clip_id"])}">
<h2>{title}</h2>
<p>{gloss}</p>
<video controls preload="metadata" src="{film}" aria-label="Film of this clip, with its sound"></video>
<img loading="lazy" src="{plate}" alt="Heatmaps of single words by each model: {said}">
<img loading="lazy" src="{strip}" alt="Heatmaps of the whole clip, one every 200 ms, by each model">
</section>"""


def compose(entries: Sequence[Mapping[str, Any]], four_panels: Mapping[str, str]) -> str:
    """The page, of the entries of index.json and the files of the four-panel rows by run; all lie beside it."""
    links = [(entry["clip_id"], entry["language"] or entry["clip_id"][:8]) for entry in entries]
    links += [("four", "four panels")]
    ways = "".join(f'<a href="#{escape(place)}">{escape(name)}</a>' for place, name in links)
    rows = "\n".join(
        f'<h3>{escape(run)}</h3>\n<img loading="lazy" src="{escape(file)}" alt="Four-panel rows of {escape(run)}">'
        for run, file in four_panels.items()
    )
    clips = "\n".join(_clip(entry) for entry in entries)
    last = f'<section id="four">\n<h2>Four panels</h2>\n{rows}\n</section>'
    return whole("VeS gallery", f'{INTRO}<nav aria-label="Clips">{ways}</nav>\n{clips}\n{last}', STYLE)

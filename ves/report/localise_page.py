"""What `ves localise` writes about your own picture and voice: the sharpest moments, a film and a page."""

from pathlib import Path

from ves.models.localise import Localisation
from ves.report.clips.films import film
from ves.report.clips.plate import compose, plate_of
from ves.report.clips.spoken import MOMENTS
from ves.report.clips.strips import compose as strip
from ves.report.clips.viewing import Viewing
from ves.report.drawing.page import save, stacked
from ves.report.explorer.folder import write_one


def viewing_of(localisation: Localisation) -> Viewing:
    """The view of a clip with unknown words, for figures: it shows its moments of sharpest similarity."""
    viewing = Viewing(
        name="own",
        clip_id="own",
        language="",
        words=[],
        transcript="",
        picture=localisation.picture,
        samples=localisation.samples,
        shown=[],
        masks=[],
        similarity={localisation.run: localisation.similarity},
        valid=localisation.valid,
        frames=localisation.frames,
        image_size=localisation.image_size,
        fit=localisation.fit,
        measure=localisation.measure,
    )
    return viewing.at_moments(viewing.sharpest(MOMENTS))


def write(localisation: Localisation, out: Path) -> list[Path]:
    """Draw it into the folder `out`: localised.png (the sharpest moments, and the strip), film.mp4, page/index.html.

    Returns these files.
    """
    files = [out / "localised.png", out / "film.mp4", out / "page" / "index.html"]
    viewing = viewing_of(localisation)
    page, _ = compose(plate_of(viewing))
    save(stacked([page, strip(viewing)]), files[0])
    film(viewing, [localisation.run], files[1])
    write_one(viewing, f"Your own picture and voice, by {localisation.run}.", files[2].parent)
    return files

"""The explorer: a folder with a page that plays clips and shows what each model finds in the picture, and when.

The page that `ves localise` writes (ves.report.localise_page) is an explorer of one clip.

The page is plain HTML, CSS and JavaScript in `page/`; `build` writes what it shows beside it. It opens from disk with
no server, so data are scripts (a page from disk may not fetch): each calls `explorer.add` with what is known of a clip.
"""

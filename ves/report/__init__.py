"""Pages, tables, figures and films out of numbers and stores; it computes no metric.

By folder: tables (CSV and Markdown), clips (what is shown of single clips), explorer (the page that plays them),
monitoring (a training while it runs), drawing (what all figures are made with); html (tables as pages), own (what
`ves localise` writes). Each file has one function for each thing that it makes.
"""

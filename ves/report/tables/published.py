"""What the VeS paper reports on Vaani: 5,000 validation pairs, one clip to an image. Not measured here, ever.

Rows of its table of retrieval: loss, direction, R@1, R@5, R@10, R@50 in percent, mean and median rank.
"""

PAPER_ON_VAANI = (
    ("dense", "A2V", 9.90, 24.06, 32.54, 55.36, 266.0, 35.0),
    ("dense", "V2A", 8.50, 21.18, 29.66, 53.98, 252.4, 39.0),
    ("global", "A2V", 6.22, 16.52, 23.88, 47.52, 339.8, 58.0),
    ("global", "V2A", 6.38, 16.54, 24.08, 47.24, 341.8, 59.5),
    ("hybrid", "A2V", 9.00, 21.86, 29.32, 53.18, 283.0, 42.0),
    ("hybrid", "V2A", 7.46, 20.32, 28.44, 52.28, 271.2, 44.0),
)

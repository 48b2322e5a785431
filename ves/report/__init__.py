"""Pages, tables, figures and films out of numbers and stores; it computes no metric."""

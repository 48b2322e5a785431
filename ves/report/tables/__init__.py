"""Tables and pages of numbers."""

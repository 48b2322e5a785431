"""What all figures and pages are drawn with: heat over pictures, letters of many scripts, colours."""

"""The tools of all figures and pages: heat over pictures, letters of many scripts, colours, plots."""

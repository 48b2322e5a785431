"""What people look at of single clips: plates, strips, panels, films, Figure 1 and the gallery."""

"""gridmargin."""

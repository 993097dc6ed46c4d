"""HTML reports with plots of the rows that `faceaffect analyze` writes."""
